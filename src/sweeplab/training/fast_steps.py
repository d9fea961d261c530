"""Less work around each training step: what Lightning does for every hook of every callback, done cheaper.

On small networks it takes as long as the network itself: each of some 60 hooks a step, called for each callback though
nobody has written it, costs microseconds. `bench/step.py` measures what this saves.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
NOTHING: AbstractContextManager[str] = nullcontext("")


class NoProfiler(PassThroughProfiler):
    """Measures nothing, without making a generator each time: Lightning asks some 60 times a step."""

    def profile(self, action_name: str) -> AbstractContextManager[str]:  # type: ignore[override]  # enough for `with`
        """Return the same empty context every time."""
        return NOTHING


@contextmanager
def fast_steps(
    module: LightningModule, data: LightningDataModule | None, callbacks: Sequence[Callback]
) -> Iterator[None]:
    """Let a training within the block skip the hooks that nobody has written.

    Such a hook is None for a while: Lightning passes over what cannot be called, and then neither makes the name by
    which a profiler would know it nor enters the profiler.
    """
    owners: list[tuple[LightningModule | Callback, type]]
    owners = [(module, LightningModule), *((callback, Callback) for callback in callbacks)]
    replaced = [(owner, hook) for owner, kind in owners for hook in STEP_HOOKS if _is_idle(owner, kind, hook)]
    for owner, hook in replaced:
        setattr(owner, hook, None)
    if not any(is_overridden(hook, module) or (data and is_overridden(hook, data)) for hook in TRANSFER_HOOKS):
        replaced.append((module, "_call_batch_hook"))
        module._call_batch_hook = _transferred  # type: ignore[assignment,method-assign]  # as Lightning does in the end
    try:
        with _quick_hook_names():
            yield
    finally:
        for owner, name in replaced:
            vars(owner).pop(name, None)


def _is_idle(owner: LightningModule | Callback, kind: type, hook: str) -> bool:
    if hook in vars(owner):
        return False
    if hook == "on_train_batch_end" and isinstance(owner, ModelCheckpoint) and not _saves_inside_epochs(owner):
        return type(owner).on_train_batch_end is ModelCheckpoint.on_train_batch_end
    return getattr(type(owner), hook) is getattr(kind, hook)


def _saves_inside_epochs(callback: ModelCheckpoint) -> bool:
    return callback._every_n_train_steps > 0 or callback._train_time_interval is not None


def _transferred(hook: str, batch: Any, *arguments: Any) -> Any:
    """Do what the hooks around the transfer of a batch do where nobody has written one."""
    if hook != "transfer_batch_to_device":
        return batch
    device = arguments[0]
    if type(batch) is tuple and all(type(part) is Tensor for part in batch):
        non_blocking = device.type not in ("cpu", "mps")  # where Lightning waits too
        return tuple(part.to(device, non_blocking=non_blocking) for part in batch)
    return move_data_to_device(batch, device)


@contextmanager
def _quick_hook_names() -> Iterator[None]:
    """Let Lightning set the name of the current hook quickly.

    It does so some 40 times a step in an attribute of the module, and torch searches each that is set for weights.
    """
    before = vars(LightningModule).get("__setattr__")
    LightningModule.__setattr__ = _set_attribute  # type: ignore[assignment,method-assign]  # for a while
    try:
        yield
    finally:
        if before is None:
            del LightningModule.__setattr__
        else:
            LightningModule.__setattr__ = before  # type: ignore[method-assign]  # of a training around this one


def _set_attribute(module: LightningModule, name: str, value: Any) -> None:
    if name == "_current_fx_name":
        object.__setattr__(module, name, value)
    else:
        super(LightningModule, module).__setattr__(name, value)
