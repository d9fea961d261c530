"""The callbacks that write checkpoints: the best, the one that a run goes on from, and what each file holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.records.layout import moved
from sweeplab.secrets import masked_config
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.model import DESCRIPTION
from sweeplab.training.objective import logged_names

# Where ModelCheckpoint notes the files that it may remove.
PATHS = ("best_model_path", "last_model_path", "kth_best_model_path")
PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.Tensor, torch.Size, torch.dtype, torch.device)


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, but one whose memory follows the run's folder, and that looks at news alone.

    Lightning's own forgets the best score of a run that is resumed in another place. Where validations and epochs do
    not end together, it looks at a metric of the training when a validation ends, and finds that of the epoch before.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Save, if it is to do so inside epochs; Lightning's own looks at the whole trainer to find that it is not."""
        if self._every_n_train_steps > 0 or self._train_time_interval is not None:
            super().on_train_batch_end(trainer, pl_module, *args)

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


class LastCheckpoint(Checkpoint):
    """Keeps the state between two epochs in one file; with `every_n_steps` inside epochs as well.

    Lightning's ModelCheckpoint saves while an epoch ends, before its schedulers have taken their step, and a run that
    goes on from there never takes it. This one saves when the next epoch begins, and when training is over.
    """

    def __init__(self, path: str, every_n_steps: int | None = None) -> None:
        self.path, self.every_n_steps = path, every_n_steps
        self._saved_at = 0
        self._stepped_to = 0
        self._is_due = self._between_epochs = self._has_been_read = False

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
                self._read_once()
            self._between_epochs = False
            self._saved_at = trainer.global_step

    def _read_once(self) -> None:
        """Load the first one: better to learn now than at the end that no run could go on from it."""
        if not self._has_been_read and Path(self.path).is_file():
            self._has_been_read = True
            load_checkpoint(Path(self.path), mmap=True)


class CheckpointContents(Callback):
    """Adds the `description` of the model to each checkpoint, and leaves hyperparameters out that are objects.

    A test of a checkpoint tests the weights that its validation had: callbacks that average weights, such as
    Lightning's `WeightAveraging`, put those of the training back as they load one.
    """

    def __init__(self, description: Mapping[str, Any] | None) -> None:
        self.description = description

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint one that loads with `weights_only=True`, and can be built again."""
        if self.description is not None:
            checkpoint[DESCRIPTION] = dict(self.description)
        for key in (LightningModule.CHECKPOINT_HYPER_PARAMS_KEY, "datamodule_hyper_parameters"):
            if key in checkpoint:
                checkpoint[key] = masked_config(plain_items(checkpoint[key]))
        checkpoint.pop(LightningModule.CHECKPOINT_HYPER_PARAMS_TYPE, None)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the weights of the checkpoint again, whatever callbacks before this one made of them.

        Raises:
            UserError: it names files elsewhere, which a callback that keeps the best checkpoints would remove.
        """
        _check_paths(trainer, checkpoint)
        if trainer.state.fn is not TrainerFn.FITTING and "state_dict" in checkpoint:
            pl_module.load_state_dict(checkpoint["state_dict"], strict=pl_module.strict_loading)


def _check_paths(trainer: Trainer, checkpoint: Mapping[str, Any]) -> None:
    if any("://" in str(getattr(callback, "dirpath", "")) for callback in trainer.checkpoint_callbacks):
        return  # they lie with somebody else anyway
    for state in (checkpoint.get("callbacks") or {}).values():
        kept = state.get("best_k_models") if isinstance(state, Mapping) else None
        names = [*(kept or ()), *(state[key] for key in PATHS if key in state)] if kept is not None else []
        for name in map(str, names):
            if ".." in Path(name).parts or "://" in name:
                raise UserError(
                    f"the checkpoint names {name} as one of its own, which it would remove; it is not loaded."
                )


def plain_items(values: Any) -> dict[str, Any]:
    """Return the items that are plain data through and through."""
    content: Any = OmegaConf.to_container(values, resolve=True) if OmegaConf.is_config(values) else values
    return {str(key): value for key, value in content.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return type(value) is dict and all(map(_is_plain, [*value, *value.values()]))
    if isinstance(value, list | tuple | set):
        return type(value) in (list, tuple, set, torch.Size) and all(map(_is_plain, value))
    return type(value) in PLAIN or isinstance(value, torch.Tensor)
