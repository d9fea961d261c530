import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer

from sweeplab.records.ending import TrialPruned
from sweeplab.records.record import Status
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training.loggers import TensorBoardLogger
from tests.conftest import ROOT, Command, Compose, small
from tests.tensorboard_log import hparams_page
from tests.training import run

CONFIG = {"seed": 0, "test": True, "model": {"width": 8, "name": "mlp", "shape": [1, 2]}, "clip": None, "space": {}}
TINY = ("model=linear", "trainer.max_epochs=5")
GOOD, PRUNED, BROKEN = "0", "1", "2"
ENDINGS = {GOOD: "complete", PRUNED: "pruned", BROKEN: "failed"}


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


@pytest.fixture
def pruned_at_two() -> Iterator[None]:
    params = {"model.width": 3, "model": "mlp"}
    enter(Trial("study", 7, params, repeat=1, prunes=True, _report=lambda value, step: step == 2))
    yield
    enter(None)


@pytest.mark.usefixtures("pruned_at_two")
def test_tensorboard_is_closed_when_a_run_is_pruned(configured: Compose) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = configured(*TINY, "logger=tensorboard")
    with pytest.raises(TrialPruned):
        run(config)
    events = EventAccumulator(str(Path(config.folder) / "tensorboard")).Reload()
    assert len(events.Scalars("val/acc")) == 2


def trained(configured: Compose, *overrides: str, folder: str = "run") -> Path:
    config = configured(*overrides, folder=folder)
    run(config)
    return Path(config.folder)


def test_tensorboard_records_the_same_curves(configured: Compose) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = trained(configured, "logger=[csv,tensorboard]")
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    with (folder / "metrics.csv").open(newline="") as file:
        values = [float(row["val/acc"]) for row in csv.DictReader(file) if row["val/acc"]]
    assert [scalar.value for scalar in events.Scalars("val/acc")] == pytest.approx(values)


class Breaks(Callback):
    """Raises in the third epoch of a training with a certain learning rate."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 2 and trainer.optimizers[0].param_groups[0]["lr"] == 0.02:
            raise RuntimeError("no good")


@pytest.fixture
def study(command: Command, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A sweep of a good, a pruned and a broken trial, with the loggers that were asked for."""
    ends = (
        "hydra/sweeper/pruner=threshold",
        "hydra.sweeper.pruner.lower=0.2",
        "hydra.sweeper.pruner.n_warmup_steps=2",
        "+callbacks.breaks._target_=tests.sweeplab.training.test_loggers.Breaks",
    )
    points = ("model=linear", "data.split_seed=1", "optimizer.lr=0.01,0.0,0.02", "trainer.max_epochs=3")
    sweep = small(f"logger={request.param}", "study=demo", *points, *ends, "hydra.sweeper.n_jobs=2")
    done = command("train.py", "-m", *sweep, check=False, PYTHONPATH=str(ROOT))
    folder = tmp_path / "multirun" / "demo"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set(ENDINGS), done.stdout + done.stderr
    assert {number: facts(folder, number)["status"] for number in ENDINGS} == ENDINGS
    return folder


def facts(study: Path, number: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((study / number / "run.json").read_text())
    return content


def rows(study: Path, number: str) -> list[dict[str, str]]:
    with (study / number / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def values(rows: list[dict[str, str]], metric: str) -> list[float]:
    return [float(row[metric]) for row in rows if row.get(metric)]


@pytest.mark.slow
@pytest.mark.parametrize("study", ["none"], indirect=True)
def test_without_a_logger_the_record_has_the_ending(study: Path) -> None:
    assert facts(study, GOOD)["metrics"]["test/acc"] > 0
    assert facts(study, PRUNED)["objective"]["value"] < 0.2
    assert "RuntimeError: no good" in facts(study, BROKEN)["error"]
    left = {path.name for path in (study / BROKEN).iterdir()}
    assert not {"metrics.csv", "tensorboard", "wandb"} & left


@pytest.mark.slow
@pytest.mark.parametrize("study", ["[csv,tensorboard]"], indirect=True)
def test_files_are_whole_and_the_comparison_is_right(study: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for number, epochs in ((GOOD, 3), (PRUNED, 2), (BROKEN, 3)):
        recorded = rows(study, number)
        events = EventAccumulator(str(study / number / "tensorboard")).Reload()
        assert len(values(recorded, "val/acc")) == epochs
        assert [scalar.value for scalar in events.Scalars("val/acc")] == pytest.approx(values(recorded, "val/acc"))
        assert (len(values(recorded, "test/acc")) == 1) == (number == GOOD)
    compared = hparams_page(study)
    for number, rate in ((GOOD, 0.01), (PRUNED, 0.0), (BROKEN, 0.02)):
        row = compared[f"demo #{number}"]
        assert row["runs"] == [f"{number}/tensorboard"]
        assert row["hparams"] == {"optimizer.lr": rate}
        assert row["endings"] == ["STATUS_FAILURE" if number == BROKEN else "STATUS_SUCCESS"]
        assert ("objective" in row["metrics"]) == (number != BROKEN)
        if number != BROKEN:
            assert row["metrics"]["objective"] == pytest.approx(facts(study, number)["objective"]["value"])
