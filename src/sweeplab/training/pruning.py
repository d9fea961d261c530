"""A trial that is not worth its time, stopped while it runs."""

import math
from typing import Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from sweeplab.errors import SetupError, UserError, did_you_mean
from sweeplab.sweep.trial import current


class Pruning(Checkpoint):
    """Reports a metric to the trial that this process runs, and stops when the study says so.

    With `every="epoch"` it reports once at the end of each epoch that had a validation, or of each one where there is
    none, by the number of the epoch counted from 1. With a number of steps it reports a validation when it ends, by the
    global step, if that many steps have passed since the last report: 1 means every validation. It reports only numbers
    that are finite. In a single run it does nothing.

    Training ends in good order; `pruned` then says when and at what value. A training that is over when it reports is
    not pruned: nothing would be saved, and its result lost. (A `Checkpoint`, since Lightning lets these see what a
    module logs at the end of an epoch.)
    """

    def __init__(self, monitor: str, every: Literal["epoch"] | int = "epoch") -> None:
        if every != "epoch" and (type(every) is not int or every < 1):
            raise UserError(f"callbacks.pruning.every={every} is not known; write epoch, or a number of steps.")
        self.monitor, self.every = monitor, every
        self.pruned: str | None = None
        self.offset = 0  # steps of trainings before this one in the same run
        self.reported_at = 0
        self._in_trial = False
        self._validated = False
        self._validated_at = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out whether there is a trial, of which only the first process knows; the sanity check is over by now."""
        self._in_trial = trainer.strategy.broadcast(current() is not None)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report, if it is time; else note for the end of the epoch that there is something new."""
        if not self._in_trial:
            return
        if self.every == "epoch":
            self._validated = True
        elif trainer.global_step - self._validated_at >= self.every:
            self._validated_at = trainer.global_step
            self._report(trainer, trainer.global_step, "step")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report what the epoch came to."""
        if self._validated or (self._in_trial and self.every == "epoch" and not trainer.enable_validation):
            self._validated = False
            self._report(trainer, trainer.current_epoch + 1, "epoch")

    def _report(self, trainer: Trainer, step: int, unit: str) -> None:
        if self.pruned:  # it goes on to trainer.min_epochs
            return
        if self.monitor not in trainer.callback_metrics:
            near = did_you_mean(self.monitor, sorted(trainer.callback_metrics))
            raise SetupError(f"callbacks.pruning.monitor={self.monitor} is not logged{near}")
        value = float(trainer.callback_metrics[self.monitor])
        trial = current()
        self.reported_at = step + self.offset
        stop = trial is not None and math.isfinite(value) and trial.report(value, self.reported_at)
        if trainer.strategy.broadcast(stop) and not _ends_anyway(trainer):
            self.pruned = f"pruned at {unit} {step}: {self.monitor} {value:.4g}"
            trainer.should_stop = True


def _ends_anyway(trainer: Trainer) -> bool:
    epochs, steps = trainer.max_epochs, trainer.max_steps
    last_epoch = epochs is not None and epochs > 0 and trainer.current_epoch + 1 >= epochs
    in_its_end = last_epoch and trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
    return trainer.should_stop or in_its_end or 0 < steps <= trainer.global_step
