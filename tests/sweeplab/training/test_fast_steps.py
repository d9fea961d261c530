"""Hooks that nobody has written cost nothing; those that somebody has written are called, however he did it."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel

from sweeplab.training.fast_steps import STEP_HOOKS, fast_steps

STEPS = 3
TRAINER: dict[str, Any] = {
    "accelerator": "cpu",
    "max_epochs": 1,
    "limit_train_batches": STEPS,
    "limit_val_batches": 0,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def noting(base: type) -> Any:
    """A class that has written every hook of a step, and counts how often each was called."""

    def noted(hook: str) -> Any:
        def count(self: Any, *args: Any, **kwargs: Any) -> None:
            self.called[hook] = self.called.get(hook, 0) + 1

        return count

    def begin(self: Any) -> None:
        base.__init__(self)  # type: ignore[misc]  # its class is what this makes one of
        self.called = {}

    return type(f"Noting{base.__name__}", (base,), {"__init__": begin, **{hook: noted(hook) for hook in STEP_HOOKS}})


def fit(folder: Path, module: LightningModule, *callbacks: Callback) -> None:
    """Train a few steps as a run does."""
    trainer = Trainer(
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        **TRAINER,
    )
    with fast_steps(module, None, callbacks):
        trainer.fit(module, BoringDataModule())


def test_hooks_that_a_module_and_a_callback_have_are_called_at_each_step(tmp_path: Path) -> None:
    module, callback = noting(BoringModel)(), noting(Callback)()
    fit(tmp_path, module, callback)
    assert module.called == callback.called == dict.fromkeys(STEP_HOOKS, STEPS)


def test_one_hook_of_a_callback_is_called_where_the_others_are_spared(tmp_path: Path) -> None:
    class Ends(Callback):
        steps = 0

        def on_train_batch_end(self, *args: Any) -> None:
            self.steps += 1

    callback = Ends()
    with fast_steps(BoringModel(), None, [callback]):
        assert [hook for hook in STEP_HOOKS if callable(getattr(callback, hook))] == ["on_train_batch_end"]
    fit(tmp_path, BoringModel(), callback)
    assert callback.steps == STEPS


def test_a_hook_set_on_the_object_is_called_and_stays(tmp_path: Path) -> None:
    module, steps = BoringModel(), []

    def note(*args: Any) -> None:
        steps.append(1)

    module.on_before_backward = note  # type: ignore[assignment, method-assign]  # as people patch a module in a notebook
    fit(tmp_path, module)
    assert len(steps) == STEPS
    assert vars(module)["on_before_backward"] is note


def test_a_training_that_fails_leaves_the_hooks_as_they_were(tmp_path: Path) -> None:
    class Failing(BoringModel):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            raise ArithmeticError("of the module")

    module, callback = Failing(), Callback()
    with pytest.raises(ArithmeticError, match="of the module"):
        fit(tmp_path, module, callback)
    for owner in (module, callback):
        assert not [hook for hook in STEP_HOOKS if hook in vars(owner)]
        assert all(callable(getattr(owner, hook)) for hook in STEP_HOOKS)


def test_a_module_trains_twice(tmp_path: Path) -> None:
    module = noting(BoringModel)()
    for _ in range(2):
        fit(tmp_path, module)
    assert module.called == dict.fromkeys(STEP_HOOKS, 2 * STEPS)


def test_a_checkpoint_inside_an_epoch_is_written(tmp_path: Path) -> None:
    fit(tmp_path, BoringModel(), ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2))
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["step=2.ckpt"]


def test_the_checkpoint_of_an_epoch_is_spared_each_step_and_written_at_the_end(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path, "{step}", every_n_epochs=1, save_on_train_epoch_end=True)
    with fast_steps(BoringModel(), None, [checkpoint]):
        assert not callable(checkpoint.on_train_batch_end)
    fit(tmp_path, BoringModel(), checkpoint)
    assert [path.name for path in tmp_path.glob("*.ckpt")] == [f"step={STEPS}.ckpt"]


class Transfers(BoringDataModule):
    """Data whose own hook changes each batch."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch * 0


def test_what_the_data_does_to_a_batch_reaches_the_module(tmp_path: Path) -> None:
    class Looks(BoringModel):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            assert not batch.any()
            return super().training_step(batch, batch_idx)

    module, data = Looks(), Transfers()
    with fast_steps(module, data, []):
        Trainer(default_root_dir=tmp_path, enable_checkpointing=False, **TRAINER).fit(module, data)


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_gradients_are_clipped_if_the_trainer_was_asked_to(tmp_path: Path, clip: float | None) -> None:
    class Norms(BoringModel):
        def on_before_zero_grad(self, optimizer: Any) -> None:
            self.norm = max([float(p.grad.norm()) for p in self.parameters() if p.grad is not None], default=0.0)

    module = Norms()
    with fast_steps(module, None, []):
        trainer = Trainer(default_root_dir=tmp_path, enable_checkpointing=False, gradient_clip_val=clip, **TRAINER)
        trainer.fit(module, BoringDataModule())
    assert (module.norm <= 1.001e-3) == (clip is not None)


def test_a_copy_made_in_a_training_is_one_of_its_own(tmp_path: Path) -> None:
    """As callbacks that average weights make one."""
    module = BoringModel()
    with fast_steps(module, None, []):
        copied = copy.deepcopy(module)
        assert copied.configure_gradient_clipping.__self__ is copied  # type: ignore[attr-defined]  # a bound method
        pickle.loads(pickle.dumps(module))  # as processes that are started get it


def test_attributes_that_are_set_in_a_training_are_found_by_torch(tmp_path: Path) -> None:
    class Grows(BoringModel):
        def on_train_start(self) -> None:
            self.more = torch.nn.Linear(2, 2)

    module = Grows()
    fit(tmp_path, module)
    assert "more.weight" in module.state_dict()
    assert "__setattr__" not in vars(LightningModule)
