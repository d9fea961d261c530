"""The checkpoint with the best objective."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from sweeplab.records.layout import moved
from sweeplab.training.objective import logged_names


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, but one whose memory follows the run's folder, and that looks at news alone.

    Lightning's own forgets the best score of a run that is resumed in another place. Where validations and epochs do
    not end together, it looks at a metric of the training when a validation ends, and finds that of the epoch before.
    """

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, unless the metric is one of the training, which comes when the epoch ends."""
        if self.monitor is None or self._is_of_validation(trainer):
            super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, unless there is no such metric yet."""
        if self.monitor is None or self.monitor in trainer.callback_metrics:
            super().on_train_epoch_end(trainer, pl_module)

    def _should_save_on_train_epoch_end(self, trainer: Trainer) -> bool:
        if self.monitor is None or self._is_of_validation(trainer):
            return super()._should_save_on_train_epoch_end(trainer)
        return True

    def _is_of_validation(self, trainer: Trainer) -> bool:
        return self.monitor in logged_names(trainer.fit_loop.epoch_loop.val_loop._results)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, with the paths in it moved to where the run is now."""
        super().load_state_dict(moved(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))
