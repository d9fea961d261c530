"""The tables of `compare.py`: runs, configurations over seeds, changes to a base, groups, where two runs differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeplab.compare.comparison import Comparison
from sweeplab.compare.configurations import Configuration, differing, grouped
from sweeplab.compare.fields import Fields
from sweeplab.compare.significance import once_each, significance
from sweeplab.compare.statistics import LEVEL, Difference, Spread, holm, spread
from sweeplab.compare.table import INTERVAL, Table, cell, interval, number, plural, setting
from sweeplab.records.columns import token, varying
from sweeplab.records.names import short_path
from sweeplab.records.record import Status
from sweeplab.records.run import Run
from sweeplab.records.study import Study

SPREAD = ("mean", "sd", INTERVAL, "n")
CHANGES = ("change", "mean", "sd", "n", "difference", INTERVAL, "p", "verdict")
TARGET = "._target_"


def summary(comparison: Comparison, study: Study | None, top: int | None = None) -> tuple[list[Table], str]:
    """Return what the configurations came to, and whether the best is the best by more than chance.

    That is a table over seeds where there are repeats. Of a study that changes one key at a time it is the table of
    what each change is worth, against the settings of the first trial.
    """
    one_at_a_time = study is not None and study.one_at_a_time
    first = next((run for run in comparison.runs if one_at_a_time and run.number == 0), None)
    if first is not None and (base := comparison.configuration_of(first)):
        return [changes_table(comparison, base)], ""
    note = "" if first is None else "No run of the base is complete."
    ranked, objective = comparison.configurations, comparison.objective
    if comparison.has_repeats:
        return [configurations_table(comparison, top)], note or significance(ranked, objective)
    return [], note or once_each(ranked, objective)


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


def changes_table(comparison: Comparison, base: Configuration) -> Table:
    """Show what each configuration changes against a base, and what that is worth.

    Each row is over the seeds that its configuration shares with the base, if there are several. The p-values are
    Holm's, since several are looked at.
    """
    others = [configuration for configuration in comparison.configurations if configuration is not base]
    differences = [configuration.against(base) for configuration in others]
    corrected = iter(holm([difference.p for difference in differences if difference.p is not None]))
    rows = [["(base)", *_mean_cells(base.spread), "", "", "", ""]]
    for configuration, difference in zip(others, differences, strict=True):
        p = None if difference.p is None else next(corrected)
        change = _setting_words(comparison, _change(base.settings, configuration.settings))
        over = _mean_cells(spread(configuration.compared_with(base)))
        tested = [f"{difference.mean:+.4g}", interval(difference), "" if p is None else f"{p:.2g}"]
        rows.append([change, *over, *tested, _significance(comparison, difference, p)])
    title = f"{comparison.objective.metric} against the base: {_setting_words(comparison, base.settings)}"
    return Table(title, CHANGES, rows, _change_notes(comparison, differences))


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
    tags = ["tags"] if len({tuple(run.tags) for run in comparison.runs}) > 1 else []
    metrics = [objective.metric for objective in comparison.objectives]
    return [*status, *tags, *metrics, *comparison.tests[:1], *comparison.varied, "seconds"]


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
        notes.append(f"Pareto front of {names}: {', '.join(map(_path, front))}.")
    return notes


def _rest(count: int) -> list[str]:
    return [f"{count} more: --top 0 shows all."] if count > 0 else []


def _path(run: Run) -> str:
    return short_path(run.folder.absolute())


def _spread_cells(over: Spread) -> list[str]:
    return [number(over.mean), number(over.sd), interval(over), str(over.count)]


def _mean_cells(over: Spread) -> list[str]:
    return [number(over.mean), number(over.sd), str(over.count)]


def _change(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set otherwise than in the base, or if nothing is, what is not set any more."""
    keys = differing(settings, base)
    return {key: settings[key] for key in keys if key in settings} or dict.fromkeys(keys, "absent")


def _setting_words(comparison: Comparison, settings: Mapping[str, Any]) -> str:
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


def _change_notes(comparison: Comparison, differences: Sequence[Difference]) -> list[str]:
    notes = []
    if tested := sum(difference.p is not None for difference in differences):
        which = "Differences are" if all(each.paired for each in differences) else "Not all differences are"
        holm_over = f"p is Holm's over {plural(tested, 'change')}"
        notes.append(f"{which} paired over common seeds; each interval stands alone; {holm_over}.")
    if any(run.status is not Status.COMPLETE for run in comparison.runs):
        notes.append(f"Of {plural(len(comparison.runs), 'run')} {comparison.endings}.")
    return notes


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
    tags = {"tags": ", ".join(run.tags)} if run.tags else {}
    return {"status": run.status, **tags, **commit, **threads, **(run.facts.get("versions") or {})}
