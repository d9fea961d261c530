"""All that the page knows, as one plain structure."""

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sweeplab.compare.changes import ablation_base, base_of, changes_table
from sweeplab.compare.comparison import Comparison
from sweeplab.compare.configurations import SEED
from sweeplab.compare.fields import when
from sweeplab.compare.importance import TENTH, shares
from sweeplab.compare.objective import judge
from sweeplab.compare.over_seeds import configurations_table
from sweeplab.compare.table import Table
from sweeplab.compare.verdict import verdict
from sweeplab.records.columns import varying
from sweeplab.records.objective import Objective
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Study
from sweeplab.report.columns import Column, columns
from sweeplab.report.lines import lines
from sweeplab.report.plain import is_number, number
from sweeplab.report.surface import FEWEST, surface

ERROR = 500  # characters of an error's last line


def content(
    runs: Sequence[Run], study: Study | None, folder: Path, now: datetime, by: Objective | None = None
) -> dict[str, Any]:
    """Return what the page shows; links to runs are relative to `folder`, where it will lie.

    The runs are judged `by` a metric, or by their objective.
    """
    if study and any(run.study != study.name for run in runs):
        study = None  # its runs are not alone here
    seeds = (study.seed_key,) if study else (SEED,)
    comparison = Comparison(list(runs), by or _judge(runs, study), varying(runs), seeds)
    objectives = [(one.metric, one.mode) for one in (comparison.judge, *comparison.further)]
    shown = columns(comparison, objectives, study)
    keys = [column for column in shown if column.role == "key"]
    importance = _importance(comparison, keys, study is not None and study.one_at_a_time)
    measured = _measured(runs)
    return {
        "title": study.name if study else _title(runs),
        "places": _places(runs),
        "written": now.isoformat(timespec="seconds"),
        "study": {"command": study.command, "total": study.n_trials} if study else None,
        "trials": len({run.number for run in runs}) if study else None,
        "mean": _best_mean(comparison),
        "objectives": [{"metric": metric, "mode": mode} for metric, mode in objectives],
        "others": comparison.by_others,
        "columns": [column.described() for column in shown],
        "measured": measured,
        "runs": _runs(runs, shown, measured, folder, now),
        "curves": lines(runs, [metric for metric, _ in objectives]),
        "importance": importance,
        "surface": _surface(comparison, keys, importance["shares"]),
        "tables": _tables(comparison, study),
    }


def _judge(runs: Sequence[Run], study: Study | None) -> Objective:
    if study and study.objectives:
        return Objective(study.objectives[0]["metric"], study.objectives[0]["mode"])
    return judge(runs)


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
            "command": _command(run),
            "number": run.number,
            "start": number((starts[place] - zero).total_seconds()),
            "end": number((_end(run, now) - zero).total_seconds()),
            "host": run.facts["process"].get("host"),
            "broken": not run.keeps_constraints or None,
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


def _command(run: Run) -> str | None:
    """Return the command that trains the run again, from the folder where it was started."""
    program = str(run.facts.get("command") or "").split()[:2]
    if len(program) < 2:
        return None
    folder, start = run.folder.absolute(), Path(str(run.facts.get("directory") or "/"))
    place = folder.relative_to(start) if start != Path("/") and folder.is_relative_to(start) else folder
    return " ".join([*program, shlex.quote(f"rerun={place}")])


def _best_mean(comparison: Comparison) -> dict[str, Any] | None:
    """Return what the best configuration came to over its seeds, and its best run; None where each has one seed."""
    if not comparison.over_seeds:
        return None
    best = comparison.configurations[0]
    run = min(best.runs, key=comparison.judge.order)
    place = next(place for place, other in enumerate(comparison.runs) if other is run)
    found = best.spread
    return {
        "value": number(found.mean),
        "sd": number(found.sd),
        "seeds": found.count,
        "of": len(comparison.configurations),
        "run": place,
    }


def _last_line(error: Any) -> str | None:
    found = [line for line in str(error or "").splitlines() if line.strip()]
    return found[-1].strip()[:ERROR] if found else None


def _importance(comparison: Comparison, keys: Sequence[Column], one_at_a_time: bool) -> dict[str, Any]:
    """Return the shares of the keys that all complete runs have, or why there are none."""
    places = _complete(comparison)
    usable = [column for column in keys if _varies(column, places)]
    told: dict[str, Any] = {"shares": {}, "count": len(places), "note": ""}
    if one_at_a_time:
        told["note"] = "Where one key is changed at a time, the table above says what each change is worth."
    elif len(usable) < 2:
        told["note"] = "Importance takes two keys or more that all complete runs have, and that differ."
    elif len(places) < TENTH:
        told["note"] = f"Importance takes {TENTH} complete runs; there are {len(places)}."
    else:
        told["shares"] = _shares(comparison, usable, places)
        told["note"] = "" if told["shares"] else "The complete runs are too much alike to say what matters."
    return told


def _shares(comparison: Comparison, keys: Sequence[Column], places: Sequence[int]) -> dict[str, float]:
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
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
    return {label: float(f"{share:.4g}") for label, share in shares(trials, comparison.judge.direction).items()}


def _complete(comparison: Comparison) -> list[int]:
    """Return the places of the runs that count."""
    return [place for place, run in enumerate(comparison.runs) if comparison.judge.counts(run)]


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
    """Return what can be said over seeds, or of a study that changes one key at a time."""
    first = ablation_base(comparison, study)
    base = base_of(comparison, first) if first else None
    if base is not None:
        return [_described(changes_table(comparison, base), "")]
    if not comparison.over_seeds:
        return []
    return [_described(configurations_table(comparison, None), verdict(comparison.configurations, comparison.judge))]


def _described(table: Table, said: str) -> dict[str, Any]:
    return {"title": table.title, "columns": table.columns, "rows": table.rows, "notes": table.notes, "verdict": said}
