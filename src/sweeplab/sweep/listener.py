"""Who is told what happens in a sweep."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sweeplab.sweep.algorithms import build
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.plan import Plan
from sweeplab.sweep.results import Summary

log = logging.getLogger(__name__)


class Listener:
    """Told in the controller of all that happens; what it raises is logged, and never ends a sweep.

    A subclass overrides what it wants to know. Trials are told run by run: with repeats there are several a trial.
    """

    def preload(self, plan: Plan) -> Sequence[str]:
        """Return modules that trials will import because of it, so that it can be done once."""
        return ()

    def sweep_started(self, plan: Plan) -> None:
        """Before the first process starts: what it puts into the environment, the trials find there."""

    def trial_started(self, job: Job) -> None:
        """A run was handed to its process."""

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        """A run has ended, and its process is gone."""

    def sweep_ended(self, plan: Plan, summary: Summary) -> None:
        """All results are written."""


class Listeners(Listener):
    """Several listeners as one."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    @classmethod
    def configured(cls, entries: Mapping[str, Any]) -> "Listeners":
        """Build the listeners of `hydra.sweeper.listeners`."""
        return cls([build(entry, f"hydra.sweeper.listeners.{name}") for name, entry in entries.items() if entry])

    def preload(self, plan: Plan) -> list[str]:
        """Ask all."""
        return [name for listener in self._listeners for name in listener.preload(plan)]

    def sweep_started(self, plan: Plan) -> None:
        """Tell all."""
        self._tell("sweep_started", plan)

    def trial_started(self, job: Job) -> None:
        """Tell all."""
        self._tell("trial_started", job)

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        """Tell all."""
        self._tell("trial_ended", job, outcome)

    def sweep_ended(self, plan: Plan, summary: Summary) -> None:
        """Tell all."""
        self._tell("sweep_ended", plan, summary)

    def _tell(self, event: str, *facts: Any) -> None:
        for listener in self._listeners:
            try:
                getattr(listener, event)(*facts)
            except Exception:
                log.exception("%s failed in %s; the sweep goes on.", type(listener).__name__, event)
