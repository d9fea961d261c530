"""Loggers beside foreign modules: what was logged is there, and each run ends as its training did."""

import csv
import math
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records.record import read
from tests.conftest import Compose
from tests.foreign.conftest import CHOICES
from tests.foreign.tables import Batch, TableRegression
from tests.training import resume, run
from tests.wandb_log import offline_runs, summary

WANDB = ("logger=wandb", "logger.wandb.offline=true")
STOP = "+callbacks.stop={_target_: tests.sweeplab.training.test_exact_resume.CtrlC, step: 12}"


class Diverging(TableRegression):
    """Its validation is not a number."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val_rmse", math.nan)


def curve(folder: Path, metric: str) -> list[float]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [float(row[metric]) for row in csv.DictReader(file) if row.get(metric)]


@pytest.mark.parametrize("name", CHOICES)
def test_tensorboard_has_the_curves_that_the_csv_file_has(foreign: Compose, name: str) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = foreign(name, "logger=[csv,tensorboard]")
    value = run(config)
    folder = Path(config.folder)
    metric = config.objective.metric
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    found = [scalar.value for scalar in events.Scalars(metric)]
    assert len(found) == 3
    assert found == pytest.approx(curve(folder, metric))
    assert events.Scalars("objective")[-1].value == pytest.approx(value)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_wandb_has_one_finished_run_with_the_configuration(foreign: Compose, name: str) -> None:
    config = foreign(name, *WANDB)
    value = run(config)
    (recorded,) = offline_runs(Path(config.folder))
    told = summary(recorded)
    assert (told["state"], told["exit_code"]) == ("finished", 0)
    assert told["summary"]["objective"] == pytest.approx(value)
    assert told["summary"][config.objective.metric] is not None
    assert told["config"]["model"]["_target_"] == config.model._target_
    assert "${" not in str(told["config"])
    assert not {"task", "optimizer", "scheduler"} & set(told["config"])


@pytest.mark.slow
def test_wandb_goes_on_with_the_run_that_was_cut(foreign: Compose) -> None:
    config = foreign("tables", *WANDB, STOP)
    with pytest.raises(SystemExit):
        run(config)
    folder = Path(config.folder)
    first = read(folder)["wandb"]["id"]
    resume(folder, ["~callbacks.stop"])
    assert read(folder)["wandb"]["id"] == first
    endings = [summary(path) for path in offline_runs(folder)]
    assert [ending["summary"]["status"] for ending in endings] == ["interrupted", "complete"]
    assert endings[1]["exit_code"] == 0


@pytest.mark.slow
def test_wandb_has_a_failed_run_where_the_objective_is_no_number(foreign: Compose) -> None:
    config = foreign("tables", *WANDB, "model._target_=tests.foreign.test_loggers.Diverging")
    with pytest.raises(UserError, match="val_rmse was never a finite number"):
        run(config)
    (recorded,) = offline_runs(Path(config.folder))
    told = summary(recorded)
    assert (told["state"], told["exit_code"]) == ("failed", 1)
