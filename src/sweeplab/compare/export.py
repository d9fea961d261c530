"""A comparison for other programs: CSV, JSON, Markdown."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sweeplab.compare.comparison import Comparison
from sweeplab.compare.configurations import Configuration
from sweeplab.compare.table import Table
from sweeplab.records.run import Run
from sweeplab.records.spreadsheet import cells


def as_csv(comparison: Comparison) -> str:
    """Return a row a run: folder, status, the settings that vary, all metrics, times. Values are not rounded."""
    metrics = list(comparison.fields.metrics)
    rows = [_flat(run, comparison, metrics) for run in comparison.runs]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(cells(rows[0]))
    writer.writerows(cells(row.values()) for row in rows)
    return out.getvalue()


def as_json(comparison: Comparison, tables: Sequence[Table], verdict: str) -> str:
    """Return runs and configurations as data, with the verdict on the two best, and the tables as they are shown."""
    content = {
        "objective": asdict(comparison.judge),
        "varied": list(comparison.varied),
        "verdict": verdict or None,
        "tables": [{"title": t.title, "columns": list(t.columns), "rows": t.rows, "notes": t.notes} for t in tables],
        "configurations": [_configuration(found) for found in comparison.configurations],
        "runs": [_run(run, comparison) for run in comparison.runs],
    }
    return json.dumps(content, indent=2, default=str) + "\n"


def as_markdown(tables: Sequence[Table], verdict: str) -> str:
    """Return the tables that the terminal shows, for a page."""
    return "\n\n".join([*(table.markdown() for table in tables), *([verdict] if verdict else [])]) + "\n"


def _run(run: Run, comparison: Comparison) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "status": str(run.status),
        "study": run.study,
        "number": run.number,
        "settings": {key: run.settings.get(key) for key in comparison.varied},
        "metrics": run.values(),
        "seconds": run.seconds,
        "started": run.facts["started"],
    }


def _flat(run: Run, comparison: Comparison, metrics: Sequence[str]) -> dict[str, Any]:
    content = _run(run, comparison)
    settings, values = content.pop("settings"), content.pop("metrics")
    return {**content, **settings, **{name: values.get(name) for name in metrics}}


def _configuration(found: Configuration) -> dict[str, Any]:
    return {
        "settings": dict(found.settings),
        **asdict(found.spread),
        "runs": [str(run.folder) for run in found.runs],
        "values": list(found.values),
    }
