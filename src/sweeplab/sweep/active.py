"""A trial under way."""

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import optuna

from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.suggestions import Draw


@dataclass
class Active:
    """A trial under way: its runs that wait, those that run, and what the others came to.

    One that is `ahead` was drawn before there was a slot for it, and has not begun. `unwritten` are reports, by their
    steps, that the study does not have yet; `written` is when it last got some.
    """

    draw: Draw
    waiting: int
    ahead: bool = False
    started: float = field(default_factory=time.monotonic)
    running: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    steps: set[int] = field(default_factory=set)
    unwritten: dict[int, float] = field(default_factory=dict)
    written: float = -math.inf

    @property
    def trial(self) -> optuna.Trial:
        """The trial in the study."""
        return self.draw.trial

    @property
    def values(self) -> Mapping[str, Any]:
        """Its point."""
        return self.draw.values

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    def outcome(self) -> Outcome:
        """Return what its runs came to together: the first that was not complete, else the mean; and all their time."""
        seconds = round(sum(outcome.seconds for outcome in self.outcomes), 3)
        for outcome in self.outcomes:
            if outcome.status is not Status.COMPLETE:
                return replace(outcome, seconds=seconds)
        if any(outcome.values is None for outcome in self.outcomes):
            return Outcome(Status.COMPLETE, seconds=seconds)
        columns = zip(*(outcome.values or () for outcome in self.outcomes), strict=True)
        return Outcome(
            Status.COMPLETE,
            values=tuple(statistics.fmean(column) for column in columns),
            seconds=seconds,
            constraints={
                name: max(outcome.constraints.get(name, -math.inf) for outcome in self.outcomes)
                for name in sorted({name for outcome in self.outcomes for name in outcome.constraints})
            },
        )
