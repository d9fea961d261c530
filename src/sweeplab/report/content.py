"""All that the page knows, as one plain structure."""

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sweeplab.compare.comparison import Comparison, chosen_objective
from sweeplab.compare.configurations import SEED
from sweeplab.compare.tables import summary
from sweeplab.records.columns import varying
from sweeplab.records.objective import Objective
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Study
from sweeplab.report.landscape import landscape
from sweeplab.report.learning_curves import learning_curves
from sweeplab.report.page_columns import Column, columns, json_number

ERROR = 500  # characters of an error's last line


def content(
    runs: Sequence[Run], study: Study | None, folder: Path, now: datetime, objective: Objective | None = None
) -> dict[str, Any]:
    """Return what the page shows; links to runs are relative to `folder`, where it will lie.

    The runs are compared by `objective`, or by the study's, or by that of most.
    """
    if study and any(run.study != study.name for run in runs):
        study = None  # its runs are not alone here
    comparison = Comparison(
        runs, objective or _objective(runs, study), varying(runs), (study.seed_key,) if study else (SEED,)
    )
    table = columns(comparison, study)
    keys = [column for column in table if column.role == "key"]
    measured = list(dict.fromkeys(name for run in runs for name in run.values() if not name.startswith("last/")))
    tables, significance = summary(comparison, study)
    return {
        "title": study.name if study else _title(runs),
        "sources": _sources(runs),
        "written": now.isoformat(timespec="seconds"),
        "study": {"command": study.command, "total": study.n_trials} if study else None,
        "trials": len({run.number for run in runs}) if study else None,
        "mean": _best_mean(comparison),
        "objectives": [{"metric": each.metric, "mode": each.mode} for each in comparison.objectives],
        "others": comparison.other_objectives,
        "columns": [column.described() for column in table],
        "measured": measured,
        "runs": _runs(runs, table, measured, folder, now),
        "curves": learning_curves(runs, [each.metric for each in comparison.objectives]),
        **landscape(comparison, keys, study is not None and study.one_at_a_time),
        "tables": [{**vars(each), "significance": significance} for each in tables],
    }


def _objective(runs: Sequence[Run], study: Study | None) -> Objective:
    if study and study.objectives:
        return Objective(study.objectives[0]["metric"], study.objectives[0]["mode"])
    return chosen_objective(runs)


def _title(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return runs[0].name
    studies = {run.study for run in runs}
    return (len(studies) == 1 and runs[0].study) or f"{len(runs)} runs"


def _sources(runs: Sequence[Run]) -> list[str]:
    """Say where the runs come from, if from more than one study."""
    count = Counter(run.study for run in runs)
    if len(count) < 2:
        return []
    return [f"{number} of {name}" if name else f"{number} by themselves" for name, number in count.most_common()]


def _best_mean(comparison: Comparison) -> dict[str, Any] | None:
    """Return what the best configuration came to over its seeds, and its best run; None where each has one seed."""
    if not comparison.has_repeats:
        return None
    best = comparison.configurations[0]
    run = min(best.runs, key=comparison.objective.order)
    return {
        "value": json_number(best.spread.mean),
        "sd": json_number(best.spread.sd),
        "seeds": best.spread.count,
        "of": len(comparison.configurations),
        "run": next(index for index, other in enumerate(comparison.runs) if other is run),
    }


def _runs(
    runs: Sequence[Run], table: Sequence[Column], measured: Sequence[str], folder: Path, now: datetime
) -> list[dict[str, Any]]:
    starts = [datetime.fromisoformat(run.facts["started"]) for run in runs]
    zero = min(starts, key=datetime.timestamp)
    rows = []
    for index, (run, start) in enumerate(zip(runs, starts, strict=True)):
        values = run.values()
        row = {
            "cells": [column.cells[index] for column in table],
            "values": [json_number(values.get(name)) for name in measured],
            "folder": _link(run.folder, folder),
            "command": _command(run),
            "number": run.number,
            "start": json_number((start - zero).total_seconds()),
            "end": json_number((_end(run, start, now) - zero).total_seconds()),
            "host": run.facts["process"].get("host"),
            "broken": not run.keeps_constraints or None,
            "error": _last_line(run.facts.get("error")),
        }
        rows.append({name: value for name, value in row.items() if value is not None})
    return rows


def _link(folder: Path, start: Path) -> str:
    relative = Path(os.path.relpath(folder.absolute(), start.absolute()))
    return quote(os.fsencode(relative.as_posix())) + "/"  # bytes: a name need not be text


def _end(run: Run, start: datetime, now: datetime) -> datetime:
    if run.facts.get("ended"):
        return datetime.fromisoformat(run.facts["ended"])
    return now if run.status is Status.RUNNING else start


def _command(run: Run) -> str | None:
    """Return the command that trains the run again, from the folder where it was started."""
    program = str(run.facts.get("command") or "").split()[:2]
    if len(program) < 2:
        return None
    folder, start = run.folder.absolute(), Path(str(run.facts.get("directory") or "/"))
    path = folder.relative_to(start) if start != Path("/") and folder.is_relative_to(start) else folder
    return " ".join([*program, shlex.quote(f"rerun={path}")])


def _last_line(error: Any) -> str | None:
    lines = [line for line in str(error or "").splitlines() if line.strip()]
    return lines[-1].strip()[:ERROR] if lines else None
