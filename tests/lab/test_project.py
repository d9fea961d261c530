"""What has to work in a project, whatever its models and data are: each command, as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "train.py").exists())
MODELS = list((ROOT / "conf" / "model").glob("*.yaml"))
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not MODELS, reason="there is no model in conf/model yet")]

SMALL = ("trainer=cpu", "trainer.max_epochs=1", "++trainer.limit_train_batches=2", "++trainer.limit_val_batches=2")


def run(folder: Path, script: str, *arguments: str) -> str:
    """Run a command in a folder of the test's own, and return what it prints."""
    command = [sys.executable, str(ROOT / script), *arguments]
    offline = {**os.environ, "WANDB_MODE": "offline"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=offline)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_run_trains_and_is_evaluated_and_resumed_from_its_folder(tmp_path: Path) -> None:
    run(tmp_path, "train.py", *SMALL, "hydra.run.dir=run")
    first = json.loads((tmp_path / "run" / "run.json").read_text())
    assert first["status"] == "complete"
    run(tmp_path, "eval.py", "run=run", "stage=validate", "trainer.limit_val_batches=2")
    run(tmp_path, "train.py", "resume=run", "trainer.max_epochs=2")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "complete"


def test_a_sweep_runs_its_trials_and_is_compared(tmp_path: Path) -> None:
    run(tmp_path, "train.py", "-m", "sweep=random", "hydra.sweeper.n_trials=2", "study=two", "logger=wandb", *SMALL)
    records = [json.loads((tmp_path / "multirun" / "two" / name / "run.json").read_text()) for name in ("0", "1")]
    assert [record["status"] for record in records] == ["complete", "complete"]
    assert "2 complete" in run(tmp_path, "compare.py", "multirun/two")


def test_a_mistake_is_one_sentence() -> None:
    command = [sys.executable, str(ROOT / "train.py"), "trainer.max_epoch=1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert done.stderr.startswith("Error: there is no key 'trainer.max_epoch'; did you mean 'trainer.max_epochs'?")
