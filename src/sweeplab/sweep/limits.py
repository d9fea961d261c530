"""When a sweep stops: its budget, its time, and too many failures."""

import time
from collections.abc import Mapping
from typing import Any

from sweeplab.compare.table import plural
from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.retries import numbers_to_retry

FAILURES = (Status.FAILED, Status.KILLED, Status.TIMEOUT)
FIRST_FAILURES = 5  # failures with nothing good before them end a sweep by themselves


class Limits:
    """The limits of one run of the command; `n_trials` is the total of the study, failures are counted anew.

    Once too many trials have failed, `stopped` says so, and `first` is the traceback of the first of them.
    """

    def __init__(self, settings: Settings, n_trials: int | None) -> None:
        self.n_trials = n_trials
        self.stopped = self.first = ""
        self._timeout = settings.timeout or float("inf")
        self._until = time.monotonic() + self._timeout
        self._failures = self._successes = 0
        self._traceback = ""
        self._rate = settings.max_failure_rate
        self._most = 0 if settings.fail_fast else settings.max_failures

    def may_start(self) -> bool:
        """Say whether another trial may start."""
        return not self.stopped and not self.over

    @property
    def over(self) -> str:
        """Say that the time is over, or nothing."""
        return f"the timeout of {self._timeout:g} s was reached" if time.monotonic() >= self._until else ""

    def ended(self, spec: SweepSpec, number: int, values: Mapping[str, Any], outcome: Outcome, counts: bool) -> None:
        """Count a trial; stop the sweep if it was one failure too many, or if no trial can do better."""
        if outcome.status in (Status.COMPLETE, Status.PRUNED):
            self._successes += 1
        elif outcome.status in FAILURES and counts:
            self._failed(spec, number, values, outcome)

    def _failed(self, spec: SweepSpec, number: int, values: Mapping[str, Any], outcome: Outcome) -> None:
        self._failures += 1
        if outcome.is_shared and not self._successes and not self.stopped:
            self.stopped = f"every trial would fail as #{number} did: {outcome.reason}"
        self._traceback = self._traceback or outcome.traceback
        if self._too_many() and not self.stopped:
            self.first = self._traceback
            ended = plural(self._failures + self._successes, "trial")
            self.stopped = (
                f"{self._failures} of {ended} failed; the last was #{number} "
                f"({' '.join(spec.space.overrides(values))}): {outcome.reason}; "
                f"its log is {spec.folder_of(number) / RunFile.OUTPUT}"
            )

    def _too_many(self) -> bool:
        ended = self._failures + self._successes
        if self._most is not None:
            return self._failures > self._most
        if self._rate is not None:
            return ended >= FIRST_FAILURES and self._failures > self._rate * ended
        return self._failures >= FIRST_FAILURES and not self._successes


def check_limits(settings: Settings) -> None:
    """Check the numbers that limit a sweep.

    Raises:
        UserError: one that makes no sense.
    """
    numbers_to_retry(settings)
    least = {"n_trials": 1, "repeats": 1, "reuse": 1, "retries": 0, "max_failures": 0}
    for name, lowest in least.items():
        value = getattr(settings, name)
        if value is not None and value < lowest:
            raise UserError(f"hydra.sweeper.{name}={value} must be {lowest} or more.")
    for name in ("timeout", "trial_timeout"):
        value = getattr(settings, name)
        if value is not None and value <= 0:
            raise UserError(f"hydra.sweeper.{name}={value} must be a number of seconds above 0.")
    if settings.max_failure_rate is not None and not 0 <= settings.max_failure_rate <= 1:
        raise UserError(f"hydra.sweeper.max_failure_rate={settings.max_failure_rate} must be from 0 to 1.")
    for name, choices in (("executor", ("local", "spawn", "inline")), ("on_change", ("refuse", "extend"))):
        if (word := getattr(settings, name)) not in choices:
            raise UserError(f"hydra.sweeper.{name}={word} is not known{did_you_mean(word, choices)}")
