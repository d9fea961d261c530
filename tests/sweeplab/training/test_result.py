"""What a run came to."""

import csv
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from lab.train import train
from sweeplab import Run
from sweeplab.errors import UserError
from sweeplab.records.ending import TrialPruned
from sweeplab.records.record import Status, read
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training.start import start
from tests.conftest import Compose
from tests.training import run

TINY = ("model=linear", "trainer.max_epochs=5")
ODD = "+task.metrics.odd._target_=tests.sweeplab.training.test_result.NoNumber"
SHORT = ("model=linear", "trainer.max_epochs=1", "test=false")
ONE_MORE = "objective.also=[{metric: val/loss, mode: min}]"
LESS_LOSS = "objective.also=[{metric: val/loss, mode: min}, {metric: model/parameters, mode: min}]"


class NoNumber(Metric):
    """A metric that nobody can compare."""

    def update(self, logits: Tensor, labels: Tensor) -> None:
        pass

    def compute(self) -> Tensor:
        return torch.tensor(torch.nan)


@pytest.fixture
def pruned_at_two() -> Iterator[None]:
    params = {"model.width": 3, "model": "mlp"}
    enter(Trial("study", 7, params, repeat=1, prunes=True, _report=lambda value, step: step == 2))
    yield
    enter(None)


@pytest.mark.usefixtures("pruned_at_two")
def test_a_pruned_run_records_what_it_came_to(configured: Compose) -> None:
    config = configured(*TINY)
    with pytest.raises(TrialPruned):
        run(config)
    folder = Path(config.folder)
    facts = read(folder)
    with (folder / "metrics.csv").open(newline="") as file:
        values = [float(row["val/acc"]) for row in csv.DictReader(file) if row["val/acc"]]
    assert facts["status"] == Status.PRUNED
    assert "error" not in facts
    assert facts["objective"] == {"metric": "val/acc", "mode": "max", "value": facts["best"]["val/acc"], "epoch": 1}
    assert facts["objective"]["value"] == pytest.approx(max(values))
    assert len(values) == 2
    assert (folder / facts["checkpoint"]).is_file()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert not [name for name in facts["metrics"] if name.startswith("test/")]


@pytest.mark.usefixtures("pruned_at_two")
def test_a_pruned_run_says_so_in_one_line(configured: Compose, caplog: pytest.LogCaptureFixture) -> None:
    config = configured(*TINY, "logger=none")
    with caplog.at_level(logging.INFO, "sweeplab"), pytest.raises(TrialPruned):
        run(config)
    facts = read(Path(config.folder))
    last, best = facts["metrics"]["val/acc"], facts["objective"]["value"]
    said = [record.getMessage() for record in caplog.records if record.name == "sweeplab.training.start"]
    assert said == [f"pruned at epoch 2: val/acc {last:.4g}; best {best:.4g}"]


def test_further_objectives_are_those_of_the_best_moment(configured: Compose) -> None:
    config = configured("model=mlp", "model.width=16", "optimizer.lr=3e-2", "trainer.max_epochs=6", LESS_LOSS)
    values = run(config)
    folder = Path(config.folder)
    facts = read(folder)
    with (folder / "metrics.csv").open(newline="") as file:
        losses = [float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"]]
    loss, parameters = losses[facts["objective"]["epoch"]], 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    assert loss != min(losses), "the two were meant to be best at different times"
    assert values == [facts["objective"]["value"], pytest.approx(loss), parameters]
    assert facts["objective"]["also"] == [
        {"metric": "val/loss", "mode": "min", "value": pytest.approx(loss)},
        {"metric": "model/parameters", "mode": "min", "value": parameters},
    ]


def test_one_objective_is_a_number(configured: Compose) -> None:
    config = configured(*TINY, "trainer.max_epochs=1")
    value = run(config)
    assert value == read(Path(config.folder))["objective"]["value"]
    assert "also" not in read(Path(config.folder))["objective"]


def test_a_further_objective_that_is_no_number_fails_the_run(configured: Compose) -> None:
    also = "objective.also=[{metric: val/odd, mode: min}]"
    config = configured(*TINY, also, ODD, "trainer.max_epochs=1")
    with pytest.raises(UserError, match="val/odd was nan when val/acc was best"):
        run(config)
    assert read(Path(config.folder))["status"] == Status.FAILED


def returning(value: Any) -> Callable[[Run], Any]:
    """A training function that returns something of its own."""

    def train_and_return(under_way: Run) -> Any:
        train(under_way)
        return value

    return train_and_return


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), torch.tensor(0.25), [0.25]], ids=repr)
def test_a_number_that_the_training_returns_is_the_objective(configured: Compose, value: Any) -> None:
    config = configured(*SHORT)
    assert start(returning(value), config) == 0.25
    assert read(Path(config.folder))["objective"]["value"] == 0.25


@pytest.mark.slow
@pytest.mark.parametrize("value", [None, True, "0.25", {"acc": 0.25}, [], torch.zeros(2)], ids=repr)
def test_what_else_the_training_returns_is_not_the_objective(configured: Compose, value: Any) -> None:
    config = configured(*SHORT)
    assert start(returning(value), config) == read(Path(config.folder))["best"]["val/acc"]


def test_several_objectives_are_returned_together(configured: Compose) -> None:
    config = configured(*SHORT, ONE_MORE)
    assert start(returning((0.25, 3)), config) == [0.25, 3.0]
    assert read(Path(config.folder))["objective"]["also"] == [{"metric": "val/loss", "mode": "min", "value": 3.0}]


@pytest.mark.parametrize(
    ("overrides", "value", "words"),
    [
        ((), float("nan"), r"train\(run\) returned nan: the objective must be a finite number"),
        ((), torch.tensor(float("inf")), r"returned inf: the objective must be a finite number"),
        ((), [0.25, 3.0], r"returned \[0\.25, 3\.0\]; return one number for each objective, 1 in all"),
        ((ONE_MORE,), 0.25, r"returned 0\.25; return one number for each objective, 2 in all"),
    ],
)
def test_a_run_fails_by_what_its_training_returns(
    configured: Compose, overrides: tuple[str, ...], value: Any, words: str
) -> None:
    config = configured(*SHORT, *overrides)
    with pytest.raises(UserError, match=words):
        start(returning(value), config)
    assert read(Path(config.folder))["status"] == Status.FAILED
