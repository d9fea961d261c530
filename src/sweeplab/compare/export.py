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
from sweeplab.records.files import cells
from sweeplab.records.run import Run


def as_csv(comparison: Comparison) -> str:
    """Return a row a run: folder, status, the settings that vary, all metrics, times. Values are not rounded."""
    rows = []
    for run in comparison.runs:
        row = _row(run, comparison)
        settings, values = row.pop("settings"), row.pop("metrics")
        row |= {"tags": ", ".join(run.tags)} if "tags" in row else {}
        rows.append({**row, **settings, **{name: values.get(name) for name in comparison.fields.metrics}})
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([cells(rows[0]), *(cells(row.values()) for row in rows)])
    return out.getvalue()


def as_json(comparison: Comparison, tables: Sequence[Table], significance: str) -> str:
    """Return runs and configurations as data, the sentence on the two best, and the tables as they are shown."""
    content = {
        "objective": asdict(comparison.objective),
        "varied": list(comparison.varied),
        "verdict": significance or None,
        "tables": [asdict(table) for table in tables],
        "configurations": [_configuration(each) for each in comparison.configurations],
        "runs": [_row(run, comparison) for run in comparison.runs],
    }
    return json.dumps(content, indent=2, default=str) + "\n"


def as_markdown(tables: Sequence[Table], significance: str) -> str:
    """Return the tables that the terminal shows, for a page."""
    return "\n\n".join([*(table.markdown() for table in tables), *([significance] if significance else [])]) + "\n"


def _row(run: Run, comparison: Comparison) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "status": str(run.status),
        "study": run.study,
        "number": run.number,
        **({"tags": list(run.tags)} if comparison.has_tags else {}),
        "settings": {key: run.settings.get(key) for key in comparison.varied},
        "metrics": run.values(),
        "seconds": run.seconds,
        "started": run.facts["started"],
    }


def _configuration(configuration: Configuration) -> dict[str, Any]:
    return {
        "settings": dict(configuration.settings),
        **asdict(configuration.spread),
        "runs": [str(run.folder) for run in configuration.runs],
        "values": list(configuration.values),
    }
