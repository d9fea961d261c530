"""The table of runs."""

import os
from collections.abc import Sequence
from pathlib import Path

from sweeplab.compare.cells import cell, plural
from sweeplab.compare.comparison import Comparison, endings
from sweeplab.compare.table import Table, rest
from sweeplab.records.record import Status
from sweeplab.records.run import Run


def runs_table(comparison: Comparison, top: int | None, columns: Sequence[str] = ()) -> Table:
    """Show runs in their order, with what tells them apart and what they came to."""
    fields = [comparison.fields.name(word) for word in columns] or _fields(comparison)
    shown = comparison.runs[:top]
    short = comparison.fields.short
    rows = [[_place(run), *(cell(field, run) for field in fields)] for run in shown]
    return Table(
        f"{plural(len(comparison.runs), 'run')}: {endings(comparison.runs)}",
        ["run", *(short.get(field, field) for field in fields)],
        rows,
        [*rest(len(comparison.runs) - len(shown)), *_remarks(comparison)],
    )


def _remarks(comparison: Comparison) -> list[str]:
    """Say what the order of the runs does not: other objectives, and which runs no other one beats."""
    metric, others = comparison.judge.metric, comparison.by_others
    notes = [f"{plural(count, 'run')} had {other} as objective." for other, count in others.items()]
    if any(metric in run.tests for run in comparison.runs):
        notes = [f"These are in the order of {metric}: a test that chooses is no longer a test."]
    if broken := sum(not run.keeps_constraints for run in comparison.runs):
        notes.append(f"{plural(broken, 'run')} broke a constraint, and cannot be the best.")
    if front := comparison.front():
        names = ", ".join([metric, *(judge.metric for judge in comparison.further)])
        notes.append(f"No other run beats, in {names}: {', '.join(map(_place, front))}.")
    return notes


def _fields(comparison: Comparison) -> list[str]:
    runs = comparison.runs
    status = ["status"] if any(run.status is not Status.COMPLETE for run in runs) else []
    further = [judge.metric for judge in comparison.further]
    return [*status, comparison.judge.metric, *further, *comparison.tests[:1], *comparison.varied, "seconds"]


def _place(run: Run) -> str:
    """Return the run's folder as a user here would write it."""
    here = Path.cwd()
    folder = run.folder.absolute()
    return os.path.relpath(folder, here) if folder.is_relative_to(here) else str(folder)
