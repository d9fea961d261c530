"""Runs that differ in their seed only are one configuration."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from sweeplab.compare.statistics import Difference, Spread, paired, spread, welch
from sweeplab.records.columns import same, token
from sweeplab.records.objective import Objective
from sweeplab.records.run import Run

SEED = "seed"


@dataclass(frozen=True)
class Configuration:
    """Complete runs of the same `settings` with their values of one metric; `runs` and `values` go together.

    Each seed counts once, however often it was run: with the mean of its runs.
    """

    settings: Mapping[str, Any]
    runs: Sequence[Run]
    values: Sequence[float]
    seed_keys: Sequence[str] = (SEED,)

    @cached_property
    def by_seed(self) -> Mapping[Hashable, float]:
        """One value a seed; a run without a seed stands for one of its own."""
        values: dict[Hashable, list[float]] = {}
        for run, value in zip(self.runs, self.values, strict=True):
            seeds = tuple(token(run.settings[key]) for key in self.seed_keys if key in run.settings)
            values.setdefault(seeds or run.folder, []).append(value)
        return {seed: fmean(each) for seed, each in values.items()}

    @cached_property
    def spread(self) -> Spread:
        """Mean, deviation and interval over its seeds."""
        return spread(list(self.by_seed.values()))

    def against(self, other: "Configuration") -> Difference:
        """Test how much higher its values are: seed by seed where both have two seeds in common, else as samples."""
        test = paired if self._shares_seeds(other) else welch
        return test(self.compared_with(other), other.compared_with(self))

    def compared_with(self, other: "Configuration") -> list[float]:
        """Return the values that are set against another configuration: those of common seeds, if there are several."""
        if not self._shares_seeds(other):
            return list(self.by_seed.values())
        return [value for seed, value in sorted(self.by_seed.items(), key=str) if seed in other.by_seed]

    def _shares_seeds(self, other: "Configuration") -> bool:
        return len(self.by_seed.keys() & other.by_seed.keys()) > 1


def configurations(
    runs: Sequence[Run], keys: Sequence[str], objective: Objective, seed_keys: Sequence[str] = (SEED,)
) -> list[Configuration]:
    """Group the runs that count by their settings of `keys`, best mean first."""
    groups = grouped(
        runs, objective, lambda run: tuple((k, token(value)) for k, value in settings_of(run, keys).items())
    )
    unordered = [Configuration(settings_of(members[0], keys), members, values, seed_keys) for members, values in groups]
    return sorted(unordered, key=lambda configuration: objective.rank(configuration.spread.mean))


def settings_of(run: Run, keys: Iterable[str]) -> dict[str, Any]:
    """Return those of a run's settings that it has of `keys`; null is a value."""
    return {key: run.settings[key] for key in keys if key in run.settings}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys that are not set to the same in both."""
    return [key for key in {**one, **other} if not (key in one and key in other and same(one[key], other[key]))]


def grouped(
    runs: Sequence[Run], objective: Objective, key: Callable[[Run], Hashable]
) -> list[tuple[list[Run], list[float]]]:
    """Group the runs that count by a key; their values of the objective go with them."""
    groups: dict[Hashable, tuple[list[Run], list[float]]] = {}
    for run in runs:
        value = objective.value(run)
        if value is not None and objective.counts(run):
            members, values = groups.setdefault(key(run), ([], []))
            members.append(run)
            values.append(value)
    return list(groups.values())
