"""A run under way: what a training function builds from."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from sweeplab.build import build
from sweeplab.errors import SetupError, UserError, did_you_mean
from sweeplab.records import config as run_config
from sweeplab.records.links import kept, linked, links, resolved
from sweeplab.records.objective import Objective
from sweeplab.records.record import Record
from sweeplab.secrets import masked_config
from sweeplab.training.checkpoint_callbacks import plain_items
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.freezing import freeze
from sweeplab.training.loggers import RunLogger
from sweeplab.training.model import build_model, config_key, describe, load_fitting, load_weights
from sweeplab.training.preflight import checkpoint_of
from sweeplab.training.ranks import rank
from sweeplab.training.stage import Stage
from sweeplab.training.tuning import configure, first_tuned

log = logging.getLogger(__name__)


class Run:
    """What a training function gets: it builds data, model and trainer from it, and trains with plain Lightning.

    `config` is the configuration of the run, `folder` where it writes. `is_resumed` says that the run goes on from an
    earlier attempt. The life of the run, from its record to the answer to a sweep, is not the function's concern.
    """

    def __init__(
        self,
        config: DictConfig,
        record: Record | None = None,
        earlier: Mapping[str, Any] | None = None,
        is_longer: bool = False,
        signs: bool = True,
    ) -> None:
        self.config, self.folder = config, Path(config.folder)
        self.objective = Objective.of(resolved(config.objective))
        self.record, self.is_resumed, self.is_longer = record, earlier is not None, is_longer
        self._signs = signs
        self.tuned_values: dict[str, Any] = dict((earlier or {}).get("tuned") or {})
        configure(config, first_tuned(self.tuned_values))
        self.stages_done: dict[str, Any] = dict((earlier or {}).get("stages") or {})
        self.data: LightningDataModule | None = None
        self.model: LightningModule | None = None
        self.description: dict[str, Any] | None = None
        self._more: dict[str, Any] = {}
        self.loggers: list[Logger] = []
        self.tests: dict[str, float] = {}
        self.steps_reported = max([0, *(stage.get("reported", 0) for stage in self.stages_done.values())])
        self._stages: dict[str, Stage] = {}
        self._has_begun_loggers = False
        self.has_trained = False

    def build(self, key: str, **more: Any) -> Any:
        """Return what the configuration describes under `key`: the data, the model, the trainer or an object of yours.

        `more` are further arguments. The data is set up where the configuration asks for its attributes, so it is built
        before the model. The trainer comes with the callbacks and loggers of the configuration.

        Raises:
            UserError: it cannot be built.
        """
        if key == "data":
            return self._build_data(**more)
        if key == "model":
            return self._build_model(**more)
        if key == "trainer":
            return self.stage("").build("trainer", **more)
        if key not in self.config:
            raise UserError(f"there is no key '{key}' in the configuration{did_you_mean(key, map(str, self.config))}")
        return build(resolved(self.config)[key], key, **more)

    def stage(self, name: str) -> Stage:
        """Return one of several trainings of this run, with checkpoints of its own in `checkpoints/<name>`."""
        return self._stages.setdefault(name, Stage(self, name))

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint that the training goes on from; None where it begins."""
        return self.stage("").resume_from

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint with the best objective; None, the last weights, where no callback keeps it."""
        return self.stage("").best_checkpoint

    @property
    def stages(self) -> list[Stage]:
        """The trainings that have a trainer, in their order."""
        return [stage for stage in self._stages.values() if stage.trainer is not None]

    def begin(self) -> None:
        """Write that a resumed run goes on, now that it does: an attempt that could not leaves the folder as it was.

        Raises:
            UserError: another process has taken it up meanwhile.
        """
        self.has_trained = True
        if self.record is not None and not self.record.has_begun:
            self.record.begin()
            self._save_config()

    def begin_loggers(self) -> list[Logger]:
        """Return the loggers, each begun once: with the configuration, and the model where it is built."""
        if self._has_begun_loggers:
            return self.loggers
        self._has_begun_loggers = True
        config = masked_config(kept(self.config))
        entries = (resolved(self.config).get("logger") or {}).items()
        self.loggers += [build(entry, f"logger.{name}") for name, entry in entries if entry is not None]
        for logger in self.loggers:
            if not isinstance(logger, RunLogger):
                logger.log_hyperparams(config)
            elif self.record is not None:
                self.record.update(**logger.begin(config, self.model, self.record.facts))
        return self.loggers

    def key_of(self, group: str, name: str) -> str:
        """Return the key of the configuration behind an attribute of the data or the model."""
        return f"{group}.{name}" if group == "data" else config_key(self.description or {}, name)

    def tuned(self, key: str, value: Any, stage: str = "") -> None:
        """Note a value that was found before the training: in the record; the first also in the configuration."""
        before = OmegaConf.select(self.config, key)
        log.info("Found %s=%s%s", key, value, "" if before is None else f", in place of {before}")
        self.tuned_values |= {stage: {**self.tuned_values.get(stage, {}), key: value}} if stage else {key: value}
        configure(self.config, first_tuned(self.tuned_values))
        if key.split(".")[0] != "data" and self.description is not None:
            self.description |= masked_config({**describe(kept(self.config)), **self._more})
        if self.record is not None:
            self.record.update(tuned=self.tuned_values)
            self._save_config(keep=False)
        for logger in self.loggers:
            logger.log_hyperparams(masked_config(kept(self.config)))

    def _build_data(self, **more: Any) -> LightningDataModule:
        data: Any = build(self.config.data, "data", **more)
        if not isinstance(data, LightningDataModule):
            raise SetupError(
                f"data._target_={self.config.data._target_} is a {type(data).__name__}, not a LightningDataModule."
            )
        self.data = data
        if attributes := dict(links(self.config)):
            if rank(self.config.trainer) == 0:
                data.prepare_data()
            data.setup("fit")
            self.config = linked(self.config, data)
            if self.record is not None:
                self.record.update(links=attributes)
                if self.record.has_begun:
                    self._save_config(keep=False)
        return data

    def _save_config(self, keep: bool = True) -> None:
        """Write the configuration, and sign it unless a command merely trusted it: the next one asks again."""
        assert self.record is not None
        signature = run_config.save(self.config, self.folder, keep)
        if self._signs:
            self.record.update(signature=signature)

    def _build_model(self, **more: Any) -> LightningModule:
        plain = resolved(self.config)
        description = describe(plain)
        if unresolved := list(links(OmegaConf.create(description))):
            raise SetupError(
                f"{unresolved[0][0]} of the model is an attribute of the data: call run.build('data') first."
            )
        self.model = build_model(description, **more)
        self._more = plain_items(more)
        self.description = masked_config({**describe(kept(self.config)), **self._more})
        if self.record is not None:
            kind = type(self.model)
            self.record.update(module=f"{kind.__module__}.{kind.__qualname__}")
        if plain.get("init_from") and self.resume_from is None:  # a later stage of a resumed run begins so too
            self._initialize(Path(plain["init_from"]), plain.get("init_strict", True))
        if patterns := plain.get("freeze"):
            frozen = freeze(self.model, patterns)
            sizes = {name: parameter.numel() for name, parameter in self.model.named_parameters()}
            log.info(
                "Frozen: %s of %s parameters", f"{sum(sizes[name] for name in frozen):,}", f"{sum(sizes.values()):,}"
            )
            if self.record is not None:
                self.record.update(frozen=frozen)
        return self.model

    def _initialize(self, source: Path, is_strict: bool) -> None:
        """Begin with the weights of another training, and note it."""
        assert self.model is not None
        path = checkpoint_of(source)
        weights = load_checkpoint(path)["state_dict"]
        if not is_strict:
            fresh = load_fitting(self.model, weights, path)
        else:
            try:
                load_weights(self.model, weights, path)
            except UserError as error:
                raise UserError(f"{str(error).removesuffix('.')}; init_strict=false takes what fits.") from None
            fresh = []
        taken = len(self.model.state_dict()) - len(fresh)
        log.info("Initialized from %s: %d weights taken, %d left as they were", path, taken, len(fresh))
        if self.record is not None:
            self.record.update(init_from={"checkpoint": str(path), "taken": taken, "fresh": fresh})
