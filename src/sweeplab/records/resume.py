"""Which runs can be resumed."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeplab.errors import UserError
from sweeplab.records import config, record
from sweeplab.records.layout import RunFile
from sweeplab.records.process import is_alive
from sweeplab.records.record import Status
from sweeplab.records.trust import check_files
from sweeplab.secrets import hidden

# What the checkpoint holds, or the numbers depend on; and of that, what only says where things are.
FIXED = (
    "model",
    "task",
    "optimizer",
    "scheduler",
    "data",
    "seed",
    "objective",
    "init_from",
    "experiment",
    "debug",
)
FREE = ("data.path", "data.root", "data.cache", "data.num_workers", "data.pin_memory")
QUIET_FOR = 600  # seconds without a write, after which a run on another machine counts as dead


def check_resumable(
    folder: Path, overrides: Sequence[str] = (), conf: Path | None = None, trusted: bool = False
) -> DictConfig:
    """Make sure that the run in `folder` can go on, and return its configuration with the overrides on top.

    Raises:
        UserError: there is no such run; it is complete and nothing is overridden; it still lives; it stopped before
            its first checkpoint; or it is not `trusted`, and would build or write what `trust` does not let through.
    """
    facts = record.read(folder)
    links_of_wandb = f"{RunFile.WANDB}/*/logs/*"
    files = (path for path in folder.rglob("*") if not path.match(links_of_wandb))
    check_files(files, folder, trusted)
    loaded = config.load(folder, overrides, conf, to_build=True, trusted=trusted)
    masked = list(hidden(OmegaConf.to_container(config.load(folder), resolve=False)))
    for override in overrides:
        key = override.lstrip("+~").split("=", 1)[0]
        if key.split(".")[0] in FIXED and key not in (*FREE, *masked):
            raise UserError(f"{key} cannot change in a resumed run: {folder} holds what was trained with it.")
    config.check_secrets(loaded)
    if facts.get("checkpoints_removed"):
        raise UserError(record.without_checkpoints(folder))
    if facts["status"] == Status.COMPLETE and not overrides:
        longer = 2 * loaded.trainer.max_epochs if loaded.trainer.max_epochs else "..."
        raise UserError(f"{folder} is complete; to train longer, add trainer.max_epochs={longer}.")
    if facts["status"] == Status.RUNNING and _lives(folder, facts["process"]):
        host = facts["process"]["host"]
        if is_alive(facts["process"]):
            raise UserError(f"{folder} is still running on {host}; stop it there first.")
        raise UserError(
            f"{folder} may still be running on {host} or in another container; stop it there, or resume it "
            f"{QUIET_FOR // 60} minutes after its last write."
        )
    if not last_checkpoint(folder):
        raise UserError(f"{folder} has no {RunFile.LAST}, so it cannot be resumed; start a new run.")
    return loaded


def resumed(folder: Path, overrides: Sequence[str], conf: Path | None = None, trusted: bool = False) -> DictConfig:
    """Return the configuration of a run that goes on, for a process whose first one may have saved it already."""
    saved = config.load(folder)
    keys = [override.lstrip("~").partition("=")[0] for override in overrides]
    pairs = zip(overrides, keys, strict=True)
    remaining = [word for word, key in pairs if not word.startswith("~") or OmegaConf.select(saved, key) is not None]
    return config.load(folder, remaining, conf, to_build=True, trusted=trusted)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint that the run in `folder` goes on from: of several stages, the one written last."""
    checkpoints = [folder / RunFile.LAST, *(folder / RunFile.CHECKPOINTS).glob(f"*/{RunFile.LAST.name}")]
    return max((path for path in checkpoints if path.is_file()), key=lambda path: path.stat().st_mtime, default=None)


def _lives(folder: Path, process: Mapping[str, Any]) -> bool:
    alive = is_alive(process)
    if alive is None:  # it ran on another machine: judge by what it last wrote
        newest = max(path.stat().st_mtime for path in folder.rglob("*"))
        return time.time() - newest < QUIET_FOR
    return alive
