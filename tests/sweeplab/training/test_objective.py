import csv
import inspect
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import SetupError
from sweeplab.records.record import read
from sweeplab.tasks import Classification
from tests.conftest import Compose
from tests.training import run

SOURCE = inspect.getsource


def no_source(of: Any) -> str:
    """Fail as Python 3.11 does at times where other threads work, and any does where the file was broken since."""
    if isinstance(of, type) and issubclass(Classification, of):
        raise SystemError("AST constructor recursion depth mismatch")
    return SOURCE(of)


def test_no_source_that_cannot_be_read_ends_a_training(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "getsource", no_source)
    assert isinstance(run(configured("model=linear", "trainer.max_epochs=1", "test=false")), float)
    monkeypatch.setattr(Classification, "logs", None)  # else it is found sooner
    with pytest.raises(SetupError, match="the objective val/ac is not logged; did you mean 'val/acc'"):
        run(configured("model=linear", "objective.metric=val/ac", folder="misspelt"))


def trained(configured: Compose, *overrides: str, folder: str = "run") -> Path:
    config = configured(*overrides, folder=folder)
    run(config)
    return Path(config.folder)


def test_the_objective_is_the_best_value_and_not_the_last(configured: Compose) -> None:
    # A learning rate that jumps up makes the last epochs worse than the first ones.
    options = ("optimizer=sgd", "optimizer.lr=0.05", "trainer.max_epochs=6", "scheduler=plateau", "scheduler.mode=min")
    folder = trained(configured, *options, "scheduler.patience=0", "scheduler.factor=0.99", "optimizer.momentum=0.999")
    with (folder / "metrics.csv").open(newline="") as file:
        values = [float(row["val/acc"]) for row in csv.DictReader(file) if row["val/acc"]]
    facts = read(folder)
    assert values[-1] < max(values), "the training was meant to get worse"
    assert facts["objective"]["value"] == pytest.approx(max(values))
    assert facts["objective"]["epoch"] == values.index(max(values))
    assert facts["best"]["val/acc"] == facts["objective"]["value"]
