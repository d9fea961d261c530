"""What travels between the controller and the process of a trial."""

import importlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sweeplab.records.record import Status
from sweeplab.sweep.config.trial_config import TrialConfig


@dataclass(frozen=True)
class Task:
    """Where other processes find the task function: the program it belongs to, its module and its name there.

    `layers` are those that `hydra.main`, and whatever the user put on top of it, have wrapped around it. A task without
    a module cannot be imported; forks of this process have it.
    """

    script: str
    module: str = ""
    name: str = ""
    layers: int = 0

    def function(self) -> Callable[..., Any]:
        """Return the function."""
        if not self.module:
            assert _local is not None
            return _local
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.name)
        for _ in range(self.layers):
            function = function.__wrapped__  # type: ignore[attr-defined]  # as in this process
        return function


_local: Callable[..., Any] | None = None


def keep_for_forks(task: Callable[..., Any]) -> None:
    """Keep a task function that no other process can import for the forks of this one."""
    global _local
    _local = task


@dataclass(frozen=True)
class Job:
    """One run of one trial: all that a fresh process needs to know.

    `arguments` are those of a single run with the configuration's copy, `rerun_command` is its command for a user;
    `name` is Hydra's name for the program, and `context` what its version wants to know besides; `subdir` is where
    `folder` lies in the sweep's; `has_objective` says whether its task has to return the objectives. `attempt`, `id`,
    `home`, `seed_key` and `searched` are as in `Trial`. `node_root` is where relative paths begin on a node that
    shares no folder with the controller.
    """

    study: str
    number: int
    params: Mapping[str, Any]
    folder: Path
    trial_config: TrialConfig
    task: Task
    arguments: tuple[str, ...]
    rerun_command: str
    name: str
    context: Mapping[str, Any]
    objectives: int = 1
    prunes: bool = False
    has_objective: bool = True
    repeat: int = 0
    repeats: int = 1
    attempt: int = 0
    id: str = ""
    home: Path | None = None
    subdir: str = ""
    node_root: Path | None = None
    seed_key: str = "seed"
    searched: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    interactive: bool = False

    @property
    def below_home(self) -> str:
        """Where `folder` lies in `home`."""
        assert self.home is not None
        return self.folder.relative_to(self.home).as_posix()


def job_id(study: str, number: int, repeat: int, repeats: int) -> str:
    """Return a name that no other run has; `study` is the id of its study."""
    return f"{study}-{number:04d}" + (f"-{repeat}" if repeats > 1 else "")


@dataclass
class Outcome:
    """How a job ended, in the words of `run.json`, and the reason where it did not end well.

    `is_shared` says that every other trial would end in the same way.
    """

    status: Status
    reason: str = ""
    values: tuple[float, ...] | None = None
    traceback: str = ""
    seconds: float = 0.0
    constraints: dict[str, float] = field(default_factory=dict)
    is_shared: bool = False


def combined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return what the runs of a trial came to: the first that was not complete, else the mean; and all their time."""
    seconds = round(sum(outcome.seconds for outcome in outcomes), 3)
    for outcome in outcomes:
        if outcome.status is not Status.COMPLETE:
            return replace(outcome, seconds=seconds)
    if any(outcome.values is None for outcome in outcomes):
        return Outcome(Status.COMPLETE, seconds=seconds)
    columns = zip(*(outcome.values or () for outcome in outcomes), strict=True)
    return Outcome(
        Status.COMPLETE,
        values=tuple(statistics.fmean(column) for column in columns),
        seconds=seconds,
        constraints={
            name: max(outcome.constraints.get(name, -math.inf) for outcome in outcomes)
            for name in sorted({name for outcome in outcomes for name in outcome.constraints})
        },
    )
