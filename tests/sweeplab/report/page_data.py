"""What the page is told of some runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweeplab.records.found import find
from sweeplab.records.run import Run
from sweeplab.records.study import Study
from sweeplab.report.content import content

NOW = datetime(2026, 1, 31, 13, tzinfo=UTC)


def of_study(folder: Path) -> dict[str, Any]:
    return content(find([folder]).runs, Study.read(folder), folder, NOW)


def of_runs(*runs: Run, place: Path | None = None) -> dict[str, Any]:
    return content(list(runs), None, place or runs[0].folder.parent, NOW)


def column(shown: dict[str, Any], label: str) -> list[Any]:
    place = [each["label"] for each in shown["columns"]].index(label)
    return [run["cells"][place] for run in shown["runs"]]


def described(shown: dict[str, Any], label: str) -> dict[str, Any]:
    (found,) = [each for each in shown["columns"] if each["label"] == label]
    return dict(found)
