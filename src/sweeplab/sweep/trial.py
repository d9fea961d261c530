"""The trial that this process runs, as its task sees it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeplab.records.ending import TrialPruned

__all__ = ["Trial", "TrialPruned", "current", "enter"]

Report = Callable[[float, int], bool]


@dataclass(frozen=True)
class Trial:
    """One training run inside a study.

    `params` are the values that the sampler chose, by key; `command` runs it again alone; `repeat` counts the runs of
    the same point under other values of `seed_key`. `attempt` is 0, and 1 or more where the trial was cut and goes on,
    in the same folder. `prunes` says whether anybody listens to reports. `id` is a name that no other run has, nor one
    of another study that is called the same; `home` is the study's folder; `searched` are the keys of all its trials,
    where conditions leave some of them out here.
    """

    study: str
    number: int
    params: Mapping[str, Any]
    command: str = ""
    repeat: int = 0
    attempt: int = 0
    prunes: bool = False
    id: str = ""
    home: Path | None = None
    seed_key: str = "seed"
    searched: tuple[str, ...] = ()
    constraints: dict[str, float] = field(default_factory=dict)
    _report: Report = field(default=lambda value, step: False, repr=False)

    def report(self, value: float, step: int) -> bool:
        """Tell the study how the trial stands at a step; True when it should stop, by raising `TrialPruned`.

        Raises:
            ValueError: a step below 0.
        """
        if step < 0:
            raise ValueError(f"a report at step {step}: steps are counted from 0")
        return self._report(float(value), int(step))

    def constrain(self, name: str, value: float) -> None:
        """Tell the study how far a constraint is broken; 0 or less means that it is kept.

        Raises:
            ValueError: a value that is not a number.
        """
        if math.isnan(value):
            raise ValueError(f"the constraint {name} is not a number")
        self.constraints[name] = float(value)


_current: Trial | None = None


def current() -> Trial | None:
    """Return the trial that this process runs, None in a single run."""
    return _current


def enter(trial: Trial | None) -> None:
    """Make `trial` the current one; the engine calls this."""
    global _current
    _current = trial
