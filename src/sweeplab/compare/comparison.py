"""Runs side by side: which of them, judged by what, told apart by which settings, in what order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeplab.compare.configurations import SEED, Configuration, configurations, repeated
from sweeplab.compare.fields import Condition, Fields
from sweeplab.compare.objective import judge
from sweeplab.compare.pareto import unbeaten
from sweeplab.errors import UserError
from sweeplab.records.columns import varying
from sweeplab.records.names import without_part
from sweeplab.records.objective import Objective
from sweeplab.records.record import Status
from sweeplab.records.run import Run


@dataclass(frozen=True)
class Comparison:
    """Runs in order; `varied` are the keys that tell them apart, `seed_keys` those of them that stand for chance."""

    runs: Sequence[Run]
    judge: Objective
    varied: Sequence[str]
    seed_keys: Sequence[str] = (SEED,)

    @cached_property
    def keys(self) -> list[str]:
        """The keys that tell configurations apart."""
        return [key for key in self.varied if key not in self.seed_keys]

    @cached_property
    def configurations(self) -> list[Configuration]:
        """What the complete runs say of each configuration, the best mean first."""
        return configurations(self.runs, self.keys, self.judge, self.seed_keys)

    @property
    def over_seeds(self) -> bool:
        """Whether there is anything to average: configurations that were run more than once."""
        return repeated(self.configurations)

    @cached_property
    def fields(self) -> Fields:
        """The words by which these runs can be filtered and sorted."""
        return Fields(self.runs, self.varied)

    @cached_property
    def further(self) -> list[Objective]:
        """The further objectives of runs that have several."""
        found = [
            (also["metric"], also["mode"])
            for run in self.runs
            if run.metric == self.judge.metric
            for also in run.facts["objective"].get("also", ())
        ]
        return [Objective(metric, mode) for metric, mode in dict.fromkeys(found)]

    def front(self) -> list[Run]:
        """Return the complete runs that no other one beats, where there are several objectives."""
        if not self.further:
            return []
        judges = [self.judge, *self.further]
        ranked = [
            (run, [judge.rank(value) for judge in judges if (value := judge.value(run)) is not None])
            for run in self.runs
            if self.judge.counts(run)
        ]
        whole = [(run, ranks) for run, ranks in ranked if len(ranks) == len(judges)]
        return [whole[place][0] for place in unbeaten([ranks for _, ranks in whole])]

    @property
    def tests(self) -> list[str]:
        """The metrics of the test, that of the objective's name first."""
        own = without_part(self.judge.metric)
        names = {name for run in self.runs for name in run.tests}
        return sorted(names - {self.judge.metric}, key=lambda name: (without_part(name) != own, name))

    @property
    def by_others(self) -> dict[str, int]:
        """How many runs have another objective, or want it to go the other way, than all are compared by."""
        found = Counter(Objective(run.metric, str(run.mode)) for run in self.runs if run.metric)
        return {f"{own.metric} ({own.mode})": count for own, count in found.items() if own != self.judge}


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
    by = judge(kept, metric, mode)
    field = None if sort is None else fields.name(sort)
    ordered = _best_first(kept, by, reverse) if field is None else _by_field(kept, field, reverse)
    return Comparison(ordered, by, varying(kept), seed_keys)


def _best_first(runs: Sequence[Run], by: Objective, reverse: bool) -> list[Run]:
    """Put complete runs before all others, and the best of each first."""
    ordered = sorted(runs, key=by.order)
    return ordered[::-1] if reverse else ordered


def _by_field(runs: Sequence[Run], field: str, reverse: bool) -> list[Run]:
    values = [(run, Fields.value(run, field)) for run in runs]
    known = sorted((pair for pair in values if pair[1] is not None), key=lambda pair: _key(pair[1]), reverse=reverse)
    return [run for run, _ in known] + [run for run, value in values if value is None]


def _key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, str(value)


def endings(runs: Sequence[Run]) -> str:
    """Say how many runs ended how: `12 complete, 3 pruned`."""
    found = Counter(run.status for run in runs)
    return ", ".join(f"{found[status]} {status}" for status in Status if found[status])
