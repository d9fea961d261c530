"""Runs that differ in their seed only are one configuration."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from sweeplab.compare.statistics import Difference, Spread, paired, spread, welch
from sweeplab.records.columns import token
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
    def spread(self) -> Spread:
        """Mean, deviation and interval over its seeds."""
        return spread(list(self.by_seed.values()))

    def against(self, other: "Configuration") -> Difference:
        """Judge how much higher its values are: seed by seed where both have two seeds in common, else as samples."""
        own, others = self.compared_with(other), other.compared_with(self)
        if self._shares_seeds(other):
            return paired(own, others)
        return welch(own, others)

    def compared_with(self, other: "Configuration") -> list[float]:
        """Return the values that are set against another configuration: those of common seeds, if there are several."""
        if not self._shares_seeds(other):
            return list(self.by_seed.values())
        return [value for seed, value in sorted(self.by_seed.items(), key=str) if seed in other.by_seed]

    @cached_property
    def by_seed(self) -> Mapping[Hashable, float]:
        """One value a seed; a run that knows of no seed stands for one of its own."""
        values: dict[Hashable, list[float]] = {}
        for run, value in zip(self.runs, self.values, strict=True):
            seeds = tuple(token(run.settings[key]) for key in self.seed_keys if key in run.settings)
            values.setdefault(seeds or run.folder, []).append(value)
        return {seed: fmean(same) for seed, same in values.items()}

    def _shares_seeds(self, other: "Configuration") -> bool:
        return len(self.by_seed.keys() & other.by_seed.keys()) > 1


def configurations(
    runs: Sequence[Run], keys: Sequence[str], judge: Objective, seed_keys: Sequence[str] = (SEED,)
) -> list[Configuration]:
    """Group the runs that count by their settings of `keys`, best mean first."""
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        if judge.counts(run):
            groups.setdefault(tuple(token(run.settings.get(key)) for key in keys), []).append(run)
    found = []
    for same in groups.values():
        values = [value for run in same if (value := judge.value(run)) is not None]
        settings = {key: same[0].settings[key] for key in keys if key in same[0].settings}
        found.append(Configuration(settings, same, values, seed_keys))
    return sorted(found, key=lambda configuration: judge.rank(configuration.spread.mean))


def repeated(found: Sequence[Configuration]) -> bool:
    """Say whether any configuration was run under more than one seed."""
    return any(len(configuration.by_seed) > 1 for configuration in found)
