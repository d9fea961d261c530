"""What a checkpoint holds besides Lightning's own: a description of its model, and nothing but plain data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.secrets import masked_config
from sweeplab.training.model import DESCRIPTION

# Where ModelCheckpoint notes the files that it may remove.
_PATHS = ("best_model_path", "last_model_path", "kth_best_model_path")
PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.Tensor, torch.Size, torch.dtype, torch.device)


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
        names = [*(kept or ()), *(state[key] for key in _PATHS if key in state)] if kept is not None else []
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
