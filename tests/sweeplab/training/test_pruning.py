import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback

from sweeplab.errors import UserError
from sweeplab.records.ending import TrialPruned
from sweeplab.records.record import Status, read
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training.hooks import is_written
from sweeplab.training.lean_trainer import STEP_HOOKS
from sweeplab.training.pruning import Pruning
from tests.conftest import ROOT, Command, Compose
from tests.training import resume, run

# 1,079 samples: 17 steps an epoch.
TINY = ("model=linear", "test=false", "trainer.max_epochs=4")
TWICE = "+trainer.val_check_interval=0.5"  # behind steps 8 and 16 of each epoch

Reports = list[tuple[int, float]]
Enter = Callable[..., Reports]


@pytest.fixture
def trial() -> Iterator[Enter]:
    """Make this process that of a trial whose study says stop at a step; hand out what it is told."""

    def enter_trial(stop: int | None = None) -> Reports:
        told: Reports = []

        def report(value: float, step: int) -> bool:
            told.append((step, value))
            return step == stop

        enter(Trial("study", 7, {"model.width": 3}, prunes=True, _report=report))
        return told

    yield enter_trial
    enter(None)


def rows(config: Any, column: str = "val/acc") -> list[dict[str, str]]:
    with (Path(config.folder) / "metrics.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row[column]]


def steps(told: Reports) -> list[int]:
    return [step for step, _ in told]


def test_each_epoch_is_reported_once_with_what_its_validation_measured(configured: Compose, trial: Enter) -> None:
    told = trial()
    config = configured(*TINY)
    run(config)
    assert steps(told) == [1, 2, 3, 4]
    assert [value for _, value in told] == pytest.approx([float(row["val/acc"]) for row in rows(config)])
    assert read(Path(config.folder))["status"] == Status.COMPLETE


def test_training_ends_with_the_epoch_at_which_the_study_says_stop(configured: Compose, trial: Enter) -> None:
    told = trial(stop=2)
    config = configured(*TINY)
    with pytest.raises(TrialPruned):
        run(config)
    assert steps(told) == [1, 2]
    assert len(rows(config)) == len(rows(config, "train/acc")) == 2


def test_a_training_that_is_over_is_not_pruned(configured: Compose, trial: Enter) -> None:
    told = trial(stop=4)
    config = configured(*TINY)
    run(config)
    assert steps(told) == [1, 2, 3, 4]
    assert read(Path(config.folder))["status"] == Status.COMPLETE


def test_an_epoch_with_several_validations_reports_the_last_of_them(configured: Compose, trial: Enter) -> None:
    told = trial()
    config = configured(*TINY, TWICE)
    run(config)
    values = [float(row["val/acc"]) for row in rows(config)]
    assert len(values) == 8
    assert [value for _, value in told] == pytest.approx(values[1::2])


def test_an_epoch_without_a_validation_reports_nothing(configured: Compose, trial: Enter) -> None:
    told = trial()
    run(configured(*TINY, "+trainer.check_val_every_n_epoch=2"))
    assert steps(told) == [2, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("every", "expected"), [(1, [8, 16, 25, 33, 42, 50, 59, 67]), (10, [16, 33, 50, 67]), (17, [25, 42, 59])]
)
def test_with_a_number_of_steps_validations_report_that_far_apart(
    configured: Compose, trial: Enter, every: int, expected: list[int]
) -> None:
    told = trial()
    run(configured(*TINY, TWICE, f"callbacks.pruning.every={every}"))
    assert steps(told) == expected


def test_training_stops_inside_an_epoch_where_steps_are_reported(configured: Compose, trial: Enter) -> None:
    told = trial(stop=25)
    config = configured(*TINY, TWICE, "callbacks.pruning.every=1")
    with pytest.raises(TrialPruned, match="pruned at step 25"):
        run(config)
    assert steps(told) == [8, 16, 25]
    assert [int(row["step"]) + 1 for row in rows(config)] == [8, 16, 25]


def test_nobody_is_asked_again_while_training_goes_on_to_its_least_length(configured: Compose, trial: Enter) -> None:
    told = trial(stop=1)
    config = configured(*TINY, "+trainer.min_epochs=3")
    with pytest.raises(TrialPruned, match="pruned at epoch 1"):
        run(config)
    assert steps(told) == [1]
    assert len(rows(config)) == 3


def test_a_number_that_is_not_finite_is_not_reported_and_the_run_fails_as_any(
    configured: Compose, trial: Enter
) -> None:
    told = trial()
    diverging = (
        "model=mlp",
        "optimizer=sgd",
        "optimizer.lr=1e30",
        "finite_loss=false",
        "objective={metric: val/loss, mode: min}",
    )
    config = configured(*TINY, *diverging)
    with pytest.raises(UserError, match="val/loss was never a finite number"):
        run(config)
    assert told == []
    assert read(Path(config.folder))["status"] == Status.FAILED


def test_pruning_reads_the_objective(configured: Compose) -> None:
    assert configured("objective={metric: val/loss, mode: min}").callbacks.pruning.monitor == "val/loss"


def test_a_step_of_training_pays_nothing_for_it() -> None:
    assert not [hook for hook in STEP_HOOKS if is_written(Pruning("val/acc"), Callback, hook)]


@pytest.mark.parametrize("more", [(), (TWICE, "callbacks.pruning.every=1")], ids=["epochs", "steps"])
def test_a_pruned_run_can_be_resumed_as_a_single_one(configured: Compose, trial: Enter, more: tuple[str, ...]) -> None:
    trial(stop=25 if more else 2)
    config = configured(*TINY, *more)
    with pytest.raises(TrialPruned):
        run(config)
    enter(None)
    resume(Path(config.folder))
    facts = read(Path(config.folder))
    assert facts["status"] == Status.COMPLETE
    assert [attempt["status"] for attempt in facts["attempts"]] == [Status.PRUNED]
    assert len(rows(config, "train/acc")) == 4


@pytest.mark.parametrize("every", [0, "epochs", True])
def test_an_unknown_interval_is_named(every: Any) -> None:
    with pytest.raises(UserError, match="write epoch, or a number of steps"):
        Pruning("val/acc", every)


def test_a_metric_that_is_not_logged_is_named(configured: Compose, trial: Enter) -> None:
    trial()
    with pytest.raises(UserError, match=r"callbacks.pruning.monitor=val/ac is not logged; did you mean 'val/acc'"):
        run(configured(*TINY, "callbacks.pruning.monitor=val/ac"))


SCRIPT = """
import runpy, sys
from sweeplab.records.ending import TrialPruned
from sweeplab.sweep.trial import Trial, enter

enter(Trial("study", 7, {}, prunes=True, _report=lambda value, step: step == 2))
sys.argv[0] = sys.argv.pop(1)  # the second process is started as that of a single run
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except TrialPruned as pruned:
    print("ended:", pruned)
"""


@pytest.mark.slow
def test_two_processes_stop_together(command: Command, tmp_path: Path) -> None:
    (tmp_path / "trial.py").write_text(SCRIPT)
    ddp = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=5")
    arguments = (str(ROOT / "train.py"), "model=linear", *ddp, "hydra.run.dir=run")
    done = command(str(tmp_path / "trial.py"), *arguments, HYDRA_FULL_ERROR="1")
    assert "ended: pruned at epoch 2" in done.stdout
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == Status.PRUNED
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        assert len([row for row in csv.DictReader(file) if row["val/acc"]]) == 2
