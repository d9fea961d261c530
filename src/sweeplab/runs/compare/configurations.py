"""Runs that differ in their seed only are one configuration."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeplab.runs.compare.columns import token
from sweeplab.runs.compare.objective import Judge
from sweeplab.runs.compare.statistics import Difference, Spread, paired, spread, welch
from sweeplab.runs.run import Run

SEED = "seed"


@dataclass(frozen=True)
class Configuration:
    """Complete runs of the same `settings` with their values of one metric; `runs` and `values` go together."""

    settings: Mapping[str, Any]
    runs: Sequence[Run]
    values: Sequence[float]
    seed_keys: Sequence[str] = (SEED,)

    @cached_property
    def spread(self) -> Spread:
        """Mean, deviation and interval over its runs."""
        return spread(self.values)

    def against(self, other: "Configuration") -> Difference:
        """Judge how much higher its values are: seed by seed where both have two seeds in common, else as samples."""
        own, others = self._by_seed(), other._by_seed()
        common = [seed for seed in own if seed in others]
        if len(common) > 1:
            return paired([own[seed] - others[seed] for seed in common])
        return welch(self.values, other.values)

    def _by_seed(self) -> dict[Hashable, float]:
        """Return one value a seed: the mean of runs that were repeated under the same one."""
        values: dict[Hashable, list[float]] = {}
        for run, value in zip(self.runs, self.values, strict=True):
            values.setdefault(tuple(token(run.settings.get(key)) for key in self.seed_keys), []).append(value)
        return {seed: sum(same) / len(same) for seed, same in values.items()}


def configurations(
    runs: Sequence[Run], keys: Sequence[str], judge: Judge, seed_keys: Sequence[str] = (SEED,)
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
    """Say whether any configuration was run more than once."""
    return any(len(configuration.runs) > 1 for configuration in found)
