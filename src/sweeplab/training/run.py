"""A run under way: what a training function builds from, and what every run needs around it."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
)
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, OmegaConf

from sweeplab.build import build
from sweeplab.errors import SetupError, UserError, did_you_mean
from sweeplab.records import config as run_config
from sweeplab.records.ending import TrialPruned
from sweeplab.records.layout import RunFile, moved
from sweeplab.records.links import kept, linked, links, resolved
from sweeplab.records.objective import Objective
from sweeplab.records.record import Record
from sweeplab.secrets import masked_config
from sweeplab.training.ahead import checkpoint_of, refuse_switches, shared
from sweeplab.training.checkpoint_file import WholeCheckpoints, load_checkpoint
from sweeplab.training.contents import CheckpointContents, plain_items
from sweeplab.training.ending import OwnsRun
from sweeplab.training.exact_resume import ExactResume
from sweeplab.training.finite_loss import FiniteLoss
from sweeplab.training.lean import NoProfiler, lean_steps
from sweeplab.training.model import build_model, describe, load_fitting, load_weights
from sweeplab.training.objective import BestObjective
from sweeplab.training.pruning import Pruning
from sweeplab.training.ranks import TOGETHER, alone_in_a_job, rank

log = logging.getLogger(__name__)


class Stage:
    """One training of a run: its trainer, its checkpoints, its best value. Most runs are a single one."""

    def __init__(self, run: "Run", name: str) -> None:
        self.run, self.name = run, name
        self.checkpoints = run.folder / RunFile.CHECKPOINTS / name
        self.trainer: Trainer | None = None
        self.best: BestObjective | None = None
        self.metrics: dict[str, float] = {}

    def build(self, key: str, **more: Any) -> Any:
        """Return what the configuration describes under a key, as `Run.build` does; a trainer is this stage's."""
        return self._build_trainer(**more) if key == "trainer" else self.run.build(key, **more)

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint that this training goes on from; None where it begins."""
        path = self.checkpoints / RunFile.LAST.name
        return path if self.run.is_resumed and path.is_file() else None

    @property
    def is_complete(self) -> bool:
        """Whether this training is over, perhaps in an earlier attempt of the run; for stages with a name."""
        return self.name in self.run.stages_done

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint with the best objective; None where no callback keeps it."""
        if self.trainer is None:
            path = self.run.stages_done.get(self.name, {}).get("checkpoint")
            return self.run.folder / path if path else None
        for callback in self.trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.monitor == self.run.objective.metric:
                return Path(callback.best_model_path) if callback.best_model_path else None
        return None

    @property
    def best_value(self) -> float:
        """The best value of the objective.

        Raises:
            UserError: it was never a finite number.
        """
        if self.best is not None:
            return self.best.result()[0]
        return float(self.run.stages_done[self.name]["objective"])

    def _build_trainer(self, **more: Any) -> Trainer:
        if self.trainer is not None:
            name = f"run.stage({self.name!r})" if self.name else "the run"
            raise UserError(
                f"{name} has a trainer already, whose checkpoints another would overwrite; "
                "give each training a name: run.stage('head').build('trainer')."
            )
        run, plain = self.run, resolved(self.run.config)
        run.check_test()
        loggers = run.begin_loggers()
        callbacks = self._callbacks(plain, loggers)
        switches = {
            f"enable_{switch}": any(isinstance(callback, kind) for callback in callbacks)
            for switch, kind in (
                ("checkpointing", Checkpoint),
                ("progress_bar", ProgressBar),
                ("model_summary", ModelSummary),
            )
        }
        refuse_switches(plain["trainer"])
        profiler = {} if plain["trainer"].get("profiler") else {"profiler": NoProfiler()}
        arguments = {"callbacks": callbacks, "logger": loggers or False, **switches, **profiler, **more}
        with shared("trainer"):
            trainer: Trainer = build(
                plain["trainer"], "trainer", **alone_in_a_job({**plain["trainer"], **more}), **arguments
            )
        for callback in trainer.early_stopping_callbacks if trainer.limit_val_batches == 0 else ():
            callback._check_on_train_epoch_end = True  # Lightning waits for validations where they may be rare
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WholeCheckpoints(run.folder)
        if trainer.world_size > 1:
            os.environ[TOGETHER] = "1"
        self.trainer, self.best = trainer, BestObjective(run.objective)
        own = [self.best, ExactResume(run.is_longer), _Measurements(self), CheckpointContents(run.description)]
        trainer.callbacks.extend(own)  # type: ignore[attr-defined]  # set by one of its connectors
        if run.config.get("finite_loss", True):
            trainer.callbacks.insert(0, FiniteLoss())  # type: ignore[attr-defined]  # before those that save
        trainer.fit = self._fit_of(trainer)  # type: ignore[method-assign]  # it ends as a trial may
        return trainer

    def _callbacks(self, plain: Mapping[str, Any], loggers: Sequence[Logger]) -> list[Callback]:
        """Build what is configured; `callbacks=none` is for those of the task too."""
        entries = {name: entry for name, entry in (plain["callbacks"] or {}).items() if entry is not None}
        if entries:
            entries |= (plain.get("task") or {}).get("callbacks") or {}
        if self.name:
            entries = moved(entries, str(self.run.folder / RunFile.CHECKPOINTS), str(self.checkpoints))
        built = [build(entry, f"callbacks.{name}") for name, entry in entries.items() if entry is not None]
        for callback in built:
            if isinstance(callback, EarlyStopping) and callback.monitor == self.run.objective.metric:
                callback.strict = False  # BestObjective looks whether it is logged; here it may only be early
        # Lightning refuses to monitor learning rates for nobody.
        return [callback for callback in built if loggers or not isinstance(callback, LearningRateMonitor)]

    def _fit_of(self, trainer: Trainer) -> Any:
        """Return the trainer's `fit`, but one that tells the run what it came to, and raises TrialPruned."""
        fit = trainer.fit

        def fit_and_tell(*args: Any, **kwargs: Any) -> None:
            model: LightningModule = kwargs["model"] if "model" in kwargs else args[0]
            callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of its connectors
            pruning = [callback for callback in callbacks if isinstance(callback, Pruning)]
            for callback in pruning:
                callback.offset = self.run.steps_reported
            given = [one for one in (*args, *kwargs.values()) if isinstance(one, LightningDataModule)]
            with lean_steps(model, given[0] if given else None, callbacks):
                fit(*args, **kwargs)
            self.run.steps_reported = max([self.run.steps_reported, *(callback.reported_at for callback in pruning)])
            for callback in pruning:
                if callback.pruned:
                    raise TrialPruned(callback.pruned)
            self.run.stage_ended(self)

        return fit_and_tell


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
    ) -> None:
        self.config, self.folder = config, Path(config.folder)
        self.objective = Objective.of(resolved(config.objective))
        self.record, self.is_resumed, self.is_longer = record, earlier is not None, is_longer
        self.stages_done: dict[str, Any] = dict((earlier or {}).get("stages") or {})
        self.data: LightningDataModule | None = None
        self.model: LightningModule | None = None
        self.description: dict[str, Any] | None = None
        self.loggers: list[Logger] = []
        self.tests: dict[str, float] = {}
        self.steps_reported = 0
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
            self.record.update(signature=run_config.save(self.config, self.folder))

    def begin_loggers(self) -> list[Logger]:
        """Return the loggers, each begun once: with the configuration, and the model where it is built."""
        if self._has_begun_loggers:
            return self.loggers
        self._has_begun_loggers = True
        plain, told = resolved(self.config), masked_config(kept(self.config))
        entries = (plain.get("logger") or {}).items()
        self.loggers += [build(entry, f"logger.{name}") for name, entry in entries if entry is not None]
        for logger in self.loggers:
            if not isinstance(logger, OwnsRun):
                logger.log_hyperparams(told)
            elif self.record is not None:
                self.record.update(**logger.begin(told, self.model, self.record.facts))
        return self.loggers

    def check_test(self) -> None:
        """Make sure before a training that what `test` promises for its end can be done.

        Raises:
            SetupError: the model or the data has no test part.
        """
        if not self.config.get("test"):
            return
        parts = ((self.model, LightningModule, "test_step"), (self.data, LightningDataModule, "test_dataloader"))
        for part, kind, hook in parts:
            if part is not None and not is_overridden(hook, part, kind):
                raise SetupError(f"{type(part).__name__} has no {hook}, so there is nothing to test; write test=false.")

    def stage_ended(self, stage: Stage) -> None:
        """Note in the record that a stage with a name is over."""
        if stage.name and stage.best is not None:
            path = stage.best_checkpoint
            done = {
                "objective": stage.best_value,
                "epoch": stage.best.epoch,
                "checkpoint": path and os.path.relpath(path, self.folder),
            }
            self.stages_done[stage.name] = done
            if self.record is not None:
                self.record.update(stages=self.stages_done)

    def _build_data(self, **more: Any) -> LightningDataModule:
        data: Any = build(self.config.data, "data", **more)
        if not isinstance(data, LightningDataModule):
            raise SetupError(
                f"data._target_={self.config.data._target_} is a {type(data).__name__}, not a LightningDataModule."
            )
        self.data = data
        if asked := dict(links(self.config)):
            if rank(self.config.trainer) == 0:
                data.prepare_data()
            data.setup("fit")
            self.config = linked(self.config, data)
            if self.record is not None:
                self.record.update(links=asked)
                if self.record.has_begun:
                    self.record.update(signature=run_config.save(self.config, self.folder, keep=False))
        return data

    def _build_model(self, **more: Any) -> LightningModule:
        plain = resolved(self.config)
        description = describe(plain)
        if left := list(links(OmegaConf.create(description))):
            raise SetupError(f"{left[0][0]} of the model is an attribute of the data: call run.build('data') first.")
        self.model = build_model(description, **more)
        self.description = masked_config({**describe(kept(self.config)), **plain_items(more)})
        if self.record is not None:
            kind = type(self.model)
            self.record.update(module=f"{kind.__module__}.{kind.__qualname__}")
        if plain.get("init_from") and self.resume_from is None:  # a later stage of a resumed run begins so too
            self._initialize(Path(plain["init_from"]), plain.get("init_strict", True))
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


class _Measurements(Callback):
    """Tells the run that it has begun, and what was logged last: by the training, and by its tests."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the run begin: the checkpoint that it goes on from is loaded."""
        self.stage.run.begin()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let a run begin that has nothing more to train."""
        self.stage.run.begin()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the metrics of the training."""
        self.stage.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the metrics of the test."""
        self.stage.run.tests |= {name: float(value) for name, value in trainer.callback_metrics.items()}
