"""Averages of the weights of a training's last part, which are what is validated, saved and tested."""

import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging

from sweeplab.errors import UserError


class StochasticWeightAveraging(WeightAveraging):
    """The mean of the weights of every step behind `start`, a share of the training (arXiv 1803.05407).

    Validation, checkpoints and tests are of the mean, and before it begins of the weights themselves. Lightning's
    callback of this name validates and saves the weights of the last step, and Lightning's `WeightAveraging` those that
    the training began with, until the mean begins.
    """

    def __init__(self, start: float = 0.75, device: str | None = None, use_buffers: bool = True) -> None:
        super().__init__(device=device, use_buffers=use_buffers)
        if not 0 <= start < 1:
            raise UserError(f"start={start} must be a share of the training, at least 0 and below 1.")
        self.start = start
        self._first_step = math.inf

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the step that the mean begins with.

        Raises:
            UserError: nobody knows when the training ends.
        """
        steps = trainer.estimated_stepping_batches
        if steps == math.inf:
            raise UserError("averaging must know when training ends: set trainer.max_epochs or trainer.max_steps.")
        self._first_step = self.start * steps

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Say whether a step counts."""
        return step_idx is not None and step_idx >= self._first_step

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the mean, once there is one."""
        if self._has_begun():
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train on with the weights of the training."""
        if self._has_begun():
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the mean in the model."""
        if self._has_begun():
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the mean, and the weights of the training to resume from."""
        if self._has_begun():
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Load both, where the checkpoint has both."""
        if "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def _has_begun(self) -> bool:
        return self._average_model is not None and int(self._average_model.n_averaged) > 0
