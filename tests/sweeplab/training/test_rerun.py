"""A run trained again from its folder: the same numbers, under another roof."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeplab.records.record import read
from sweeplab.records.rerun import NUMERIC, Rerun
from tests.conftest import ROOT, Compose, equal_weights, small
from tests.training import run

pytestmark = pytest.mark.slow


def train(folder: Path, *words: str) -> str:
    """Run train.py as a user does who leaves the number of threads to the machine."""
    alone = {name: value for name, value in os.environ.items() if name not in NUMERIC}
    command = [sys.executable, str(ROOT / "train.py"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**alone, "COLUMNS": "200"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_trial_from_a_slot_has_the_same_numbers_again(tmp_path: Path) -> None:
    # Wide enough for torch to share a product out over threads, where it has them.
    search = small("seed=1,2", "study=demo", "model=mlp", "model.width=512", "model.dropout=0.2", "data.batch_size=256")
    said = train(tmp_path, "-m", *search, "hydra.sweeper.n_jobs=2")
    line = shlex.split(said.partition("to run it again ")[2].splitlines()[0])
    trial = tmp_path / line[2].removeprefix("rerun=")
    said = train(tmp_path, *line[2:], "logger=none")
    (again,) = (tmp_path / "outputs").glob("*/*")
    old, new = read(trial), read(again)
    assert "the number of threads was" not in said
    for fact in ("objective", "best", "threads", "environment", "seed"):
        assert old[fact] == new[fact]
    # What only a logger asks for, the second had no use for.
    assert new["metrics"] == {name: value for name, value in old["metrics"].items() if not name.startswith("lr-")}
    assert equal_weights(trial / old["checkpoint"], again / new["checkpoint"])
    assert new["rerun"] == str(trial)
    assert new["overrides"] == [*old["overrides"], "logger=none"]
    assert new["choices"] == {**old["choices"], "logger": "none"}
    assert "trial" not in new
    assert json.loads((trial / "run.json").read_text()) == old, "the trial itself stays as it was"


def rerun(origin: Path, *words: str) -> dict[str, Any]:
    folder = origin.parent / "again"
    quiet = ("hydra/job_logging=none", f"hydra.run.dir={folder}")
    Rerun.of(origin, [*quiet, *words], ROOT / "conf", "train").start(lambda config: run(config, origin))
    return read(folder)


def test_overrides_go_on_top(configured: Compose) -> None:
    config = configured("model=linear", "trainer.max_epochs=1")
    run(config)
    facts = rerun(Path(config.folder), "trainer.max_epochs=2", "optimizer=sgd")
    assert facts["objective"]["epoch"] == 1
    assert "lr-SGD" in facts["metrics"]


def test_in_wandb_it_is_a_run_of_its_own(configured: Compose) -> None:
    wandb = ("logger=wandb", "logger.wandb.offline=true", "logger.wandb.id=mine")
    config = configured("model=linear", "trainer.max_epochs=1", *wandb)
    run(config)
    assert read(Path(config.folder))["wandb"]["id"] == "mine"
    assert rerun(Path(config.folder))["wandb"]["id"] != "mine"
