"""What each change is worth, against a base."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeplab.compare.cells import interval, number, plural, text
from sweeplab.compare.comparison import Comparison, endings
from sweeplab.compare.configurations import Configuration
from sweeplab.compare.over_seeds import INTERVAL
from sweeplab.compare.statistics import LEVEL, Difference, holm, spread
from sweeplab.compare.table import Table
from sweeplab.records.columns import same
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Study

COLUMNS = ("change", "mean", "sd", "n", "difference", INTERVAL, "p", "verdict")


def base_of(comparison: Comparison, run: Run) -> Configuration | None:
    """Return the configuration that has a run's settings, None if none of its runs is complete."""
    for configuration in comparison.configurations:
        if all(_alike(configuration.settings, run.settings, key) for key in comparison.keys):
            return configuration
    return None


def ablation_base(comparison: Comparison, study: Study | None) -> Run | None:
    """Return a run of the base of a study that changes one key at a time: of its first trial."""
    first = [run for run in comparison.runs if run.number == 0]
    return first[0] if study is not None and study.one_at_a_time and first else None


def changes_table(comparison: Comparison, base: Configuration) -> Table:
    """Show what each configuration changes against a base, and what that is worth.

    Each row is over the seeds that its configuration shares with the base, if there are several. The p-values are
    Holm's, since several are looked at.
    """
    others = [configuration for configuration in comparison.configurations if configuration is not base]
    differences = [configuration.against(base) for configuration in others]
    corrected = iter(holm([difference.p for difference in differences if difference.p is not None]))
    rows = [["(base)", *_over(list(base.by_seed.values())), "", "", "", ""]]
    for configuration, difference in zip(others, differences, strict=True):
        p = None if difference.p is None else next(corrected)
        changed = _changed(configuration.settings, base.settings)
        over = _over(configuration.compared_with(base))
        shown = interval(difference.low, difference.high)
        verdict = _word(comparison, difference, p)
        rows.append([_said(comparison, changed), *over, f"{difference.mean:+.4g}", shown, _p(p), verdict])
    title = f"{comparison.judge.metric} against the base: {_said(comparison, base.settings)}"
    return Table(title, COLUMNS, rows, _notes(comparison, differences))


def _notes(comparison: Comparison, differences: Sequence[Difference]) -> list[str]:
    notes = []
    if known := sum(difference.p is not None for difference in differences):
        all_paired = all(difference.paired for difference in differences)
        how = "Differences are" if all_paired else "Not all differences are"
        notes.append(
            f"{how} paired over common seeds; each interval stands alone; p is Holm's over {plural(known, 'change')}."
        )
    if any(run.status is not Status.COMPLETE for run in comparison.runs):
        notes.append(f"Of {plural(len(comparison.runs), 'run')} {endings(comparison.runs)}.")
    return notes


def _over(values: Sequence[float]) -> list[str]:
    found = spread(values)
    return [number(found.mean), number(found.sd), str(found.count)]


def _word(comparison: Comparison, difference: Difference, p: float | None) -> str:
    if p is None and difference.sd == 0.0:
        return "no spread to judge by" if difference.mean else "the same"
    if p is None:
        return "too few seeds"
    if p >= 1 - LEVEL:
        return "not distinguishable"
    return "better" if comparison.judge.rank(difference.mean) < 0 else "worse"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _alike(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> bool:
    return same(one[key], other[key]) if key in one and key in other else (key in one) == (key in other)


def _changed(settings: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set otherwise than in the base, or if nothing is, what is not set any more."""
    other = {key: value for key, value in settings.items() if not _alike(base, settings, key)}
    return other or {key: "absent" for key in base if key not in settings}


def _said(comparison: Comparison, settings: Mapping[str, Any]) -> str:
    short = comparison.fields.short
    return " ".join(f"{short[key]}={text(value)}" for key, value in settings.items()) or "the same"
