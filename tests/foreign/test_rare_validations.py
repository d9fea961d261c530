"""Schedules and stops that wait for metrics, where validations are rare; and metrics that are not one number."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from tests.conftest import Compose
from tests.foreign.tables import Batch, TableRegression
from tests.training import run

pytestmark = pytest.mark.slow

HERE = "tests.foreign.test_rare_validations"
OF_TRAINING = ("objective.metric=train/loss", "objective.mode=min", "+trainer.limit_val_batches=0")
MATRIX = (
    "+task.metrics.cm._target_=torchmetrics.classification.MulticlassConfusionMatrix",
    "+task.metrics.cm.num_classes=10",
)


@pytest.mark.parametrize(
    ("choices", "steps"),
    [
        (("+trainer.check_val_every_n_epoch=2",), 2),
        (("+trainer.check_val_every_n_epoch=null", "+trainer.val_check_interval=25"), 3),
        (("+trainer.val_check_interval=0.5",), 4),
        ((*OF_TRAINING, "scheduler.metric=train/loss"), 4),
    ],
    ids=["every-second-epoch", "by-steps", "twice-an-epoch", "never"],
)
def test_a_plateau_waits_for_validations(configured: Compose, choices: tuple[str, ...], steps: int) -> None:
    config = configured("model=linear", "scheduler=plateau", "trainer.max_epochs=4", *choices)
    run(config)
    folder = Path(config.folder)
    assert read(folder)["status"] == Status.COMPLETE
    kept = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["lr_schedulers"][0]["last_epoch"] == steps


def test_a_training_without_validation_stops_early(configured: Compose) -> None:
    stop = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "train/loss", "patience": 1}
    config = configured("model=linear", "trainer.max_epochs=6", *OF_TRAINING, "+trainer.check_val_every_n_epoch=2")
    config.callbacks.early_stopping = stop | {"min_delta": 9.0}
    run(config)
    kept = torch.load(Path(config.folder) / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 2


def test_a_stop_that_waits_for_nothing_is_told_in_a_sentence(configured: Compose) -> None:
    config = configured("model=linear", *OF_TRAINING)
    config.callbacks.early_stopping = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val/acc"}
    with pytest.raises(UserError, match=r"callbacks.early_stopping: .* `val/acc` which is not available") as told:
        run(config)
    assert "\n" not in str(told.value)


class Arrays(TableRegression):
    """Logs an array."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val_all", self(batch))


class Confused(TableRegression):
    """Logs a metric object of the training that gives an array."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        from torchmetrics.classification import BinaryConfusionMatrix

        self.confusion = BinaryConfusionMatrix()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.confusion.update((self(batch) > 0).int(), (batch["target"] > 0).int())
        self.log("of_training", self.confusion, on_step=False, on_epoch=True)
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("choices", [(), ("objective.metric=val/cm",)], ids=["beside", "objective"])
def test_a_metric_that_is_not_one_number_is_told_at_the_first_validation(
    configured: Compose, choices: tuple[str, ...]
) -> None:
    with pytest.raises(UserError, match=r"val/cm is not one number but an array of shape \(10, 10\)") as told:
        run(configured("model=linear", *MATRIX, *choices))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Arrays", r"self\.log\('val_all', \.\.\.\) is given an array"),
        ("Confused", r"of_training is not one number but an array of shape \(2, 2\)"),
    ],
)
def test_an_array_that_a_module_logs_is_told_by_its_name(foreign: Compose, kind: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as told:
        run(foreign("tables", f"model._target_={HERE}.{kind}"))
    assert "\n" not in str(told.value)
