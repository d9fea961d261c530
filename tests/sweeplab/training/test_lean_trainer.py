"""LeanTrainer does what Lightning's Trainer does: the same hooks in the same order, the same numbers bit by bit."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.demos.boring_classes import BoringModel, RandomDataset
from lightning.pytorch.loggers import Logger
from lightning.pytorch.trainer import call
from torch import Tensor
from torch.optim import LBFGS, SGD, Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader

from sweeplab.trainers import LeanTrainer
from sweeplab.training.lean_trainer import STEP_HOOKS

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
SMALL: dict[str, Any] = {"max_epochs": 2, "limit_train_batches": 5, "limit_val_batches": 2, "log_every_n_steps": 2}
Call = tuple[str, ...]
SELDOM = {"on_exception", "state_dict", "load_state_dict", "on_fit_start", "setup", "teardown"}
HOOKS = [name for name, hook in vars(Callback).items() if name.startswith("on_") and name not in SELDOM]
OWN = ("backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step")


class Notes(Logger):
    """Keeps what is logged."""

    name, version = "notes", 0

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((step, metrics))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass


def note(owner: Any, hooks: Iterable[str]) -> list[Call]:
    """Let an object tell each call of these hooks, with what can be compared, before it does what it does."""
    calls: list[Call] = []

    def noted(hook: str) -> Callable[..., Any]:
        does = getattr(owner, hook)

        def call(*args: Any, **kwargs: Any) -> Any:
            trainer = owner.trainer if isinstance(owner, LightningModule) else args[0]
            plain = [
                each.detach() if isinstance(each, Tensor) else each for each in args if not hook.endswith("_checkpoint")
            ]
            values = [str(each) for each in plain if isinstance(each, int | float | Tensor | dict)]
            calls.append((hook, str(trainer.global_step), str(trainer.current_epoch), *values))
            return does(*args, **kwargs)

        return call

    for hook in hooks:
        setattr(owner, hook, noted(hook))
    return calls


class Logs(BoringModel):
    """Logs in every way, by step and by epoch, from steps and from hooks."""

    def training_step(self, batch: Tensor, batch_idx: int) -> Any:
        loss = self.step(batch)
        self.log("both", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("step", loss * 2)
        self.log_dict({"sum": float(batch_idx)}, on_step=False, on_epoch=True, reduce_fx="sum")
        if batch_idx % 2:
            self.log("odd", 1.0)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> Any:
        loss = self.step(batch)
        self.log("val", loss)
        self.log("val_step", loss, on_step=True, on_epoch=True)
        return {"x": loss}

    def on_train_batch_end(self, *args: Any) -> None:
        self.log("end", float(self.global_step))

    def on_validation_batch_end(self, *args: Any) -> None:
        self.log("val_end", 3.0)

    def on_train_epoch_end(self) -> None:
        self.log("epochs", float(self.current_epoch))


class Skips(BoringModel):
    """Returns no loss for some batches, and more than a loss for others."""

    def training_step(self, batch: Tensor, batch_idx: int) -> Any:
        loss = self.step(batch)
        return None if batch_idx == 1 else {"loss": loss, "more": loss.detach() * 2} if batch_idx == 2 else loss


class LeavesEpoch(BoringModel):
    """Ends an epoch before its last batch."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        return -1 if batch_idx == 3 else None


class OwnWays(BoringModel):
    """Has every hook of an optimization of its own."""

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        (loss * 2).backward()  # type: ignore[no-untyped-call]  # torch

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        optimizer.zero_grad(set_to_none=False)

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        self.clip_gradients(optimizer, gradient_clip_val=0.01, gradient_clip_algorithm="norm")


class OwnStep(BoringModel):
    """Takes an optimizer's step every other batch."""

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        if batch_idx % 2:
            optimizer.step(closure=optimizer_closure)
        else:
            optimizer_closure()


class Searches(BoringModel):
    """Has an optimizer that asks for the loss several times a step."""

    def configure_optimizers(self) -> Any:
        return LBFGS(self.parameters(), lr=0.1, max_iter=3)


class Schedules(BoringModel):
    """Has a schedule by steps, and no batch index."""

    def training_step(self, batch: Tensor) -> Any:  # type: ignore[override]  # Lightning takes it without an index
        return self.step(batch)

    def configure_optimizers(self) -> Any:
        optimizer = Adam(self.parameters(), lr=0.1)
        return [optimizer], [{"scheduler": StepLR(optimizer, 2), "interval": "step"}, StepLR(optimizer, 1)]


class Waits(Logs):
    """Has a schedule that waits for a metric."""

    def configure_optimizers(self) -> Any:
        optimizer = SGD(self.parameters(), lr=0.1)
        schedule = {"scheduler": ReduceLROnPlateau(optimizer, patience=0), "monitor": "val"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


class Manual(BoringModel):
    """Optimizes by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.zero_grad()
        self.manual_backward(self.step(batch))
        optimizer.step()


class Iterates(BoringModel):
    """Takes batches from the iterator by itself."""

    def training_step(self, dataloader_iter: Any) -> Any:  # type: ignore[override]  # Lightning goes by the name
        batch, _, _ = next(dataloader_iter)
        return self.step(batch)


class TwoLoaders(Logs):
    """Validates on two sets, and takes the second more seriously."""

    def validation_step(self, batch: Tensor, batch_idx: int, dataloader_idx: int) -> None:  # type: ignore[override]  # as two loaders want it
        self.log("val", self.step(batch) * (1 + dataloader_idx))

    def on_validation_batch_end(self, *args: Any) -> None:
        assert isinstance(args[-1], int)

    def val_dataloader(self) -> Any:
        return [DataLoader(RandomDataset(32, 8), batch_size=size) for size in (1, 2)]


class Changes(BoringModel):
    """Changes batches on their way."""

    def on_before_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Tensor:
        return batch * 2

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Tensor:
        return batch + 1


MODULES = (
    Logs, Skips, LeavesEpoch, OwnWays, OwnStep, Searches, Schedules, Waits, Manual, Iterates, TwoLoaders, Changes,
)  # fmt: skip


class Outcome:
    """What a training came to, in all that can be seen of it."""

    def __init__(
        self,
        kind: type[Trainer],
        module: LightningModule,
        folder: Path,
        noted: bool,
        ckpt_path: Any = None,
        **more: Any,
    ) -> None:
        logger, callback = Notes(), Callback()
        self.calls = note(callback, HOOKS if noted else ())
        self.own_calls = note(
            module, [*STEP_HOOKS, *(hook for hook in OWN if hook in vars(type(module)))] if noted else ()
        )
        callbacks = [callback, ModelCheckpoint(folder, save_last=True)]
        trainer = kind(default_root_dir=folder, callbacks=callbacks, logger=logger, **{**QUIET, **SMALL, **more})
        trainer.fit(module, ckpt_path=ckpt_path, weights_only=False)
        self.rows, self.weights = logger.rows, module.state_dict()
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.checkpoint = torch.load(folder / "last.ckpt", weights_only=False)


def outcomes(folder: Path, module: type[LightningModule], noted: bool = False, **more: Any) -> list[Outcome]:
    """Train with both trainers."""
    made = []
    for kind in (Trainer, LeanTrainer):
        torch.manual_seed(0)
        made.append(Outcome(kind, module(), folder / kind.__name__, noted, **more))
    return made


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one.calls == other.calls
    assert one.own_calls == other.own_calls
    assert one.rows == other.rows
    assert one.metrics == other.metrics
    assert all(torch.equal(weights, other.weights[name]) for name, weights in one.weights.items())
    for part in ("loops", "epoch", "global_step"):
        assert one.checkpoint[part] == other.checkpoint[part]
    assert str(one.checkpoint["optimizer_states"]) == str(other.checkpoint["optimizer_states"])
    assert str(one.checkpoint["lr_schedulers"]) == str(other.checkpoint["lr_schedulers"])


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`", "ignore:.*dataloader_iter")
@pytest.mark.parametrize("noted", [True, False], ids=["all hooks", "no hooks"])
@pytest.mark.parametrize("module", MODULES)
def test_modules_of_all_kinds_come_to_the_same(tmp_path: Path, module: type[LightningModule], noted: bool) -> None:
    one, other = outcomes(tmp_path, module, noted)
    assert_same(one, other)
    assert bool(other.calls) == noted


@pytest.mark.parametrize(
    "more",
    [
        {"accumulate_grad_batches": 2},
        {"gradient_clip_val": 0.01},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"precision": "bf16-mixed"},
        {"precision": "64-true"},
        {"val_check_interval": 2},
        {"check_val_every_n_epoch": 2},
        {"max_epochs": -1, "max_steps": 7},
        {"log_every_n_steps": 1},
        {"log_every_n_steps": 0},
        {"fast_dev_run": 2},
        {"overfit_batches": 2},
        {"profiler": "simple"},
        {"limit_val_batches": 0},
        {"num_sanity_val_steps": 0},
    ],
    ids=str,
)
def test_settings_of_all_kinds_come_to_the_same(tmp_path: Path, more: dict[str, Any]) -> None:
    if "fast_dev_run" in more:  # writes no checkpoints
        (tmp_path / "Trainer").mkdir()
    assert_same(*outcomes(tmp_path, Logs, True, **more))


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_other_stages_come_to_the_same(tmp_path: Path, stage: str) -> None:
    class Tests(Logs):
        def test_step(self, batch: Tensor, batch_idx: int) -> None:
            self.log("test", self.step(batch), on_step=True, on_epoch=True)

        def predict_step(self, batch: Tensor) -> Tensor:
            return self.layer(batch)  # type: ignore[no-any-return]  # torch types the call as Any

    seen = []
    for kind in (Trainer, LeanTrainer):
        torch.manual_seed(0)
        callback, logger = Callback(), Notes()
        calls = note(callback, HOOKS)
        trainer = kind(default_root_dir=tmp_path, callbacks=[callback], logger=logger, limit_test_batches=3, **QUIET)
        returned = getattr(trainer, stage)(Tests(), verbose=False) if stage != "predict" else trainer.predict(Tests())
        seen.append((str(returned), calls, logger.rows))
    assert seen[0] == seen[1]


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended", "ignore:The dirpath has changed")
def test_a_checkpoint_of_one_inside_an_epoch_is_resumed_by_both(tmp_path: Path) -> None:
    class Fixed(Waits):
        def train_dataloader(self) -> Any:
            return DataLoader(torch.randn(8, 32, generator=torch.Generator().manual_seed(1)))  # type: ignore[arg-type]  # a tensor is a data set

    one, other = outcomes(tmp_path, Fixed, max_epochs=-1, max_steps=7)
    assert_same(one, other)
    resumed = []
    for first in (Trainer, LeanTrainer):
        for then in (Trainer, LeanTrainer):
            torch.manual_seed(0)
            cut, folder = tmp_path / first.__name__ / "last.ckpt", tmp_path / f"{first.__name__}-{then.__name__}"
            resumed.append(Outcome(then, Fixed(), folder, True, ckpt_path=cut, max_epochs=4))
            assert resumed[-1].calls
            assert_same(resumed[0], resumed[-1])


def test_a_callback_that_joins_inside_an_epoch_is_called(tmp_path: Path) -> None:
    class Counts(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.steps = 0

        def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
            self.steps += 1

    class Brings(Callback):
        def on_train_batch_start(
            self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
        ) -> None:
            if batch_idx == 2:
                counts.steps = 0
                trainer.callbacks.append(counts)  # type: ignore[attr-defined]  # set by a connector

    counts = Counts()
    settings = QUIET | SMALL | {"max_epochs": 1}
    LeanTrainer(default_root_dir=tmp_path, callbacks=[Brings()], logger=False, **settings).fit(BoringModel())
    assert counts.steps == 2


def test_a_hook_that_is_set_on_the_object_is_called(tmp_path: Path) -> None:
    """As people patch a module in a notebook."""
    module, steps = BoringModel(), []
    module.on_before_backward = lambda loss: steps.append(loss)  # type: ignore[method-assign]  # in a notebook
    LeanTrainer(default_root_dir=tmp_path, logger=False, **QUIET, **SMALL).fit(module)
    assert len(steps) == 10


@pytest.mark.parametrize(("kind", "asked"), [(Trainer, True), (LeanTrainer, False)])
def test_hooks_that_nobody_wrote_are_not_asked_for_at_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Trainer], asked: bool
) -> None:
    names, ask = set[str](), call._call_callback_hooks

    def note_and_ask(trainer: Trainer, hook: str, *args: Any, **more: Any) -> None:
        names.add(hook)
        ask(trainer, hook, *args, **more)

    monkeypatch.setattr(call, "_call_callback_hooks", note_and_ask)
    kind(default_root_dir=tmp_path, logger=False, **QUIET, **SMALL).fit(Logs())
    assert ({*STEP_HOOKS, "on_validation_batch_start", "on_validation_batch_end"} <= names) == asked
    assert bool({*STEP_HOOKS} & names) == asked


def test_its_arguments_are_lightnings() -> None:
    assert inspect.signature(LeanTrainer) == inspect.signature(Trainer)
