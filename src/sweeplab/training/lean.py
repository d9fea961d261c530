"""Less work around each training step: what Lightning does for every hook of every callback, done cheaper.

`bench/step.py` measures what it saves.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler
from torch import Tensor
from torch.optim import Optimizer

NOTHING: AbstractContextManager[str] = nullcontext("")


class NoProfiler(PassThroughProfiler):
    """Measures nothing, without making a generator each time: Lightning asks some 60 times a step."""

    def profile(self, action_name: str) -> AbstractContextManager[str]:  # type: ignore[override]  # enough for `with`
        """Return the same empty context every time."""
        return NOTHING


STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


def skip_idle_hooks(callbacks: Iterable[Callback]) -> None:
    """Spare Lightning the hooks of each step that a callback leaves empty: what cannot be called, it passes over."""
    for callback in callbacks:
        for hook in STEP_HOOKS:
            if getattr(type(callback), hook) is getattr(Callback, hook):
                setattr(callback, hook, None)
        if isinstance(callback, ModelCheckpoint) and not _saves_inside_epochs(callback):
            callback.on_train_batch_end = None  # type: ignore[assignment,method-assign]  # as above


def _saves_inside_epochs(callback: ModelCheckpoint) -> bool:
    return callback._every_n_train_steps > 0 or callback._train_time_interval is not None


class LeanModule(LightningModule):
    """A module without its empty hooks, that takes Lightning's note of the current hook for what it is.

    Lightning sets that attribute some 50 times a step, and torch searches each attribute that is set for weights.
    """

    def __init__(self) -> None:
        super().__init__()
        for hook in STEP_HOOKS:
            if getattr(type(self), hook) is getattr(LightningModule, hook):
                setattr(self, hook, None)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        return batch if _is_plain(batch) else super()._on_before_batch_transfer(batch, dataloader_idx)

    def _apply_batch_transfer_handler(
        self, batch: Any, device: torch.device | None = None, dataloader_idx: int = 0
    ) -> Any:
        if _is_plain(batch):
            return tuple(part.to(device or self.device, non_blocking=True) for part in batch)
        return super()._apply_batch_transfer_handler(batch, device, dataloader_idx)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients, if the trainer was asked to."""
        if gradient_clip_val is not None:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)


def _is_plain(batch: Any) -> bool:
    return type(batch) is tuple and all(type(part) is Tensor for part in batch)
