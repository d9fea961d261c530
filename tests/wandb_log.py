"""What W&B really recorded, read back from an offline run by W&B's own inspector."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sweeplab.tracking.offline_run import read


def offline_runs(folder: Path) -> list[Path]:
    """The run directories below a folder, in the order in which the runs began."""

    def begun(log: Path) -> tuple[int, Path]:
        run = read(log)
        return run.started if run else 0, log

    logs = [path for path in folder.rglob("*.wandb") if not path.parent.is_symlink()]
    return [log.parent for log in sorted(logs, key=begun)]


def summary(run: Path) -> dict[str, Any]:
    """Config, summary, state and exit code of a run."""
    found: dict[str, Any] = json.loads(_inspect("--summary", "--json", str(run)))
    return found


def records(run: Path, kind: str) -> list[dict[str, Any]]:
    """All records of a kind, such as `history` or `artifact`."""
    lines = [json.loads(line) for line in _inspect("--json", str(run)).splitlines()]
    return [line[kind] for line in lines if line["type"] == kind]


def _inspect(*arguments: str) -> str:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
