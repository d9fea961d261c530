"""The checkpoint that a run goes on from."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from sweeplab.training.checkpoint_file import load_checkpoint


class LastCheckpoint(Checkpoint):
    """Keeps the state between two epochs in one file; with `every_n_steps` inside epochs as well.

    Lightning's ModelCheckpoint saves while an epoch ends, before its schedulers have taken their step, and a run that
    goes on from there never takes it. This one saves when the next epoch begins, and when training is over.
    """

    def __init__(self, path: str, every_n_steps: int | None = None) -> None:
        self.path, self.every_n_steps = path, every_n_steps
        self._saved_at = 0
        self._stepped_to = 0
        self._is_due = self._between_epochs = self._has_looked = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where training goes on, which is saved already; and that it does not, if it was stopped early."""
        self._saved_at = self._stepped_to = trainer.global_step
        for callback in trainer.early_stopping_callbacks:
            trainer.should_stop |= callback.wait_count >= callback.patience

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what the epoch before came to."""
        self._save(trainer, between_epochs=True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Save inside an epoch, if it is time; several optimizers take several steps a batch.

        Where a validation or the end of the epoch follows, it is time behind the next batch: Lightning goes on behind
        them.
        """
        if self.every_n_steps is None:
            return
        before, self._stepped_to = self._stepped_to, trainer.global_step
        self._is_due |= before // self.every_n_steps < trainer.global_step // self.every_n_steps
        loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
        assert fetcher is not None
        if self._is_due and not loop.batch_progress.is_last_batch and not loop._should_check_val_fx(fetcher):
            self._is_due = False
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what training came to."""
        self._save(trainer, between_epochs=True)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Count epochs as Lightning does while one ends: the only state between epochs that it can go on from."""
        if self._between_epochs:
            for count in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
                count["ready"], count["completed"] = count["started"], count["processed"] - 1

    def _save(self, trainer: Trainer, between_epochs: bool = False) -> None:
        if trainer.global_step != self._saved_at and not trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by a connector
            self._between_epochs = between_epochs
            part = f"{self.path}.part"
            trainer.save_checkpoint(part, weights_only=False)
            if trainer.is_global_zero:
                Path(part).replace(self.path)  # Lightning's own writing is not atomic everywhere
                self._look()
            self._between_epochs = False
            self._saved_at = trainer.global_step

    def _look(self) -> None:
        """Look once whether a run could go on from it: that objects are inside is better known now than at the end."""
        if not self._has_looked and Path(self.path).is_file():
            self._has_looked = True
            load_checkpoint(Path(self.path), mmap=True)
