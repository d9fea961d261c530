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

WRITE_EVERY = 1.0  # seconds between two writes of reports, where no pruner waits for them


class UnwrittenReports:
    """What the trials of a sweep have reported and the study does not have yet, for one write of all together."""

    def __init__(self, client: StudyClient) -> None:
        self._client = client
        self._values: dict[optuna.Trial, dict[int, float]] = {}
        self._written_at = -math.inf

    def add(self, trial: optuna.Trial, value: float, step: int) -> None:
        """Take a report, and write if it is time."""
        self._values.setdefault(trial, {})[step] = value
        self.write()

    def write(self) -> None:
        """Write what there is, if the last time was long enough ago."""
        if self._values and time.monotonic() - self._written_at >= WRITE_EVERY:
            self._client.report(self._values)
            self._values.clear()
            self._written_at = time.monotonic()

    def write_of(self, trial: optuna.Trial) -> None:
        """Write what one trial has reported, now."""
        if values := self._values.pop(trial, None):
            self._client.report({trial: values})


class Reports:
    """What a trial reports: in the study at once where a pruner looks at it, else together with others.

    `steps` are those that an earlier attempt has reported.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        client: StudyClient,
        unwritten: UnwrittenReports,
        prunes: bool,
        steps: Iterable[int] = (),
    ) -> None:
        self._trial, self._client, self._unwritten, self._prunes = trial, client, unwritten, prunes
        self._steps = set(steps)
        self._is_over = False  # another controller took the trial for lost

    def add(self, value: float, step: int) -> bool:
        """Take a report; False if its step has one already: Optuna keeps the first."""
        if step in self._steps:
            return False
        self._steps.add(step)
        if not self._prunes:
            self._unwritten.add(self._trial, value, step)
        elif self._client.runs(self._trial):
            self._trial.report(value, step)
        else:
            self._is_over = True
        return True

    def should_prune(self) -> bool:
        """Say whether the trial should stop."""
        return self._prunes and (self._is_over or self._trial.should_prune())

    def write(self) -> None:
        """Write what the study does not have yet."""
        self._unwritten.write_of(self._trial)


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
