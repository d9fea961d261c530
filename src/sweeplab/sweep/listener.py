"""Who is told what happens in a sweep."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from sweeplab.errors import UserError, did_you_mean
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.results import Summary
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.algorithms import build

log = logging.getLogger(__name__)


class Listener:
    """Told in the controller of all that happens; what it raises is logged, and never ends a sweep.

    A subclass overrides what it wants to know. With repeats there are several runs a trial.
    """

    def preview(self, spec: SweepSpec) -> str:
        """Return the sweep in a form of the listener's own; `hydra.sweeper.preview=<listener>` prints it.

        Raises:
            UserError: it has none.
        """
        raise UserError(f"{type(self).__name__} has no preview; write hydra.sweeper.preview=true.")

    def preload(self, spec: SweepSpec) -> Sequence[str]:
        """Return modules that trials will import because of it, so that it can be done once."""
        return ()

    def sweep_started(self, spec: SweepSpec, before: Summary, is_only_controller: bool) -> None:
        """Before the first process starts: what it puts into the environment, the trials find there.

        A `UserError` refuses the sweep.

        `before` is what earlier commands have come to; `is_only_controller` says that no other controller is at work on
        the study.
        """

    def environment(self, job: Job) -> Mapping[str, str]:
        """Return what the process of a run, which is about to start, shall find in its environment."""
        return {}

    def trial_started(self, job: Job) -> None:
        """A run was handed to its process."""

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        """A run has ended, and its process is gone."""

    def trial_lost(self, job: Job, outcome: Outcome) -> None:
        """A run that a controller left behind as it died was given its ending."""

    def trial_told(self, trial: FrozenTrial, counts: bool) -> None:
        """A trial, all its runs together, has its ending in the study; `counts` is false where it is queued again."""

    def sweep_ended(self, spec: SweepSpec, summary: Summary) -> None:
        """All results are written."""


class Listeners(Listener):
    """Several listeners as one."""

    def __init__(self, listeners: Mapping[str, Listener]) -> None:
        self._by_name = dict(listeners)
        self._listeners = list(listeners.values())

    @classmethod
    def configured(cls, entries: Mapping[str, Any]) -> "Listeners":
        """Build the listeners of `hydra.sweeper.listeners`."""
        return cls({n: build(entry, f"hydra.sweeper.listeners.{n}") for n, entry in entries.items() if entry})

    def named(self, name: str) -> Listener:
        """Return the listener of this name.

        Raises:
            UserError: there is none.
        """
        if name not in self._by_name:
            near = did_you_mean(name, ["true", "false", *self._by_name])
            raise UserError(f"hydra.sweeper.preview={name} is not known{near}")
        return self._by_name[name]

    def preload(self, spec: SweepSpec) -> list[str]:
        """Ask all."""
        return [name for listener in self._listeners for name in listener.preload(spec)]

    def sweep_started(self, spec: SweepSpec, before: Summary, is_only_controller: bool) -> None:
        """Tell all."""
        self._tell("sweep_started", spec, before, is_only_controller)

    def environment(self, job: Job) -> dict[str, str]:
        """Ask all."""
        answers = self._tell("environment", job)
        return {name: value for answer in answers for name, value in answer.items()}

    def trial_started(self, job: Job) -> None:
        """Tell all."""
        self._tell("trial_started", job)

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        """Tell all."""
        self._tell("trial_ended", job, outcome)

    def trial_lost(self, job: Job, outcome: Outcome) -> None:
        """Tell all."""
        self._tell("trial_lost", job, outcome)

    def trial_told(self, trial: FrozenTrial, counts: bool) -> None:
        """Tell all."""
        self._tell("trial_told", trial, counts)

    def sweep_ended(self, spec: SweepSpec, summary: Summary) -> None:
        """Tell all."""
        self._tell("sweep_ended", spec, summary)

    def _tell(self, event: str, *facts: Any) -> list[Any]:
        answers = []
        for listener in self._listeners:
            try:
                answers.append(getattr(listener, event)(*facts))
            except UserError:
                if event == "sweep_started":  # nothing has run yet: the user can mend it
                    raise
                log.exception("%s failed in %s; the sweep goes on.", type(listener).__name__, event)
            except Exception:
                log.exception("%s failed in %s; the sweep goes on.", type(listener).__name__, event)
        return answers
