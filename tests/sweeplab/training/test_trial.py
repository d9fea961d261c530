"""A training inside a study: how it ends, and what it leaves."""

import csv
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from sweeplab.errors import UserError
from sweeplab.records.ending import TrialPruned
from sweeplab.records.record import Status, read
from sweeplab.sweep.trial import Trial, enter
from tests.conftest import Compose
from tests.training import run

TINY = ("model=linear", "trainer.max_epochs=5")
ODD = "+task.metrics.odd._target_=tests.sweeplab.training.test_trial.NoNumber"
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


@pytest.mark.usefixtures("pruned_at_two")
def test_tensorboard_is_closed_when_a_run_is_pruned(configured: Compose) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = configured(*TINY, "logger=tensorboard")
    with pytest.raises(TrialPruned):
        run(config)
    events = EventAccumulator(str(Path(config.folder) / "tensorboard")).Reload()
    assert len(events.Scalars("val/acc")) == 2


@pytest.mark.usefixtures("pruned_at_two")
def test_a_run_says_which_trial_it_is(configured: Compose) -> None:
    config = configured(*TINY, "trainer.max_epochs=1")
    run(config)
    params = {"model.width": 3, "model": "mlp"}
    assert read(Path(config.folder))["trial"] == {"study": "study", "number": 7, "repeat": 1, "params": params}


def test_a_single_run_belongs_to_no_trial(configured: Compose) -> None:
    config = configured(*TINY, "trainer.max_epochs=1")
    run(config)
    assert "trial" not in read(Path(config.folder))


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
