"""Tables of runs taken together: by configuration over seeds, or by what a user names."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from sweeplab.compare.cells import cell, interval, number, plural, text
from sweeplab.compare.comparison import Comparison
from sweeplab.compare.configurations import Configuration
from sweeplab.compare.fields import Fields
from sweeplab.compare.statistics import LEVEL, Spread, spread
from sweeplab.compare.table import Table, rest
from sweeplab.records.columns import token, varying
from sweeplab.records.run import Run

INTERVAL = f"{LEVEL:.0%} interval"
SPREAD = ("mean", "sd", INTERVAL, "n")


def configurations_table(comparison: Comparison, top: int | None) -> Table:
    """Show what each configuration came to over its seeds, the best mean first."""
    found = comparison.configurations
    short = comparison.fields.short
    columns = [*SPREAD, *(short[key] for key in comparison.keys)]
    rows = [
        [*_spread_cells(configuration.spread), *(_setting(configuration.settings, key) for key in comparison.keys)]
        for configuration in found[:top]
    ]
    title = f"{comparison.judge.metric} over seeds, {plural(len(found), 'configuration')}"
    return Table(title, columns, rows, rest(len(found) - len(rows)))


def groups_table(comparison: Comparison, by: Sequence[str], top: int | None) -> Table:
    """Show what the runs of each group came to, the best first; a group shares its values of the fields `by`.

    Where they differ in more than their seed there is no interval: they are no samples of one thing.
    """
    fields = [comparison.fields.name(word) for word in by]
    groups = sorted(_groups(comparison, fields), key=lambda runs: comparison.judge.rank(_best(comparison, runs)))
    differ = dict.fromkeys(key for runs in groups for key in varying(runs) if key in comparison.keys)
    rows = []
    for runs in groups[:top]:
        values = [value for run in runs if (value := comparison.judge.value(run)) is not None]
        alike = Configuration({}, runs, values, comparison.seed_keys)
        cells = _spread_cells(spread(values) if differ else alike.spread)
        cells[2] = "" if differ else cells[2]
        rows.append([*(cell(field, runs[0]) for field in fields), number(_best(comparison, runs)), *cells])
    short = comparison.fields.short
    notes = rest(len(groups) - len(rows))
    if differ:
        notes.append(f"Runs of a group differ in {', '.join(short[key] for key in differ)} too.")
    names = [*(short.get(field, field) for field in fields), "best", *SPREAD]
    return Table(f"{comparison.judge.metric} by {', '.join(by)}", names, rows, notes or _none(groups))


def _groups(comparison: Comparison, fields: Sequence[str]) -> list[list[Run]]:
    groups: dict[Hashable, list[Run]] = {}
    for run in comparison.runs:
        if comparison.judge.counts(run):
            groups.setdefault(tuple(token(Fields.value(run, field)) for field in fields), []).append(run)
    return list(groups.values())


def _best(comparison: Comparison, runs: Sequence[Run]) -> float:
    return min((value for run in runs if (value := comparison.judge.value(run)) is not None), key=comparison.judge.rank)


def _none(groups: Sequence[Sequence[Run]]) -> list[str]:
    return [] if groups else ["No run is complete with a value."]


def _setting(settings: Mapping[str, Any], key: str) -> str:
    return text(settings[key]) if key in settings else "-"


def _spread_cells(found: Spread) -> list[str]:
    return [number(found.mean), number(found.sd), interval(found.low, found.high), str(found.count)]
