"""Offline runs as WandbRun leaves them, in the folder of a study."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb

from sweeplab.tracking.offline_run import read

Make = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "multirun" / "cnn"


@pytest.fixture
def make(study: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make an offline run in the study's folder, as WandbRun does; return its log."""

    def made(id: str, first: int = 0, weights: bytes = b"", exit_code: int = 0, folder: Path = study) -> Path:
        monkeypatch.setenv("WANDB_DATA_DIR", str(folder / "wandb" / "data"))
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, x_save_requirements=False)
        where: dict[str, Any] = {
            "project": "p",
            "dir": str(folder),
            "mode": "offline",
            "resume": "allow",
            "settings": settings,
        }
        run = wandb.init(id=id, group=folder.name, job_type="trial", tags=["t"], config={"lr": {"x": 1}}, **where)
        for row in range(first, first + 10):
            run.log({"row": row, "trainer/global_step": row})
        if weights:
            (folder / "best.ckpt").write_bytes(weights)
            artifact = wandb.Artifact(f"model-{id}", "model")
            artifact.add_file(str(folder / "best.ckpt"))
            run.log_artifact(artifact, aliases=["best"])
        run.summary["objective"] = 0.5
        run.finish(exit_code=exit_code)
        return whole_log(run)

    return made


def whole_log(run: wandb.Run) -> Path:
    """Wait for the log of a run that has ended: W&B's service writes it by and by."""
    (log,) = Path(run.settings.sync_dir).resolve().glob("*.wandb")
    while not ((written := read(log)) and written.is_whole):
        time.sleep(0.01)
    return log
