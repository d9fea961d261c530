"""Less work around each training step: what Lightning does for every hook of every callback, done cheaper.

`bench/step.py` measures what it saves.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler

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


@contextmanager
def without_idle_hooks(module: LightningModule, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Spare Lightning the hooks of each step that nobody has written: what cannot be called, it passes over."""
    owners: list[tuple[LightningModule | Callback, type]]
    owners = [(module, LightningModule), *((callback, Callback) for callback in callbacks)]
    idle = [(owner, hook) for owner, kind in owners for hook in STEP_HOOKS if _is_idle(owner, kind, hook)]
    for owner, hook in idle:
        setattr(owner, hook, None)
    try:
        yield
    finally:
        for owner, hook in idle:
            vars(owner).pop(hook, None)


def _is_idle(owner: LightningModule | Callback, kind: type, hook: str) -> bool:
    if hook in vars(owner):
        return False
    if hook == "on_train_batch_end" and isinstance(owner, ModelCheckpoint) and not _saves_inside_epochs(owner):
        return type(owner).on_train_batch_end is ModelCheckpoint.on_train_batch_end
    return getattr(type(owner), hook) is getattr(kind, hook)


def _saves_inside_epochs(callback: ModelCheckpoint) -> bool:
    return callback._every_n_train_steps > 0 or callback._train_time_interval is not None
