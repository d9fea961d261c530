from pathlib import Path
from typing import Any

import pytest

from sweeplab.records.record import Status
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training.loggers import TensorBoardLogger
from tests.tensorboard_log import hparams_page

CONFIG = {"seed": 0, "test": True, "model": {"width": 8, "name": "mlp", "shape": [1, 2]}, "clip": None, "space": {}}


def log(folder: Path, trial: Trial | None = None, status: Status = Status.COMPLETE, objective: float = 0.5) -> None:
    logger: Any = TensorBoardLogger(str(folder))
    enter(trial)
    try:
        assert logger.begin(CONFIG, None, {}) == {}
    finally:
        enter(None)
    if status in (Status.COMPLETE, Status.PRUNED):
        logger.conclude({"objective": objective, "best/val/acc": objective})
    assert logger.end(status) == {}


def test_a_single_run_is_compared_by_its_whole_configuration(tmp_path: Path) -> None:
    log(tmp_path)
    (row,) = hparams_page(tmp_path).values()
    assert row["hparams"] == {
        "seed": 0.0,
        "test": True,
        "model.width": 8.0,
        "model.name": "mlp",
        "model.shape": "[1, 2]",
        "clip": "None",
        "space": "{}",
    }
    assert row["metrics"] == {"objective": 0.5, "best/val/acc": 0.5}


@pytest.mark.parametrize(
    ("status", "shown"), [(Status.COMPLETE, "SUCCESS"), (Status.PRUNED, "SUCCESS"), (Status.FAILED, "FAILURE")]
)
def test_a_row_ends_as_its_run(tmp_path: Path, status: Status, shown: str) -> None:
    log(tmp_path, status=status)
    (row,) = hparams_page(tmp_path).values()
    assert row["endings"] == [f"STATUS_{shown}"]


def test_a_run_that_was_cut_and_went_on_ends_well(tmp_path: Path) -> None:
    log(tmp_path, status=Status.INTERRUPTED)
    log(tmp_path, objective=0.75)
    (row,) = hparams_page(tmp_path).values()
    assert row["endings"] == ["STATUS_SUCCESS"]
    assert row["metrics"]["objective"] == 0.75


def test_trials_are_compared_by_their_parameters_also_where_they_have_different_ones(tmp_path: Path) -> None:
    log(tmp_path / "0", Trial("study", 0, {"model": "linear"}))
    log(tmp_path / "1", Trial("study", 1, {"model": "mlp", "model.width": 8}), objective=0.75)
    rows = hparams_page(tmp_path)
    assert [rows[name]["hparams"] for name in ("study #0", "study #1")] == [
        {"model": "linear"},
        {"model": "mlp", "model.width": 8.0},
    ]
    assert rows["study #1"]["metrics"]["objective"] == 0.75


def test_the_repeats_of_a_trial_are_one_row_with_their_mean(tmp_path: Path) -> None:
    for repeat, objective in enumerate((0.25, 0.75)):
        log(tmp_path / "3" / str(repeat), Trial("study", 3, {"lr": 0.1}, repeat=repeat), objective=objective)
    rows = hparams_page(tmp_path)
    assert list(rows) == ["study #3"]
    assert rows["study #3"]["runs"] == ["3/0/tensorboard", "3/1/tensorboard"]
    assert rows["study #3"]["metrics"]["objective"] == 0.5


def test_a_logger_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    logger = TensorBoardLogger(str(tmp_path))
    logger.end(Status.FAILED)
    assert not list(tmp_path.iterdir())
