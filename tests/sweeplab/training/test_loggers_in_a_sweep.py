"""TensorBoard, CSV files and no logger at all, in sweeps: a folder a trial, and the ending that the trial had."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.conftest import ROOT, Command, small
from tests.tensorboard_log import hparams_page

pytestmark = pytest.mark.slow

GOOD, PRUNED, BROKEN = "0", "1", "2"
ENDINGS = {GOOD: "complete", PRUNED: "pruned", BROKEN: "failed"}


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
        "+callbacks.breaks._target_=tests.sweeplab.training.test_loggers_in_a_sweep.Breaks",
    )
    points = ("model=linear", "data.split_seed=1", "optimizer.lr=0.01,0.0,0.02", "trainer.max_epochs=3")
    sweep = small(f"logger={request.param}", "study=demo", *points, *ends, "hydra.sweeper.n_jobs=2")
    done = command("train.py", "-m", *sweep, check=False, PYTHONPATH=str(ROOT))
    folder = tmp_path / "multirun" / "demo"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set(ENDINGS), done.stdout + done.stderr
    assert {number: facts(folder, number)["status"] for number in ENDINGS} == ENDINGS
    return folder


def facts(study: Path, number: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((study / number / "run.json").read_text())
    return found


def rows(study: Path, number: str) -> list[dict[str, str]]:
    with (study / number / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def values(rows: list[dict[str, str]], metric: str) -> list[float]:
    return [float(row[metric]) for row in rows if row.get(metric)]


@pytest.mark.parametrize("study", ["none"], indirect=True)
def test_without_a_logger_the_record_has_the_ending(study: Path) -> None:
    assert facts(study, GOOD)["metrics"]["test/acc"] > 0
    assert facts(study, PRUNED)["objective"]["value"] < 0.2
    assert "RuntimeError: no good" in facts(study, BROKEN)["error"]
    left = {path.name for path in (study / BROKEN).iterdir()}
    assert not {"metrics.csv", "tensorboard", "wandb"} & left


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
