"""Test, validate or predict with a trained model from its folder alone, or with several of a study together."""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import BatchSizeFinder, Checkpoint, EarlyStopping, LearningRateFinder, WeightAveraging
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning_utilities.core.apply_func import apply_to_collection
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader

from sweeplab.build import build
from sweeplab.errors import UserError, no_early_exit
from sweeplab.records import record
from sweeplab.records.files import write_text
from sweeplab.records.layout import EvaluationFile, RunFile, moved
from sweeplab.records.links import linked, links, plain, resolved
from sweeplab.records.names import short_path
from sweeplab.records.trust import check_files
from sweeplab.training.check import check_ensemble
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.messages import hidden_warnings
from sweeplab.training.model import build_model, describe, described_in, load_weights
from sweeplab.training.no_profiler import NoProfiler
from sweeplab.training.predictions import Predictions, averaged, gathered, write_predictions
from sweeplab.training.ranks import ignoring_scheduler

log = logging.getLogger(__name__)

# What a model and its data must have of their own for a stage; a prediction is `forward` where nothing else is said.
NEEDS = {
    "test": ("test_step", "test_dataloader"),
    "validate": ("validation_step", "val_dataloader"),
    "predict": (None, "predict_dataloader"),
}
HOOKS = {"test": "on_test_", "validate": "on_validation_", "predict": "on_predict_"}
# What belongs to training, whatever hooks it has.
OF_TRAINING = (Checkpoint, EarlyStopping, WeightAveraging, BatchSizeFinder, LearningRateFinder)


def evaluate(
    owner: Path,
    runs: Sequence[Path],
    stage: str = "test",
    overrides: Sequence[str] = (),
    conf: Path | None = None,
    trusted: bool = False,
) -> Path:
    """Test, validate or predict with the best checkpoint of a run, or with several together; return what was written.

    `owner` is the folder of the run, or of the study of several. Overrides change the configuration, say the data.
    The results go to a new folder `<owner>/eval/<stage>-<time>`: `metrics.json`, with what the callbacks of this stage
    write, or the predictions. Several predict the mean of their predictions; their separate metrics stand below
    `members`, and `members.json` names them.

    Raises:
        UserError: there is no such run, stage or checkpoint, the data does not fit the model, several cannot answer
            together, or they are not `trusted` and name what `trust` does not let through.
    """
    owner = owner.resolve()
    check_files([owner / RunFile.EVALUATIONS], owner, trusted)
    rank_zero_only.rank = 0  # type: ignore[attr-defined]  # whatever the environment says: it is one process
    checked = check_ensemble([run.resolve() for run in runs], stage, overrides, conf, trusted)
    names = [os.path.relpath(run.resolve(), owner) for run in runs]
    folder = owner / RunFile.EVALUATIONS / f"{stage}-{datetime.now():%Y-%m-%d-%H-%M-%S-%f}"
    log.info("%s with %s", stage, ", ".join(os.path.relpath(path, owner) for _, path in checked))
    with hidden_warnings(), no_early_exit("the evaluation"):
        members = [Member(*each, overrides, folder, trusted) for each in checked]
        for member in members:
            member.check(stage)
        if len(members) > 1:
            write_text(folder / EvaluationFile.MEMBERS, json.dumps(names) + "\n")
        path = _predict(members, names, folder) if stage == "predict" else _measure(members, names, stage, folder)
    log.info("Written to %s", short_path(path))
    return path


class Member:
    """A trained model with the data and the trainer of its run."""

    def __init__(
        self, config: DictConfig, checkpoint: Path, overrides: Sequence[str], folder: Path, trusted: bool = False
    ) -> None:
        self.config, self.checkpoint, self.folder = config, checkpoint, folder
        seed_everything(config.seed, workers=True, verbose=False)
        self.data: LightningDataModule = build(config.data, "data")
        if any(links(config)):
            self.data.prepare_data()
            self.data.setup("fit")
            self.config = linked(config, self.data)
        self.model = self._model(overrides, trusted)

    def check(self, stage: str) -> None:
        """Make sure that model and data have what a stage needs.

        Raises:
            UserError: one of them has not.
        """
        step, loader = NEEDS[stage]
        for part, kind, name in ((self.model, LightningModule, step), (self.data, LightningDataModule, loader)):
            if name and not is_overridden(name, part, kind):
                raise UserError(f"{type(part).__name__} has no {name}; choose another stage than {stage}.")

    def measure(self, stage: str, model: LightningModule | None = None) -> dict[str, float]:
        """Return the metrics of a test or a validation, of all loaders; of another `model` where one is given."""
        trainer = self._trainer(stage)
        loop = trainer.test if stage == "test" else trainer.validate
        metrics = self._run(loop, model, verbose=model is None)
        return {name: value for each in metrics for name, value in each.items()}

    def predict(self) -> Predictions:
        """Return what `predict_step` returns for all samples."""
        trainer = self._trainer("predict")
        try:
            batches = self._run(trainer.predict, None)
        except MisconfigurationException as error:
            if "DataLoader" not in str(error):
                raise
            # To predict, Lightning makes each loader anew, and cannot if its batch size came without its name.
            self.data.predict_dataloader = _opaque(self.data.predict_dataloader)  # type: ignore[method-assign]  # for this evaluation
            trainer = self._trainer("predict")
            batches = self._run(trainer.predict, None)
        return gathered(batches, len(trainer.num_predict_batches))

    def _model(self, overrides: Sequence[str], trusted: bool) -> LightningModule:
        """Build the model as its checkpoint describes it, or as overrides of it have it."""
        content = load_checkpoint(self.checkpoint)
        has_other = any(word.lstrip("+~").split(".")[0].split("=")[0] in ("model", "task") for word in overrides)
        description = None if has_other else described_in(content, self.checkpoint, trusted)
        model = build_model(description or describe(resolved(self.config)))
        load_weights(model, content["state_dict"], self.checkpoint)
        return model.eval()

    def _run(self, loop: Any, model: LightningModule | None, **more: Any) -> Any:
        """Run the trainer; where that fails on data that is not like that of the training, say so."""
        path = None if model is not None else self.checkpoint
        try:
            return loop(model or self.model, datamodule=self.data, ckpt_path=path, weights_only=True, **more)
        except (RuntimeError, IndexError, ValueError) as error:
            if isinstance(error, UserError) or not (mismatch := self._data_mismatch()):
                raise
            raise UserError(f"this data does not fit the model: {mismatch}.") from error

    def _data_mismatch(self) -> str:
        """Return an attribute on which the model was built and that this data has otherwise; empty if there is none."""
        attributes = record.read(Path(self.config.folder)).get("links") or {}
        changes = []
        for key, attribute in attributes.items():
            before, now = OmegaConf.select(self.config, key), _attribute(self.data, attribute)
            if before is not None and now is not None and before != now:
                changes.append(f"{attribute} was {before} in training, and is {now}")
        return min(changes, key=lambda change: "." in change, default="")  # a shape says more than a mean

    def _trainer(self, stage: str) -> Trainer:
        plain_config = moved(resolved(self.config), str(self.config.folder), str(self.folder))
        # Several processes would each write a share of the samples, and none the whole.
        ignored = ("strategy", "num_nodes", "profiler")
        settings = {key: value for key, value in plain_config["trainer"].items() if key not in ignored} | {"devices": 1}
        return build(  # type: ignore[no-any-return]  # whatever the target is
            settings,
            "trainer",
            **ignoring_scheduler(settings),
            callbacks=self._callbacks(plain_config, stage),
            logger=False,
            profiler=NoProfiler(),
            enable_checkpointing=False,
            enable_model_summary=False,
        )

    def _callbacks(self, config: Mapping[str, Any], stage: str) -> list[Callback]:
        """Return the callbacks that have something to do in this stage; what they write goes to the new folder."""
        entries = (config["callbacks"] or {}) | ((config.get("task") or {}).get("callbacks") or {})
        built = [build(entry, f"callbacks.{name}") for name, entry in entries.items() if entry is not None]
        return [
            callback
            for callback in built
            if not isinstance(callback, OF_TRAINING)
            and any(
                name.startswith(HOOKS[stage]) and getattr(type(callback), name) is not hook
                for name, hook in vars(Callback).items()
            )
        ]


def _attribute(data: Any, name: str) -> Any:
    try:
        return plain(attrgetter(name)(data))
    except (AttributeError, TypeError, UserError):
        return None


class _OpaqueLoader:
    """A loader that Lightning does not take for a DataLoader, and so leaves as it is."""

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]  # those without a length raise TypeError, as they should


def _opaque(loaders: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: apply_to_collection(loaders(), DataLoader, _OpaqueLoader)


def _predict(members: Sequence[Member], names: Sequence[str], folder: Path) -> Path:
    predictions = [member.predict() for member in members]
    mean, not_averaged = averaged(predictions) if len(members) > 1 else (predictions[0], [])
    if not_averaged:
        log.warning("Not averaged, but those of %s: %s", names[0], ", ".join(not_averaged))
    return write_predictions(folder, mean, members[0].model)


def _measure(members: Sequence[Member], names: Sequence[str], stage: str, folder: Path) -> Path:
    metrics = members[0].measure(stage) if len(members) == 1 else _measure_together(members, names, stage)
    if not metrics:
        log.warning("The model logged nothing.")
    path = folder / EvaluationFile.METRICS
    write_text(path, json.dumps(metrics, indent=2) + "\n")
    return path


def _measure_together(members: Sequence[Member], names: Sequence[str], stage: str) -> dict[str, Any]:
    """Return the metrics of several models as one, and of each by itself."""
    kinds = {type(member.model) for member in members}
    ensemble = getattr(members[0].model, "ensemble", None)
    if len(kinds) > 1 or ensemble is None:
        raise UserError(
            f"{' and '.join(sorted(kind.__name__ for kind in kinds))} cannot be evaluated together: that needs a "
            "method ensemble(members) of one class; evaluate one with trial=<number>, or average with stage=predict."
        )
    each = {name: member.measure(stage) for name, member in zip(names, members, strict=True)}
    metrics = members[0].measure(stage, ensemble([member.model for member in members]).eval())
    for name, value in metrics.items():
        values = [metrics_of_member[name] for metrics_of_member in each.values()]
        log.info("%s %.4g; its members alone %.4g to %.4g", name, value, min(values), max(values))
    return {**metrics, "members": each}
