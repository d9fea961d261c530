"""What each change is worth, against a base."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeplab.compare.comparison import Comparison
from sweeplab.compare.configurations import Configuration, differing, settings_of
from sweeplab.compare.statistics import LEVEL, Difference, holm, spread
from sweeplab.compare.table import INTERVAL, Table, interval, number, plural, setting
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Study

COLUMNS = ("change", "mean", "sd", "n", "difference", INTERVAL, "p", "verdict")


def base_of(comparison: Comparison, run: Run) -> Configuration | None:
    """Return the configuration that has a run's settings, None if none of its runs is complete."""
    settings = settings_of(run, comparison.keys)
    return next((each for each in comparison.configurations if not differing(each.settings, settings)), None)


def ablation_base(comparison: Comparison, study: Study | None) -> Run | None:
    """Return a run of the base of a study that changes one key at a time: of its first trial."""
    if study is None or not study.one_at_a_time:
        return None
    return next((run for run in comparison.runs if run.number == 0), None)


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
        change = _words(comparison, _change(base.settings, configuration.settings))
        over = _over(configuration.compared_with(base))
        tested = [f"{difference.mean:+.4g}", interval(difference), "" if p is None else f"{p:.2g}"]
        rows.append([change, *over, *tested, _significance(comparison, difference, p)])
    title = f"{comparison.objective.metric} against the base: {_words(comparison, base.settings)}"
    return Table(title, COLUMNS, rows, _notes(comparison, differences))


def _over(values: Sequence[float]) -> list[str]:
    over = spread(values)
    return [number(over.mean), number(over.sd), str(over.count)]


def _change(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set otherwise than in the base, or if nothing is, what is not set any more."""
    keys = differing(settings, base)
    return {key: settings[key] for key in keys if key in settings} or dict.fromkeys(keys, "absent")


def _words(comparison: Comparison, settings: Mapping[str, Any]) -> str:
    short = comparison.fields.short
    return " ".join(f"{short[key]}={setting(value)}" for key, value in settings.items()) or "the same"


def _significance(comparison: Comparison, difference: Difference, p: float | None) -> str:
    if p is None and difference.sd == 0.0:
        return "no spread to judge by" if difference.mean else "the same"
    if p is None:
        return "too few seeds"
    if p >= 1 - LEVEL:
        return "not distinguishable"
    return "better" if comparison.objective.rank(difference.mean) < 0 else "worse"


def _notes(comparison: Comparison, differences: Sequence[Difference]) -> list[str]:
    notes = []
    if tested := sum(difference.p is not None for difference in differences):
        which = "Differences are" if all(each.paired for each in differences) else "Not all differences are"
        holm_over = f"p is Holm's over {plural(tested, 'change')}"
        notes.append(f"{which} paired over common seeds; each interval stands alone; {holm_over}.")
    if any(run.status is not Status.COMPLETE for run in comparison.runs):
        notes.append(f"Of {plural(len(comparison.runs), 'run')} {comparison.endings}.")
    return notes
