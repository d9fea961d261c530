"""Folders of runs, written by hand: one run each, with just what a test is about."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sweeplab.records.run import Run

STARTED = "2026-01-31T12:00:00+00:00"
ENDED = "2026-01-31T12:01:00+00:00"


def make_run(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    value: float | None = None,
    curve: Sequence[float] = (),
    metric: str = "val/acc",
    mode: str = "max",
    **facts: Any,
) -> Run:
    """Write a run that is complete, or whatever `facts` say, and read it."""
    folder.mkdir(parents=True)
    known = {
        "status": "complete",
        "command": "python train.py",
        "process": {"host": "here", "pid": 1, "started": 0.0},
        "started": STARTED,
        "ended": ENDED,
        "seconds": 60.0,
        "objective": {"metric": metric, "mode": mode, "value": value},
    }
    (folder / "run.json").write_text(json.dumps(known | facts), encoding="utf-8")
    (folder / "config.yaml").write_text(yaml.safe_dump({"folder": str(folder), **(config or {})}), encoding="utf-8")
    if curve:
        rows = [f"{place},{10 * place},{number}" for place, number in enumerate(curve)]
        (folder / "metrics.csv").write_text("\n".join([f"epoch,step,{metric}", *rows]) + "\n", encoding="utf-8")
    return Run.read(folder)
