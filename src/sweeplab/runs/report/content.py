"""All that the page knows, as one plain structure."""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sweeplab.runs.compare.columns import varying
from sweeplab.runs.compare.comparison import Comparison
from sweeplab.runs.compare.configurations import SEED
from sweeplab.runs.compare.fields import when
from sweeplab.runs.compare.objective import Judge, judge
from sweeplab.runs.compare.verdict import verdict
from sweeplab.runs.compare.views import base_of, changes_table, configurations_table
from sweeplab.runs.importance import TENTH, shares
from sweeplab.runs.record import Status
from sweeplab.runs.report.columns import Column, columns
from sweeplab.runs.report.lines import lines
from sweeplab.runs.report.plain import is_number, number
from sweeplab.runs.report.surface import FEWEST, surface
from sweeplab.runs.run import Run
from sweeplab.runs.study import Study

ERROR = 500  # characters of an error's last line


def content(runs: Sequence[Run], study: Study | None, folder: Path, now: datetime) -> dict[str, Any]:
    """Return what the page shows; links to runs are relative to `folder`, where it will lie."""
    if study and any(run.study != study.name for run in runs):
        study = None  # its runs are not alone here
    seeds = (study.seed_key,) if study else (SEED,)
    comparison = Comparison(list(runs), _judge(runs, study), varying(runs), seeds)
    objectives = _objectives(runs, study, comparison.judge)
    shown = columns(comparison, objectives, study)
    keys = [column for column in shown if column.role == "key"]
    importance = _importance(comparison, keys)
    measured = _measured(runs)
    return {
        "title": study.name if study else _title(runs),
        "places": _places(runs),
        "written": now.isoformat(timespec="seconds"),
        "study": {"command": study.command, "total": study.n_trials} if study else None,
        "objectives": [{"metric": metric, "mode": mode} for metric, mode in objectives],
        "others": comparison.by_others,
        "columns": [column.described() for column in shown],
        "measured": measured,
        "runs": _runs(runs, shown, measured, folder, now),
        "curves": lines(runs, [metric for metric, _ in objectives]),
        "importance": importance,
        "surface": _surface(comparison, keys, importance["shares"]),
        "tables": _tables(comparison, study),
        "verdict": verdict(comparison.configurations, comparison.judge) if comparison.over_seeds else "",
    }


def _judge(runs: Sequence[Run], study: Study | None) -> Judge:
    if study and study.objectives:
        return Judge(study.objectives[0]["metric"], study.objectives[0]["mode"])
    return judge(runs)


def _objectives(runs: Sequence[Run], study: Study | None, first: Judge) -> list[tuple[str, str]]:
    """Return the metrics that the runs are judged by, and where each should go."""
    if study and study.objectives:
        return [(objective["metric"], objective["mode"]) for objective in study.objectives]
    found = {first.metric: first.mode}
    for run in runs:
        if run.metric == first.metric:
            for further in (run.facts.get("objective") or {}).get("also", ()):
                found.setdefault(further["metric"], further["mode"])
    return list(found.items())


def _title(runs: Sequence[Run]) -> str:
    studies = {run.study for run in runs}
    name = runs[0].study
    if len(runs) == 1:
        return runs[0].name
    return name if len(studies) == 1 and name else f"{len(runs)} runs"


def _places(runs: Sequence[Run]) -> list[str]:
    """Say where the runs come from, if from more than one study."""
    found = Counter(run.study for run in runs)
    if len(found) < 2:
        return []
    return [f"{count} of {name}" if name else f"{count} by themselves" for name, count in found.most_common()]


def _measured(runs: Sequence[Run]) -> list[str]:
    """Return the metrics that are told of a single run, those at the end of the training left out."""
    return list(dict.fromkeys(name for run in runs for name in run.values() if not name.startswith("last/")))


def _runs(
    runs: Sequence[Run], shown: Sequence[Column], measured: Sequence[str], folder: Path, now: datetime
) -> list[dict[str, Any]]:
    starts = [when(run) for run in runs]
    zero = min(starts, key=datetime.timestamp)
    found = []
    for place, run in enumerate(runs):
        values = run.values()
        told = {
            "cells": [column.cells[place] for column in shown],
            "values": [number(values.get(name)) for name in measured],
            "folder": _link(run.folder, folder),
            "command": run.facts.get("command"),
            "number": run.number,
            "start": number((starts[place] - zero).total_seconds()),
            "end": number((_end(run, now) - zero).total_seconds()),
            "host": run.facts["process"].get("host"),
            "broken": _breaks(run) or None,
            "error": _last_line(run.facts.get("error")),
        }
        found.append({name: value for name, value in told.items() if value is not None})
    return found


def _link(folder: Path, start: Path) -> str:
    relative = Path(os.path.relpath(folder.absolute(), start.absolute()))
    return quote(os.fsencode(relative.as_posix())) + "/"  # bytes: a name need not be text


def _end(run: Run, now: datetime) -> datetime:
    if run.facts.get("ended"):
        return datetime.fromisoformat(run.facts["ended"])
    return now if run.status is Status.RUNNING else when(run)


def _breaks(run: Run) -> bool:
    """Say whether a run breaks a constraint: it is never the best then."""
    constraints = (run.facts.get("trial") or {}).get("constraints") or {}
    return any(value is None or value > 0 for value in constraints.values())


def _last_line(error: Any) -> str | None:
    found = [line for line in str(error or "").splitlines() if line.strip()]
    return found[-1].strip()[:ERROR] if found else None


def _importance(comparison: Comparison, keys: Sequence[Column]) -> dict[str, Any]:
    """Return the shares of the keys that all complete runs have, or why there are none."""
    places = _complete(comparison)
    usable = [column for column in keys if _varies(column, places)]
    told: dict[str, Any] = {"shares": {}, "count": len(places), "note": ""}
    if len(usable) < 2:
        told["note"] = "Importance takes two keys or more that all complete runs have, and that differ."
    elif len(places) < TENTH:
        told["note"] = f"Importance takes {TENTH} complete runs; there are {len(places)}."
    else:
        told["shares"] = _shares(comparison, usable, places)
        told["note"] = "" if told["shares"] else "The complete runs are too much alike to say what matters."
    return told


def _shares(comparison: Comparison, keys: Sequence[Column], places: Sequence[int]) -> dict[str, float]:
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.study import StudyDirection
    from optuna.trial import create_trial

    def distribution(column: Column) -> BaseDistribution:
        if column.choices is not None:
            return CategoricalDistribution(column.choices)
        assert column.low is not None
        assert column.high is not None
        if all(isinstance(column.values[place], int) for place in places):
            return IntDistribution(int(column.low), int(column.high), log=column.log)
        return FloatDistribution(float(column.low), float(column.high), log=column.log)

    def value(column: Column, place: int) -> Any:
        return column.values[place] if column.numeric else str(column.cells[place])

    distributions = {column.label: distribution(column) for column in keys}
    trials = [
        create_trial(
            value=comparison.judge.value(comparison.runs[place]),
            params={column.label: value(column, place) for column in keys},
            distributions=distributions,
        )
        for place in places
    ]
    direction = StudyDirection.MAXIMIZE if comparison.judge.mode == "max" else StudyDirection.MINIMIZE
    return {label: float(f"{share:.4g}") for label, share in shares(trials, direction).items()}


def _complete(comparison: Comparison) -> list[int]:
    """Return the places of the complete runs with a value."""
    runs, judged = comparison.runs, comparison.judge
    return [n for n, run in enumerate(runs) if run.status is Status.COMPLETE and judged.value(run) is not None]


def _varies(column: Column, places: Sequence[int]) -> bool:
    """Say whether all runs have a place on the key's axis, and not all the same."""
    cells = [column.cells[place] for place in places]
    placed = all(is_number(cell) for cell in cells) if column.numeric else None not in cells
    return placed and len(set(cells)) > 1


def _surface(comparison: Comparison, keys: Sequence[Column], importance: dict[str, float]) -> dict[str, Any]:
    """Return the objective over the two most important keys of numbers, or why not."""
    places = _complete(comparison)
    usable = [column for column in keys if column.numeric and _varies(column, places)]
    usable.sort(key=lambda column: -importance.get(column.label, 0.0))
    if len(usable) < 2:
        return {"note": "A map takes two keys of numbers that all complete runs have, and that differ."}
    x, y = usable[:2]
    values = [comparison.judge.value(comparison.runs[place]) for place in places]
    found = surface(x, y, places, [value for value in values if value is not None])
    if found is None:
        return {"note": f"A map takes {FEWEST} complete runs that do not lie on a line; there are {len(places)}."}
    return {"x": x.label, "y": y.label, **found}


def _tables(comparison: Comparison, study: Study | None) -> list[dict[str, Any]]:
    """Return what can be said over seeds, and of a study that changes one key at a time."""
    tables = [configurations_table(comparison, None)] if comparison.over_seeds else []
    if study and study.one_at_a_time:
        first = [run for run in comparison.runs if run.number == 0 and run.status is Status.COMPLETE]
        tables += [changes_table(comparison, base_of(comparison, first[0]))] if first else []
    return [{"title": t.title, "columns": t.columns, "rows": t.rows, "notes": t.notes} for t in tables]
