"""What a sweep tells others while it runs: who is told, of what, and what they see of it.

All that a listener needs can be imported from here.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.objective import Objective
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.job import Job, Outcome, job_id
from sweeplab.sweep.results import Summary
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.space.space import Space
from sweeplab.sweep.space.values import override, text
from sweeplab.sweep.spec import SweepSpec, single_run
from sweeplab.sweep.study import trials
from sweeplab.sweep.study.algorithms import build
from sweeplab.sweep.study.search import Search
from sweeplab.sweep.study.trials import came_to, counted, counts, ending, reason, took

__all__ = [
    "Job",
    "Listener",
    "Listeners",
    "Outcome",
    "Parameter",
    "Summary",
    "SweepInfo",
    "came_to",
    "counted",
    "counts",
    "ending",
    "override",
    "reason",
    "text",
    "took",
]

log = logging.getLogger(__name__)

Facts = ParamSpec("Facts")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SweepInfo:
    """What a listener sees of a sweep.

    `id` tells its study apart from every other, also from one of the same name; a preview has none. `config` is what
    all trials share, `fixed_overrides` is what the user set in it, and `run_command` runs it once. `is_exhaustive` says
    whether all points are tried, in order. `default_parameters` are searched where all else is as in `config`.
    """

    name: str
    folder: Path
    id: str
    objectives: tuple[Objective, ...]
    settings: Settings
    space: Space
    default_parameters: tuple[Parameter, ...]
    is_exhaustive: bool
    config: DictConfig
    fixed_overrides: tuple[str, ...]
    resume_command: str
    run_command: str

    @classmethod
    def of(cls, spec: SweepSpec, search: Search) -> "SweepInfo":
        """Return what listeners may see."""
        return cls(
            name=spec.name,
            folder=spec.folder,
            id=spec.id,
            objectives=spec.objectives,
            settings=spec.settings,
            space=spec.space,
            default_parameters=tuple(spec.space.active({}, spec.default_of)),
            is_exhaustive=search.walks,
            config=spec.base,
            fixed_overrides=spec.fixed_overrides,
            resume_command=spec.resume_command,
            run_command=single_run(spec.rerun_overrides({})),
        )

    def folder_of(self, trial: FrozenTrial) -> Path | None:
        """Return the folder of a trial, on the machine that ran it; None if it was no sweep of ours."""
        return trials.folder_of(trial, self.folder)

    def job_id(self, number: int, repeat: int) -> str:
        """Return the id of a job, as its trial has it."""
        return job_id(self.id, number, repeat, self.settings.repeats)


class Listener:
    """Told in the controller of all that happens; what it raises is logged, and never ends a sweep.

    A subclass overrides what it wants to know. With repeats there are several runs a trial.
    """

    def preview(self, sweep: SweepInfo) -> str:
        """Return the sweep in a form of the listener's own; `hydra.sweeper.preview=<listener>` prints it.

        Raises:
            UserError: it has none.
        """
        raise UserError(f"{type(self).__name__} has no preview; write hydra.sweeper.preview=true.")

    def preload(self, sweep: SweepInfo) -> Sequence[str]:
        """Return modules that trials will import because of it, so that it can be done once."""
        return ()

    def sweep_started(self, sweep: SweepInfo, before: Summary, is_only_controller: bool) -> None:
        """Before the first process starts: what it puts into the environment, the trials find there.

        `before` is what earlier commands have come to; `is_only_controller` says that no other controller is at work on
        the study. A `UserError` refuses the sweep.
        """

    def environment(self, job: Job) -> Mapping[str, str]:
        """Return what the process of a run, which is about to start, finds in its environment."""
        return {}

    def trial_started(self, job: Job) -> None:
        """A run was handed to its process."""

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        """A run has ended, and its process is gone."""

    def trial_lost(self, job: Job, outcome: Outcome) -> None:
        """A run that a controller left behind as it died was given its ending."""

    def trial_told(self, trial: FrozenTrial, counts: bool) -> None:
        """A trial, all its runs together, has its ending in the study; `counts` is false where it waits to go on."""

    def sweep_ended(self, sweep: SweepInfo, summary: Summary) -> None:
        """All results are written."""


class Listeners:
    """Those whom a sweep tells, by name."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        """Build the listeners of `hydra.sweeper.listeners`."""
        self._listeners: dict[str, Listener] = {
            name: build(entry, f"hydra.sweeper.listeners.{name}") for name, entry in entries.items() if entry
        }

    def named(self, name: str) -> Listener:
        """Return the listener of this name.

        Raises:
            UserError: there is none.
        """
        if name not in self._listeners:
            near = did_you_mean(name, ["true", "false", *self._listeners])
            raise UserError(f"hydra.sweeper.preview={name} is not known{near}")
        return self._listeners[name]

    def preload(self, sweep: SweepInfo) -> list[str]:
        """Return the modules that the listeners make trials import."""
        return [name for listener in self._listeners.values() for name in listener.preload(sweep)]

    def environment(self, job: Job) -> dict[str, str]:
        """Return what the listeners put into the environment of a run."""
        return {name: value for answer in self.tell(Listener.environment, job) for name, value in answer.items()}

    def tell(
        self, event: Callable[Concatenate[Any, Facts], Answer], *facts: Facts.args, **named: Facts.kwargs
    ) -> list[Answer]:
        """Tell all of an event, such as `Listener.trial_started`; return the answers of those that did not fail."""
        answers = []
        for listener in self._listeners.values():
            try:
                answers.append(getattr(listener, event.__name__)(*facts, **named))
            except Exception as error:
                # Before anything has run, the user can correct it.
                if event is Listener.sweep_started and isinstance(error, UserError):
                    raise
                log.exception("%s failed in %s; the sweep continues.", type(listener).__name__, event.__name__)
        return answers
