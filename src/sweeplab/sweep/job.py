"""What travels between the controller and the process of a trial."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeplab.runs.record import Status
from sweeplab.sweep.frozen import Recipe


@dataclass(frozen=True)
class Task:
    """Where a fresh process finds the task function: the program it belongs to, its module and its name there."""

    script: str
    module: str
    name: str

    def function(self) -> Callable[..., Any]:
        """Return the function, without what `hydra.main` wraps around it."""
        found: Callable[..., Any] = inspect.unwrap(getattr(importlib.import_module(self.module), self.name))
        return found


@dataclass(frozen=True)
class Job:
    """One run of one trial: all that a fresh process needs to know.

    `arguments` are those of a single run with the frozen configuration, `alone` is its command for a user;
    `name` is Hydra's name for the program, and
    `context` what its version wants to know besides. `id`, `home`, `seed_key` and `searched` are as in `Trial`.
    """

    study: str
    number: int
    params: Mapping[str, Any]
    folder: Path
    recipe: Recipe
    task: Task
    arguments: tuple[str, ...]
    alone: str
    name: str
    context: Mapping[str, Any]
    objectives: int = 1
    prunes: bool = False
    repeat: int = 0
    repeats: int = 1
    id: str = ""
    home: Path | None = None
    seed_key: str = "seed"
    searched: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    interactive: bool = False


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
