"""A loss that is not a number ends a training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from sweeplab.training.finite_loss import FiniteLoss
from tests.conftest import Command, Compose, small
from tests.foreign.gan import Gan
from tests.foreign.tables import TableRegression
from tests.training import run

HERE = "tests.foreign.test_finite_loss"


class Nothing(nn.Module):
    """A network that has no numbers to say."""

    def __init__(self, in_shape: Any, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(torch.Size(in_shape).numel(), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.layer(x.flatten(1)) * torch.nan)


class Late(TableRegression):
    """Diverges in the fourth step of its second epoch."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        return loss * torch.inf if (self.current_epoch, batch_idx) == (1, 3) else loss


class Returning(Gan):
    """Diverges in a manual optimization that returns its loss, and calls no hook in its backward pass."""

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        loss.backward()  # type: ignore[no-untyped-call]  # torch

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
        super().training_step(batch, batch_idx)
        return {"loss": torch.tensor(torch.nan)}


class Logging(Returning):
    """Diverges in a manual optimization that only logs its loss."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        Gan.training_step(self, batch, batch_idx)
        self.log("dLoss", torch.tensor(torch.nan if batch_idx == 1 else 0.5), on_step=False, on_epoch=True)
        self.log("undefined", torch.tensor(torch.nan))


class Backward(Gan):
    """Diverges in the backward pass of a manual optimization, and says so nowhere else."""

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        super().manual_backward(loss * torch.nan, *args, **kwargs)


class Undefined(Gan):
    """Logs a number that is not one and no loss."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Any:
        super().training_step(batch, batch_idx)
        self.log("undefined", torch.tensor(torch.nan))


@pytest.mark.parametrize("choices", [(), ("callbacks=none", "logger=none")], ids=["default", "bare"])
def test_a_network_that_says_nothing_fails_behind_its_first_step(configured: Compose, choices: tuple[str, ...]) -> None:
    shape = ("model.in_shape=${data:in_shape}", "model.num_classes=10")
    config = configured("model=linear", f"model._target_={HERE}.Nothing", *shape, *choices)
    with pytest.raises(UserError, match=r"in epoch 1 the loss of batch 1 was nan, .* finite_loss=false"):
        run(config)
    facts = read(Path(config.folder))
    assert (facts["status"], facts.get("objective")) == (Status.FAILED, None)


def test_an_option_lets_it_go_on(configured: Compose) -> None:
    config = configured("model=linear", f"model._target_={HERE}.Nothing", "finite_loss=false")
    run(config)
    assert read(Path(config.folder))["status"] == Status.COMPLETE


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("tables", "Late", "in epoch 2 the loss of batch 4 was inf"),
        ("gan", "Returning", "in epoch 1 the loss of batch 1 was nan"),
        ("gan", "Logging", "in epoch 1 dLoss was not finite"),
        ("gan", "Backward", "in epoch 1 the loss of batch 1 was nan"),
    ],
)
def test_whatever_a_module_makes_of_its_loss_it_is_seen(foreign: Compose, model: str, kind: str, words: str) -> None:
    config = foreign(model, f"model._target_={HERE}.{kind}")
    with pytest.raises(UserError, match=words):
        run(config)
    assert words in read(Path(config.folder))["error"]


def test_no_checkpoint_keeps_what_came_of_it(foreign: Compose) -> None:
    config = foreign("tables", f"model._target_={HERE}.Late", "callbacks.last.every_n_steps=1")
    with pytest.raises(UserError, match="batch 4 was inf"):
        run(config)
    kept = torch.load(Path(config.folder, "checkpoints", "last.ckpt"), weights_only=True)
    assert all(bool(weight.isfinite().all()) for weight in kept["state_dict"].values())
    assert kept["global_step"] == 9 + 3


def test_a_number_that_is_no_loss_may_be_undefined(foreign: Compose) -> None:
    config = foreign("gan", f"model._target_={HERE}.Undefined")
    run(config)
    assert read(Path(config.folder))["status"] == Status.COMPLETE


class Scaled:
    """A trainer whose precision scales losses up to where they overflow."""

    class precision_plugin:  # noqa: N801 - an attribute of trainers
        scaler = object()

    class fit_loop:  # noqa: N801 - another one
        batch_idx = 0

    class strategy:  # noqa: N801 - another one
        @staticmethod
        def reduce_boolean_decision(decision: bool, all: bool) -> bool:
            return decision

    current_epoch = 0


@pytest.mark.parametrize(("value", "is_bad"), [(torch.inf, False), (torch.nan, True)])
def test_a_scaled_loss_may_overflow(value: float, is_bad: bool) -> None:
    look: Any = FiniteLoss()
    look.on_before_backward(Scaled(), Gan(), torch.tensor(value))
    if is_bad:
        with pytest.raises(UserError, match="was nan"):
            look.on_save_checkpoint(Scaled(), TableRegression(), {})
    else:
        look.on_save_checkpoint(Scaled(), TableRegression(), {})


@pytest.mark.slow
def test_a_trial_that_met_one_is_a_failure_with_a_reason(command: Command, tmp_path: Path) -> None:
    words = small("model.width=8", "optimizer=sgd", "study=s", "optimizer.lr=1e-2,1e30")
    done = command("train.py", "-m", *words, check=False)
    assert "the loss of batch 2 was nan" in done.stdout + done.stderr
    assert [read(tmp_path / "multirun" / "s" / str(number))["status"] for number in (0, 1)] == ["complete", "failed"]
