"""One training of a run: its trainer, its checkpoints, its best value."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, StochasticWeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import PassThroughProfiler, Profiler
from lightning.pytorch.utilities.model_helpers import is_overridden

from sweeplab.build import build
from sweeplab.errors import SetupError, UserError
from sweeplab.records.ending import TrialPruned
from sweeplab.records.layout import RunFile, moved
from sweeplab.records.links import resolved
from sweeplab.records.names import short_path
from sweeplab.training.checkpoint_callbacks import BestCheckpoint, CheckpointContents
from sweeplab.training.checkpoint_file import WholeCheckpoints
from sweeplab.training.exact_resume import ExactResume
from sweeplab.training.finite_loss import FiniteLoss
from sweeplab.training.freezing import FrozenStatistics
from sweeplab.training.no_profiler import NoProfiler
from sweeplab.training.objective import BestObjective
from sweeplab.training.preflight import SWITCHES, refuse_switches, setup_errors
from sweeplab.training.pruning import Pruning
from sweeplab.training.ranks import TOGETHER, ignoring_scheduler
from sweeplab.training.tuning import Target, refuse_searched, search, target, without_finders

if TYPE_CHECKING:
    from sweeplab.training.run import Run

log = logging.getLogger(__name__)


class Stage:
    """One training of a run. Most runs have a single one, without a name."""

    def __init__(self, run: "Run", name: str) -> None:
        self.run, self.name = run, name
        self.checkpoints = run.folder / RunFile.CHECKPOINTS / name
        self.trainer: Trainer | None = None
        self.best: BestObjective | None = None
        self.metrics: dict[str, float] = {}
        self._finders: list[Callback] = []

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
        _check_test(run)
        loggers = run.begin_loggers()
        self._finders, configured = without_finders(self._configured_callbacks(plain, loggers))
        settings = plain["trainer"]
        refuse_switches(settings)
        arguments: dict[str, Any] = {"callbacks": configured, "logger": loggers or False}
        for name, kind in SWITCHES.items():
            arguments[name] = any(isinstance(callback, kind) for callback in configured)
        if not settings.get("profiler"):
            arguments["profiler"] = NoProfiler()
        with setup_errors("trainer"):
            trainer: Trainer = build(settings, "trainer", **ignoring_scheduler(settings | more), **arguments | more)
        _write_to(run.folder, trainer.profiler, self.name)  # type: ignore[attr-defined]  # set by one of its connectors
        for callback in trainer.early_stopping_callbacks if trainer.limit_val_batches == 0 else ():
            callback._check_on_train_epoch_end = True  # Lightning waits for validations where they may be rare
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WholeCheckpoints(run.folder)
        if trainer.world_size > 1:
            os.environ[TOGETHER] = "1"
        self.trainer, self.best = trainer, BestObjective(run.objective)
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of its connectors
        callbacks += [self.best, ExactResume(run.is_longer), _RunUpdates(self), CheckpointContents(run.description)]
        if patterns := plain.get("freeze"):
            callbacks.append(FrozenStatistics(patterns))
        if run.config.get("finite_loss", True):
            callbacks.insert(0, FiniteLoss())  # before those that save
        trainer.fit = self._fit_of(trainer)  # type: ignore[method-assign]  # it ends as a trial may
        return trainer

    def _configured_callbacks(self, plain: Mapping[str, Any], loggers: Sequence[Logger]) -> list[Callback]:
        """Build what is configured; `callbacks=none` is for those of the task too."""
        entries = {name: entry for name, entry in (plain["callbacks"] or {}).items() if entry is not None}
        if entries:
            entries |= (plain.get("task") or {}).get("callbacks") or {}
        if self.name:
            entries = moved(entries, str(self.run.folder / RunFile.CHECKPOINTS), str(self.checkpoints))
        built = [build(entry, f"callbacks.{name}") for name, entry in entries.items() if entry is not None]
        for callback in built:
            if isinstance(callback, StochasticWeightAveraging) and any(
                isinstance(each, BestCheckpoint) for each in built
            ):
                log.warning(
                    "%s averages weights that are neither validated nor saved in the best checkpoint, which is what is "
                    "tested; callbacks=[default,swa] averages weights that are.",
                    type(callback).__name__,
                )
            if isinstance(callback, EarlyStopping) and callback.monitor == self.run.objective.metric:
                callback.strict = False  # BestObjective looks whether it is logged; here it may only be early
        # Lightning refuses to monitor learning rates for nobody.
        return [callback for callback in built if loggers or not isinstance(callback, LearningRateMonitor)]

    def _fit_of(self, trainer: Trainer) -> Any:
        """Return the trainer's `fit`, but one that raises TrialPruned, and notes in the record that a stage is over."""
        fit, run = trainer.fit, self.run

        def fit_and_record(*args: Any, **kwargs: Any) -> None:
            model: LightningModule = kwargs["model"] if "model" in kwargs else args[0]
            callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of its connectors
            pruning = [callback for callback in callbacks if isinstance(callback, Pruning)]
            for callback in pruning:
                callback.offset = run.steps_reported
            data = [argument for argument in (*args, *kwargs.values()) if isinstance(argument, LightningDataModule)]
            more = {name: value for name, value in kwargs.items() if name != "model"}
            for finder in self._finders:
                self._tune(finder, target(finder, model, data), model, *args[1:], **more)
            fit(*args, **kwargs)
            run.steps_reported = max([run.steps_reported, *(callback.reported_at for callback in pruning)])
            for callback in pruning:
                if callback.pruned:
                    raise TrialPruned(callback.pruned)
            self._record_end()

        return fit_and_record

    def _tune(self, finder: Callback, tuned: Target, *args: Any, ckpt_path: Any = None, **kwargs: Any) -> None:
        """Let a finder search, and set what it finds; a training that goes on has what was found before."""
        run, key = self.run, self.run.key_of(tuned.group, tuned.name)
        if ckpt_path is not None:
            value = (run.tuned_values.get(self.name, {}) if self.name else run.tuned_values).get(key)
        else:
            refuse_searched(key)
            if (value := search(finder, resolved(run.config)["trainer"], *args, **kwargs)) is not None:
                run.tuned(key, value, self.name)
        if value is not None:
            tuned.set(value)

    def _record_end(self) -> None:
        """Note in the record that a stage with a name is over."""
        run, path = self.run, self.best_checkpoint
        if self.name and self.best is not None:
            run.stages_done[self.name] = {
                "objective": self.best_value,
                "epoch": self.best.epoch,
                "checkpoint": path and os.path.relpath(path, run.folder),
                "reported": run.steps_reported,
            }
            if run.record is not None:
                run.record.update(stages=run.stages_done)


def _write_to(folder: Path, profiler: Profiler, stage: str) -> None:
    """Let a profiler write to the folder of the run, by the name of a stage, unless it has a place of its own."""
    if isinstance(profiler, PassThroughProfiler):
        return
    name = f"profile-{stage}" if stage else "profile"
    profiler.dirpath, profiler.filename = profiler.dirpath or folder, profiler.filename or name
    log.info("The profile is written to %s", short_path(Path(profiler.dirpath, f"fit-{profiler.filename}.txt")))


def _check_test(run: "Run") -> None:
    """Make sure before a training that what `test` promises for its end can be done.

    Raises:
        SetupError: the model or the data has no test part.
    """
    parts = ((run.model, LightningModule, "test_step"), (run.data, LightningDataModule, "test_dataloader"))
    for part, kind, hook in parts if run.config.get("test") else ():
        if part is not None and not is_overridden(hook, part, kind):
            raise SetupError(f"{type(part).__name__} has no {hook}, so there is nothing to test; write test=false.")


class _RunUpdates(Callback):
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
