"""What `compare.py` shows of a comparison: tables of runs, of configurations over seeds, of groups, of changes."""

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeplab.errors import UserError
from sweeplab.runs.compare.cells import cell, interval, number, text
from sweeplab.runs.compare.columns import token
from sweeplab.runs.compare.comparison import Comparison, endings
from sweeplab.runs.compare.configurations import Configuration
from sweeplab.runs.compare.fields import Fields
from sweeplab.runs.compare.statistics import LEVEL, Difference, Spread, holm, spread
from sweeplab.runs.compare.table import Table
from sweeplab.runs.record import Status
from sweeplab.runs.run import Run

INTERVAL = f"{LEVEL:.0%} interval"


def runs_table(comparison: Comparison, top: int | None, columns: Sequence[str] = ()) -> Table:
    """Show runs in their order, with what tells them apart and what they came to."""
    fields = [comparison.fields.name(word) for word in columns] or _fields(comparison)
    shown = comparison.runs[:top]
    short = comparison.fields.short
    rows = [[_place(run), *(cell(field, run) for field in fields)] for run in shown]
    return Table(
        f"{_plural(len(comparison.runs), 'run')}: {endings(comparison.runs)}",
        ["run", *(short.get(field, field) for field in fields)],
        rows,
        [*_rest(len(comparison.runs) - len(shown)), *_remarks(comparison)],
    )


def _remarks(comparison: Comparison) -> list[str]:
    """Say what the order of the runs does not: other objectives, and which runs no other one beats."""
    metric, others = comparison.judge.metric, comparison.by_others
    notes = [f"{_plural(count, 'run')} had {other} as objective." for other, count in others.items()]
    if metric.startswith("test/"):
        notes = [f"These are in the order of {metric}: a test that chooses is no test any more."]
    if broken := sum(not run.keeps_constraints for run in comparison.runs):
        notes.append(f"{_plural(broken, 'run')} broke a constraint, and cannot be the best.")
    if front := comparison.front():
        names = ", ".join([metric, *(judge.metric for judge in comparison.further)])
        notes.append(f"No other run beats, in {names}: {', '.join(map(_place, front))}.")
    return notes


def _fields(comparison: Comparison) -> list[str]:
    runs = comparison.runs
    status = ["status"] if any(run.status is not Status.COMPLETE for run in runs) else []
    further = [judge.metric for judge in comparison.further]
    return [*status, comparison.judge.metric, *further, *comparison.tests[:1], *comparison.varied, "seconds"]


def configurations_table(comparison: Comparison, top: int | None) -> Table:
    """Show what each configuration came to over its seeds, the best mean first."""
    found = comparison.configurations
    short = comparison.fields.short
    columns = [*_SPREAD, *(short[key] for key in comparison.keys)]
    rows = [
        [*_spread_cells(configuration.spread), *(_setting(configuration.settings, key) for key in comparison.keys)]
        for configuration in found[:top]
    ]
    title = f"{comparison.judge.metric} over seeds, {_plural(len(found), 'configuration')}"
    return Table(title, columns, rows, _rest(len(found) - len(rows)))


def groups_table(comparison: Comparison, by: Sequence[str]) -> Table:
    """Show what the complete runs of each group came to; a group shares its values of the fields `by`."""
    fields = [comparison.fields.name(word) for word in by]
    groups: dict[Hashable, list[Run]] = {}
    for run in comparison.runs:
        if comparison.judge.counts(run):
            groups.setdefault(tuple(token(Fields.value(run, field)) for field in fields), []).append(run)
    rank = comparison.judge.rank
    values = {
        key: [v for run in runs if (v := comparison.judge.value(run)) is not None] for key, runs in groups.items()
    }
    best = {key: min(values[key], key=rank) for key in groups}
    rows = [
        [
            *(cell(field, groups[key][0]) for field in fields),
            number(best[key]),
            *_spread_cells(spread(values[key])),
        ]
        for key in sorted(groups, key=lambda key: rank(best[key]))
    ]
    others = [comparison.fields.short[key] for key in comparison.keys if key not in fields]
    notes = [f"Runs of a group differ in {', '.join(others)} too."] if others else []
    short = comparison.fields.short
    names = [*(short.get(field, field) for field in fields), "best", *_SPREAD]
    return Table(f"{comparison.judge.metric} by {', '.join(by)}", names, rows, notes)


def changes_table(comparison: Comparison, base: Configuration) -> Table:
    """Show what each configuration changes against a base, and what that is worth.

    The p-values are Holm's, since several are looked at.
    """
    others = [configuration for configuration in comparison.configurations if configuration is not base]
    differences = [configuration.against(base) for configuration in others]
    known = [difference.p for difference in differences if difference.p is not None]
    corrected = iter(holm(known))
    rows = [["(base)", number(base.spread.mean), _sd(base.spread), str(base.spread.count), "", "", "", ""]]
    for configuration, difference in zip(others, differences, strict=True):
        p = next(corrected) if difference.p is not None else None
        rows.append(_change(comparison, configuration, base, difference, p))
    title = f"{comparison.judge.metric} against the base: {_said(comparison, base.settings)}"
    names = ["change", "mean", "sd", "n", "difference", INTERVAL, "p", "verdict"]
    paired = all(difference.paired for difference in differences)
    how = "Differences are paired over common seeds" if paired else "Not all differences are paired over common seeds"
    return Table(
        title,
        names,
        rows,
        [f"{how}; each interval stands alone, p is Holm's for {_plural(len(known), 'comparison')}."] if known else [],
    )


def differences_table(one: Run, other: Run) -> Table:
    """Show where two runs differ: settings, what they came to, code and versions."""
    rows = []
    for key in dict.fromkeys([*one.settings, *other.settings]):
        values = [run.settings.get(key, "-") for run in (one, other)]
        follows = key.endswith("._target_") and one.settings.get(
            group := key[: -len("._target_")]
        ) != other.settings.get(group)
        if token(values[0]) != token(values[1]) and not follows:
            rows.append([key, *map(text, values)])
    ours, theirs = one.values(), other.values()
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name) and not name.startswith("last/"):
            rows.append([name, number(ours.get(name)), number(theirs.get(name))])
    for name, facts in (("status", _status), ("commit", _commit), ("threads", _threads)):
        if facts(one) != facts(other):
            rows.append([name, facts(one), facts(other)])
    versions = [run.facts.get("versions", {}) for run in (one, other)]
    for package in dict.fromkeys([*versions[0], *versions[1]]):
        if versions[0].get(package) != versions[1].get(package):
            rows.append([package, *(str(found.get(package, "-")) for found in versions)])
    return Table("What differs", ["key", one.name, other.name], rows, [] if rows else ["Nothing differs."])


def base_of(comparison: Comparison, run: Run) -> Configuration:
    """Return the configuration that a run belongs to.

    Raises:
        UserError: the run is not complete, so there is nothing to compare with.
    """
    for configuration in comparison.configurations:
        if any(other is run for other in configuration.runs):
            return configuration
    raise UserError(
        f"{run.name} is {run.status} and has no {comparison.judge.metric}; name a complete run as the base."
    )


_SPREAD = ("mean", "sd", INTERVAL, "n")


def _setting(settings: Mapping[str, Any], key: str) -> str:
    return text(settings[key]) if key in settings else "-"


def _spread_cells(found: Spread) -> list[str]:
    return [number(found.mean), _sd(found), interval(found.low, found.high), str(found.count)]


def _sd(found: Spread) -> str:
    return number(found.sd)


def _change(
    comparison: Comparison, configuration: Configuration, base: Configuration, difference: Difference, p: float | None
) -> list[str]:
    changed = {
        key: configuration.settings[key]
        for key in comparison.keys
        if key in configuration.settings and token(configuration.settings[key]) != token(base.settings.get(key))
    }
    better = comparison.judge.rank(difference.mean) < 0
    word = (
        "too few seeds" if p is None else "not distinguishable" if p >= 1 - LEVEL else "better" if better else "worse"
    )
    return [
        _said(comparison, changed),
        number(configuration.spread.mean),
        _sd(configuration.spread),
        str(configuration.spread.count),
        f"{difference.mean:+.4g}",
        interval(difference.low, difference.high),
        "" if p is None else f"{p:.2g}",
        word,
    ]


def _said(comparison: Comparison, settings: Mapping[str, Any]) -> str:
    short = comparison.fields.short
    return " ".join(f"{short[key]}={text(value)}" for key, value in settings.items()) or "the same"


def _place(run: Run) -> str:
    """Return the run's folder as a user here would write it."""
    here = Path.cwd()
    folder = run.folder.absolute()
    return os.path.relpath(folder, here) if folder.is_relative_to(here) else str(folder)


def _rest(count: int) -> list[str]:
    return [f"{count} more: --top 0 shows all."] if count > 0 else []


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _status(run: Run) -> str:
    return str(run.status)


def _threads(run: Run) -> str:
    return str(run.facts.get("threads", "-"))


def _commit(run: Run) -> str:
    git = run.facts.get("git") or {}
    return "-" if not git else git["commit"][:8] + (" and changes" if git.get("dirty") else "")
