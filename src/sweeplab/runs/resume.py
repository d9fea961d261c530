"""Which runs can be gone on with."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sweeplab.errors import UserError
from sweeplab.runs import config, record
from sweeplab.runs.process import is_alive
from sweeplab.runs.record import Status

LAST = Path("checkpoints", "last.ckpt")
QUIET_FOR = 600  # seconds without a write, after which a run on another machine counts as dead


def check_resumable(folder: Path, overrides: Sequence[str] = (), conf: Path | None = None) -> DictConfig:
    """Make sure that the run in `folder` can go on, and return its configuration with the overrides on top.

    Raises:
        UserError: there is no such run; it is complete and nothing is overridden; it still lives; or it stopped before
            its first checkpoint.
    """
    facts = record.read(folder)
    loaded = config.load(folder, overrides, conf)
    if facts["status"] == Status.COMPLETE and not overrides:
        raise UserError(
            f"{folder} is complete; to train longer, add trainer.max_epochs={2 * loaded.trainer.max_epochs}."
        )
    if facts["status"] == Status.RUNNING and _lives(folder, facts["process"]):
        raise UserError(f"{folder} is still running on {facts['process']['host']}; stop it there first.")
    if not (folder / LAST).is_file():
        raise UserError(f"{folder} has no {LAST}, so there is nothing to go on from; start it anew.")
    return loaded


def _lives(folder: Path, process: Mapping[str, Any]) -> bool:
    alive = is_alive(process)
    if alive is None:  # it ran on another machine: judge by what it last wrote
        newest = max(path.stat().st_mtime for path in folder.rglob("*"))
        return time.time() - newest < QUIET_FOR
    return alive
