"""How our runs use W&B."""

import os
import tempfile
from pathlib import Path
from typing import Any

import wandb

from sweeplab.records.layout import RunFile

INIT_WITHIN = 20.0  # seconds for a server to take a new run; W&B's own 90 would hold a sweep up for long
FINISH_WITHIN = 60.0  # seconds for the last uploads; what is not through by then stays on the disk
FINISH_FILES_WITHIN = 600.0  # the same, where checkpoints are among them
DATA_DIR = "WANDB_DATA_DIR"


def settings(files: bool, requirements: bool) -> wandb.Settings:
    """Return W&B's settings for our runs; `files` says that checkpoints will be uploaded."""
    limits = {"init_timeout": INIT_WITHIN, "finish_timeout": FINISH_FILES_WITHIN if files else FINISH_WITHIN}
    chosen: dict[str, Any] = {n: seconds for n, seconds in limits.items() if f"WANDB_{n.upper()}" not in os.environ}
    return wandb.Settings(
        silent=True,
        # What a killed process did not flush is lost; the default flushes every 15 seconds.
        x_transaction_log_flush_interval=2.0,
        # The list of installed packages is the same in every trial, and takes longer than the rest of a start.
        x_save_requirements=requirements,
        **chosen,
    )


def stage_artifacts(folder: Path) -> bool:
    """Let artifacts wait for their upload beside the runs, unless the user has a place; W&B's own is his home."""
    if ours := DATA_DIR not in os.environ:
        os.environ[DATA_DIR] = str(folder.absolute() / RunFile.WANDB / "data")
    return ours


def ensure_home() -> None:
    """Give W&B a home where the user has none, as in containers: it looks there for its settings, and fails."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()
