"""The hooks of a training that somebody has written, found once: Lightning asks every callback at every step."""

from collections.abc import Callable, Iterable
from typing import Any

from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class Hooks:
    """Calls hooks of the callbacks and of the module, in Lightning's order, as far as somebody has written them.

    `self.log` works in them as it does in Lightning's own loops. They are those of the callbacks that the trainer has
    now; `is_current` says whether it still has them.
    """

    def __init__(self, trainer: Trainer, names: Iterable[str]) -> None:
        self._trainer, self._module = trainer, trainer.lightning_module
        self._callbacks = list(_callbacks(trainer))
        self._of_callbacks = {name: self._written(name) for name in names}
        self._of_module = {
            name: getattr(self._module, name)
            for name in self._of_callbacks
            if is_written(self._module, LightningModule, name)
        }

    @property
    def is_current(self) -> bool:
        """Whether the trainer still has the callbacks that these hooks are of."""
        return self._callbacks == _callbacks(self._trainer)

    def __call__(self, name: str, *args: Any) -> Any:
        """Call a hook; return what that of the module returns."""
        of_callbacks, of_module = self._of_callbacks[name], self._of_module.get(name)
        if not of_callbacks and of_module is None:
            return None
        before = self._module._current_fx_name
        set_current(self._module, name)
        for hook in of_callbacks:
            hook(self._trainer, self._module, *args)
        returned = None if of_module is None else of_module(*args)
        set_current(self._module, before)
        return returned

    def _written(self, name: str) -> list[Callable[..., Any]]:
        return [getattr(each, name) for each in self._callbacks if is_written(each, Callback, name)]


def is_written(owner: object, kind: type, name: str) -> bool:
    """Say whether a hook is more than the empty one of its kind: in the class, or set on the object."""
    if name not in vars(owner) and getattr(type(owner), name, None) is getattr(kind, name):
        return False
    return callable(getattr(owner, name))


def set_current(module: LightningModule, name: str | None) -> None:
    """Tell `self.log` which hook runs; torch would search each attribute that is set for weights."""
    object.__setattr__(module, "_current_fx_name", name)


def call_own(module: LightningModule, name: str, *args: Any, **kwargs: Any) -> None:
    """Call a hook that the module alone has."""
    before = module._current_fx_name
    set_current(module, name)
    getattr(module, name)(*args, **kwargs)
    set_current(module, before)


def transfer(trainer: Trainer) -> Callable[[Any, int], Any]:
    """Return what brings a batch to the device, by the hooks of module and data if they have written any."""
    module, data = trainer.lightning_module, trainer.datamodule  # type: ignore[attr-defined]  # set by a connector
    strategy, precision = trainer.strategy, trainer.precision_plugin
    if any(is_overridden(hook, module) or is_overridden(hook, data) for hook in TRANSFER_HOOKS):

        def hooked(batch: Any, loader: int) -> Any:
            batch = module._on_before_batch_transfer(precision.convert_input(batch), dataloader_idx=loader)
            return strategy.batch_to_device(batch, dataloader_idx=loader)

        return hooked
    device = strategy.root_device
    blocks = device.type in ("cpu", "mps")  # where Lightning waits for the copy too

    def direct(batch: Any, loader: int) -> Any:
        batch = precision.convert_input(batch)
        if type(batch) is tuple and all(type(part) is Tensor for part in batch):
            return tuple(part.to(device, non_blocking=not blocks) for part in batch)
        return move_data_to_device(batch, device)

    return direct


def _callbacks(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined,no-any-return]  # set by one of its connectors
