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


def write_report(path: Path, runs: Sequence[Run], study: Study | None, every: float | None = None) -> None:
    """Write a page to `path` that shows the runs, with links to their folders from there.

    With `every` the page loads itself again after so many seconds, as long as one of the runs is running.

    Raises:
        UserError: there is no run, or Plotly is not installed.
    """
    write_text(path, page(runs, study, path.parent, every))


def write_study_report(folder: Path, every: float | None = None) -> None:
    """Write the page of a sweep into its folder.

    Raises:
        UserError: no run is there, or the study's own file is broken.
    """
    study = Study.read(folder) if is_study(folder) else None
    write_report(folder / StudyFile.REPORT, find([folder]).runs, study, every)


def page(
    runs: Sequence[Run],
    study: Study | None,
    folder: Path,
    every: float | None = None,
    objective: Objective | None = None,
) -> str:
    """Return the page that `write_report` writes, for a file in `folder`.

    The runs are compared by `objective`, or by their own.

    Raises:
        UserError: there is no run, or Plotly is not installed.
    """
    if not runs:
        raise UserError("a report needs at least one run.")
    data = content(runs, study, folder, datetime.now().astimezone(), objective)
    is_running = any(run.status is Status.RUNNING for run in runs)
    parts = {
        "title": html.escape(data["title"]).encode(errors="replace").decode(),
        "style": _read("page.css"),
        "theme": _read("theme.js"),
        "data": _as_json(data | {"every": every if is_running else None}),
        "script": "\n".join(_read(name) for name in SCRIPTS),
        "plotly": _plotly(),
    }
    # Six parts go in once each, and all but one as they are: there is nothing here for a template engine to do.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("page.html"))


def _as_json(data: dict[str, Any]) -> str:
    """Return JSON that can stand in a page: nothing in it ends the script that it stands in."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return Plotly's own script; its Python package is not imported, which takes long."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("a report needs plotly; run: pip install 'sweeplab[report]'")
    return (Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
