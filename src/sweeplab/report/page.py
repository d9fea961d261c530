"""The page: one file that holds all it needs, Plotly included, and opens without a network."""

import html
import json
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sweeplab.errors import UserError
from sweeplab.records.files import write_text
from sweeplab.records.found import find
from sweeplab.records.layout import StudyFile
from sweeplab.records.objective import Objective
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Study, is_study
from sweeplab.report.content import content

HERE = Path(__file__).parent
SCRIPTS = ("state.js", "filter.js", "colours.js", "plots.js", "table.js", "page.js")


def write_report(
    path: Path, runs: Sequence[Run], study: Study | None, every: float | None = None, by: Objective | None = None
) -> None:
    """Write a page to `path` that shows the runs, with links to their folders from there.

    The runs are judged `by` a metric, or by their objective.

    With `every` the page loads itself again after so many seconds, as long as one of the runs is running.

    Raises:
        UserError: there is no run, or Plotly is not installed.
    """
    write_text(path, page(runs, study, path.parent, every, by))


def page(
    runs: Sequence[Run], study: Study | None, folder: Path, every: float | None = None, by: Objective | None = None
) -> str:
    """Return the page that `write_report` writes, for a file in `folder`.

    Raises:
        UserError: there is no run, or Plotly is not installed.
    """
    if not runs:
        raise UserError("a report takes at least one run.")
    shown = content(runs, study, folder, datetime.now().astimezone(), by)
    alive = any(run.status is Status.RUNNING for run in runs)
    parts = {
        "title": html.escape(shown["title"]).encode(errors="replace").decode(),
        "style": _read("page.css"),
        "theme": _read("theme.js"),
        "data": as_json(shown | {"every": every if alive else None}),
        "script": "\n".join(_read(name) for name in SCRIPTS),
        "plotly": _plotly(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def write_study_report(folder: Path, every: float | None = None) -> None:
    """Write the page of a sweep into its folder.

    Raises:
        UserError: no run is there, or the study's own file is broken.
    """
    study = Study.read(folder) if is_study(folder) else None
    write_report(folder / StudyFile.REPORT, find([folder]).runs, study, every)


def as_json(shown: dict[str, Any]) -> str:
    """Return JSON that can stand in a page: nothing in it ends the script that it stands in."""
    return json.dumps(shown, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return Plotly's own script; its Python package is not imported, which takes long."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("a report takes plotly; run: pip install plotly")
    return (Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
