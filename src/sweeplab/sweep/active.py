"""A trial under way: its runs, what they have come to, and what it reports."""

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from sweeplab.sweep.job import Job, Outcome, combined
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.suggestions import Suggestion

WRITE_EVERY = 1.0  # seconds between two writes of a trial's reports, where no pruner waits for them


class Reports:
    """What a trial reports: in the study at once where a pruner looks at it, else in few writes.

    `steps` are those that an earlier attempt has reported.
    """

    def __init__(self, trial: optuna.Trial, client: StudyClient, prunes: bool, steps: Iterable[int] = ()) -> None:
        self._trial, self._client, self._prunes = trial, client, prunes
        self._steps = set(steps)
        self._unwritten: dict[int, float] = {}
        self._written_at = -math.inf
        self._is_over = False  # another controller took the trial for lost

    def add(self, value: float, step: int) -> bool:
        """Take a report; False if its step has one already: Optuna keeps the first."""
        if step in self._steps:
            return False
        self._steps.add(step)
        if self._prunes:
            if not self._client.runs(self._trial):
                self._is_over = True
            else:
                self._trial.report(value, step)
        else:
            self._unwritten[step] = value
            self.write()
        return True

    def should_prune(self) -> bool:
        """Say whether the trial should stop."""
        return self._prunes and (self._is_over or self._trial.should_prune())

    def write(self, now: bool = False) -> None:
        """Write what the study does not have yet, `now` or if it has waited long enough."""
        if self._unwritten and (now or time.monotonic() - self._written_at >= WRITE_EVERY):
            self._client.report(self._trial, self._unwritten)
            self._unwritten.clear()
            self._written_at = time.monotonic()


@dataclass
class Active:
    """A trial under way: its `jobs` that wait, how many are `running`, and what the others came to."""

    suggestion: Suggestion
    jobs: deque[Job]
    reports: Reports
    started: float = field(default_factory=time.monotonic)
    running: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def trial(self) -> optuna.Trial:
        """The trial in the study."""
        return self.suggestion.trial

    @property
    def values(self) -> Mapping[str, Any]:
        """Its point."""
        return self.suggestion.values

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    def outcome(self) -> Outcome:
        """Return what its runs came to together."""
        return combined(self.outcomes)
