"""The tables of `compare.py`: runs, configurations over seeds, groups, and where two runs differ."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sweeplab.compare.changes import ablation_base, base_of, changes_table
from sweeplab.compare.comparison import Comparison
from sweeplab.compare.configurations import Configuration, differing, grouped
from sweeplab.compare.fields import Fields
from sweeplab.compare.significance import once_each, significance
from sweeplab.compare.statistics import Spread, spread
from sweeplab.compare.table import INTERVAL, Table, cell, interval, number, plural, setting
from sweeplab.records.columns import token, varying
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Study

SPREAD = ("mean", "sd", INTERVAL, "n")
TARGET = "._target_"


def runs_table(comparison: Comparison, top: int | None, columns: Sequence[str] = ()) -> Table:
    """Show runs in their order, with what tells them apart and what they came to."""
    fields = [comparison.fields.name(word) for word in columns] or _standard_fields(comparison)
    rows = [[_path(run), *(cell(field, run) for field in fields)] for run in comparison.runs[:top]]
    title = f"{plural(len(comparison.runs), 'run')}: {comparison.endings}"
    notes = [*_rest(len(comparison.runs) - len(rows)), *_remarks(comparison)]
    return Table(title, ["run", *comparison.fields.titles(fields)], rows, notes)


def configurations_table(comparison: Comparison, top: int | None) -> Table:
    """Show what each configuration came to over its seeds, the best mean first."""
    ranked = comparison.configurations
    rows = [
        [
            *_spread_cells(each.spread),
            *(setting(each.settings[k]) if k in each.settings else "-" for k in comparison.keys),
        ]
        for each in ranked[:top]
    ]
    title = f"{comparison.objective.metric} over seeds, {plural(len(ranked), 'configuration')}"
    return Table(title, [*SPREAD, *comparison.fields.titles(comparison.keys)], rows, _rest(len(ranked) - len(rows)))


def summary(comparison: Comparison, study: Study | None, top: int | None = None) -> tuple[list[Table], str]:
    """Return what the configurations came to, and whether the best is the best by more than chance.

    That is a table over seeds where there are repeats. Of a study that changes one key at a time it is the table of
    what each change is worth.
    """
    first, ranked = ablation_base(comparison, study), comparison.configurations
    base = None if first is None else base_of(comparison, first)
    if base is not None:
        return [changes_table(comparison, base)], ""
    note = "" if first is None else "No run of the base is complete."
    if comparison.has_repeats:
        return [configurations_table(comparison, top)], note or significance(ranked, comparison.objective)
    return [], note or once_each(ranked, comparison.objective)


def groups_table(comparison: Comparison, by: Sequence[str], top: int | None) -> Table:
    """Show what the runs of each group came to, the best first; a group shares its values of the fields `by`.

    Where they differ in more than their seed there is no interval: they are no samples of one thing.
    """
    fields, objective = [comparison.fields.name(word) for word in by], comparison.objective
    groups = grouped(comparison.runs, objective, lambda run: tuple(token(Fields.value(run, field)) for field in fields))
    ranked = sorted(
        ((min(values, key=objective.rank), runs, values) for runs, values in groups),
        key=lambda group: objective.rank(group[0]),
    )
    differ = dict.fromkeys(key for runs, _ in groups for key in varying(runs) if key in comparison.keys)
    rows = []
    for best, runs, values in ranked[:top]:
        over = spread(values) if differ else Configuration({}, runs, values, comparison.seed_keys).spread
        over = Spread(over.count, over.mean, over.sd) if differ else over
        rows.append([*(cell(field, runs[0]) for field in fields), number(best), *_spread_cells(over)])
    notes = _rest(len(ranked) - len(rows))
    if differ:
        notes.append(f"Runs of a group differ in {', '.join(comparison.fields.titles(differ))} too.")
    if not groups:
        notes.append("No run is complete with a value.")
    columns = [*comparison.fields.titles(fields), "best", *SPREAD]
    return Table(f"{objective.metric} by {', '.join(by)}", columns, rows, notes)


def differences_table(one: Run, other: Run) -> Table:
    """Show where two runs differ: settings, what they came to, endings, code and versions."""
    rows = [*_settings(one, other)]
    values = [{k: v for k, v in run.values().items() if not k.startswith("last/")} for run in (one, other)]
    rows += [[key, number(a), number(b)] for key, a, b in _unequal(*values)]
    rows += [
        [key, *("-" if v is None else str(v) for v in pair)] for key, *pair in _unequal(_facts(one), _facts(other))
    ]
    return Table("What differs", ["key", one.name, other.name], rows, [] if rows else ["Nothing differs."])


def _standard_fields(comparison: Comparison) -> list[str]:
    status = ["status"] if any(run.status is not Status.COMPLETE for run in comparison.runs) else []
    metrics = [objective.metric for objective in comparison.objectives]
    return [*status, *metrics, *comparison.tests[:1], *comparison.varied, "seconds"]


def _remarks(comparison: Comparison) -> list[str]:
    """Say what the order of the runs does not: other objectives, and which runs no other one beats."""
    metric = comparison.objective.metric
    notes = [f"{plural(count, 'run')} had {name} as objective." for name, count in comparison.other_objectives.items()]
    if any(metric in run.tests for run in comparison.runs):
        notes = [f"These are in the order of {metric}: a test that chooses is no longer a test."]
    if broken := sum(not run.keeps_constraints for run in comparison.runs):
        notes.append(f"{plural(broken, 'run')} broke a constraint, and cannot be the best.")
    if front := comparison.front():
        names = ", ".join(objective.metric for objective in comparison.objectives)
        notes.append(f"No other run beats, in {names}: {', '.join(map(_path, front))}.")
    return notes


def _rest(count: int) -> list[str]:
    return [f"{count} more: --top 0 shows all."] if count > 0 else []


def _path(run: Run) -> str:
    """Return the run's folder as a user here would write it."""
    here = Path.cwd()
    folder = run.folder.absolute()
    return os.path.relpath(folder, here) if folder.is_relative_to(here) else str(folder)


def _spread_cells(over: Spread) -> list[str]:
    return [number(over.mean), number(over.sd), interval(over), str(over.count)]


def _settings(one: Run, other: Run) -> Iterator[list[str]]:
    for key in differing(one.settings, other.settings):
        group = key.removesuffix(TARGET)
        follows = key.endswith(TARGET) and one.choices.get(group) != other.choices.get(group)
        if not follows:  # the class behind a choice says no more than the choice
            yield [key, *(setting(run.settings.get(key, "-")) for run in (one, other))]


def _unequal(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(key, one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)]


def _facts(run: Run) -> dict[str, Any]:
    git = run.facts.get("git") or {}
    commit = {"commit": git["commit"][:8] + (" and changes" if git.get("dirty") else "")} if git else {}
    threads = {"threads": run.facts["threads"]} if "threads" in run.facts else {}
    return {"status": run.status, **commit, **threads, **run.facts.get("versions", {})}
