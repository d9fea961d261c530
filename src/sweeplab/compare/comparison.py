"""Runs side by side: which of them, by which objective, told apart by which settings, in what order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeplab.compare.configurations import SEED, Configuration, configurations, differing, settings_of
from sweeplab.compare.fields import Condition, Fields
from sweeplab.compare.pareto import unbeaten
from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.columns import varying
from sweeplab.records.names import without_part
from sweeplab.records.objective import Objective
from sweeplab.records.record import Status
from sweeplab.records.run import Run

MODES = ("min", "max")


@dataclass(frozen=True)
class Comparison:
    """Runs in order; `varied` are the keys that tell them apart, `seed_keys` those of them that stand for chance."""

    runs: Sequence[Run]
    objective: Objective
    varied: Sequence[str]
    seed_keys: Sequence[str] = (SEED,)

    @cached_property
    def keys(self) -> list[str]:
        """The keys that tell configurations apart."""
        return [key for key in self.varied if key not in self.seed_keys]

    @cached_property
    def configurations(self) -> list[Configuration]:
        """What the complete runs say of each configuration, the best mean first."""
        return configurations(self.runs, self.keys, self.objective, self.seed_keys)

    def configuration_of(self, run: Run) -> Configuration | None:
        """Return the configuration that has a run's settings, None if none of its runs is complete."""
        settings = settings_of(run, self.keys)
        return next((each for each in self.configurations if not differing(each.settings, settings)), None)

    @property
    def has_repeats(self) -> bool:
        """Whether there is anything to average: a configuration that was run under more than one seed."""
        return any(len(configuration.by_seed) > 1 for configuration in self.configurations)

    @cached_property
    def has_tags(self) -> bool:
        """Whether any run has some."""
        return any(run.tags for run in self.runs)

    @cached_property
    def fields(self) -> Fields:
        """The words by which these runs can be filtered and sorted."""
        return Fields(self.runs, self.varied)

    @cached_property
    def objectives(self) -> list[Objective]:
        """The objective, and the further ones of runs that have several."""
        further = [
            Objective(also["metric"], also["mode"])
            for run in self.runs
            if run.metric == self.objective.metric
            for also in run.facts["objective"].get("also") or ()
        ]
        return [self.objective, *dict.fromkeys(further)]

    @property
    def counted(self) -> list[Run]:
        """The runs that can be the best."""
        return [run for run in self.runs if self.objective.counts(run)]

    def front(self) -> list[Run]:
        """Return the complete runs that no other one beats, where there are several objectives."""
        if len(self.objectives) == 1:
            return []
        points = [
            (
                run,
                [objective.rank(value) for objective in self.objectives if (value := objective.value(run)) is not None],
            )
            for run in self.counted
        ]
        whole = [(run, point) for run, point in points if len(point) == len(self.objectives)]
        return [whole[index][0] for index in unbeaten([point for _, point in whole])]

    @property
    def tests(self) -> list[str]:
        """The metrics of the test, that of the objective's name first."""
        measured = without_part(self.objective.metric)
        names = {name for run in self.runs for name in run.tests}
        return sorted(names - {self.objective.metric}, key=lambda name: (without_part(name) != measured, name))

    @property
    def endings(self) -> str:
        """How many runs ended how: `12 complete, 3 pruned`."""
        count = Counter(run.status for run in self.runs)
        return ", ".join(f"{count[status]} {status}" for status in Status if count[status])

    @property
    def other_objectives(self) -> dict[str, int]:
        """How many runs have another objective, or want it to go the other way, than all are compared by."""
        declared = _declared(self.runs)
        return {f"{other.metric} ({other.mode})": n for other, n in declared.items() if other != self.objective}


def compare(
    runs: Sequence[Run],
    conditions: Sequence[str] = (),
    metric: str | None = None,
    mode: str | None = None,
    sort: str | None = None,
    reverse: bool = False,
    seed_keys: Sequence[str] = (SEED,),
) -> Comparison:
    """Compare the runs that meet all conditions, by the objective of most or by a `metric`.

    `sort` is a field; without one the best runs come first. Runs that have nothing there come last, also in `reverse`.

    Raises:
        UserError: a condition, metric or field that cannot be, or no run meets the conditions.
    """
    kept = list(runs)
    fields = Fields(kept, varying(kept))
    parsed = [Condition.parse(text, fields) for text in conditions]
    for condition in parsed:
        condition.check(runs)
        kept = [run for run in kept if condition.holds(run)]
    if not kept:
        raise UserError(f"none of {len(runs)} runs meets --filter {' --filter '.join(conditions)}.")
    objective = chosen_objective(kept, metric, mode)
    if sort is not None:
        ordered = _by_field(kept, fields.name(sort), reverse)
    else:
        ordered = sorted(kept, key=objective.order)[:: -1 if reverse else 1]
    return Comparison(ordered, objective, varying(kept), seed_keys)


def chosen_objective(runs: Sequence[Run], metric: str | None = None, mode: str | None = None) -> Objective:
    """Return what runs are compared by: the `metric` that is asked for, else what most of them have as objective.

    Raises:
        UserError: no run has such a metric, or nobody says where it should go.
    """
    declared = _declared(runs)
    if metric is None:
        first = declared.most_common(1)[0][0] if declared else Objective("objective", "min")  # no run has a value yet
        return Objective(first.metric, mode or first.mode)
    measured = {name for run in runs for name in run.values()}
    if metric not in measured:
        raise UserError(f"no run has the metric {metric}{did_you_mean(metric, sorted(measured))}")
    mode = mode or mode_of(metric, declared) or ("min" if metric.endswith("loss") else None)
    if mode is None:
        raise UserError(f"the direction of {metric} is unknown; add --mode max or --mode min.")
    return Objective(metric, mode)


def mode_of(metric: str, objectives: Iterable[Objective]) -> str | None:
    """Return where a metric should go: as an objective does that is called the same in another part of the data."""
    same = (objective.mode for objective in objectives if without_part(objective.metric) == without_part(metric))
    return next(same, None)


def _declared(runs: Sequence[Run]) -> Counter[Objective]:
    return Counter(Objective(run.metric, run.mode) for run in runs if run.metric and run.mode)


def _by_field(runs: Sequence[Run], field: str, reverse: bool) -> list[Run]:
    """Sort numbers before texts, and leave the runs without a value at the end."""
    values = [(run, Fields.value(run, field)) for run in runs]
    filled = [(run, value) for run, value in values if value is not None]
    filled.sort(key=lambda pair: _order(pair[1]), reverse=reverse)
    return [run for run, _ in filled] + [run for run, value in values if value is None]


def _order(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))
