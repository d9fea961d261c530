"""Folders of runs, written by hand: what a test says, and what every run has."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sweeplab.records.run import Run


def make_run(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    acc: float | None = None,
    status: str = "complete",
    derived: Mapping[str, str] | None = None,
    **facts: Any,
) -> Run:
    """Write a run of these nested settings, judged by `val/acc`; `derived` names settings, and those they follow."""
    folder.mkdir(parents=True)
    objective = {"metric": "val/acc", "mode": "max", "value": acc, "epoch": 1}
    process = {"host": "elsewhere", "pid": 1, "started": 0.0}
    content = {"status": status, "process": process, "started": "2026-01-31T12:00:00.000+00:00", "seconds": 1.5}
    given = dict(settings or {})
    if acc is not None:
        content |= {"objective": objective, "best": {"val/acc": acc}}
    (folder / "run.json").write_text(json.dumps({**content, "seed": given.get("seed"), **facts}))
    own = {"folder": str(folder), **given, **{key: given[source] for key, source in (derived or {}).items()}}
    (folder / "config.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    (folder / ".hydra").mkdir()
    composed = {**given, **{key: f"${{{source}}}" for key, source in (derived or {}).items()}}
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(composed, sort_keys=False))
    return Run.read(folder)
