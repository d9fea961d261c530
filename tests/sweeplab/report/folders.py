"""Folders of runs as the page wants them: with a command, an end, and a learning curve."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeplab.records.run import Run
from tests.sweeplab.records import made_runs


def make_run(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    value: float | None = None,
    curve: Sequence[float] = (),
    metric: str = "val/acc",
    mode: str = "max",
    **facts: Any,
) -> Run:
    """Write a run of a minute that is complete, or whatever `facts` say, and read it."""
    standard: dict[str, Any] = {
        "command": "python train.py",
        "ended": "2026-01-31T12:01:00+00:00",
        "seconds": 60.0,
        "objective": {"metric": metric, "mode": mode, "value": value},
    }
    run = made_runs.make_run(folder, config, **(standard | facts))
    if curve:
        rows = [f"{epoch},{10 * epoch},{number}" for epoch, number in enumerate(curve)]
        (folder / "metrics.csv").write_text("\n".join([f"epoch,step,{metric}", *rows]) + "\n", encoding="utf-8")
    return run
