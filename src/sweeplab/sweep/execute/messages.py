"""What a controller and its hosts on the nodes of a cluster tell each other, whatever engine carries it."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeplab.records.record import Status
from sweeplab.sweep.job import Job, Outcome, Task


@dataclass(frozen=True)
class HostSetup:
    """All that a host needs to run trials of a sweep.

    `main`, `path` and `folder` say how the program is imported and where it was started; `files` are those of the
    sweep's snapshot, which lies at `snapshot` for the controller. `jobs` is how many trials run at once, `auto` as many
    as there are GPUs, or threads of the engine's worker. `witness` is a file of the controller's in the study's folder.
    `lease` is how many seconds a host keeps running without hearing from its controller.
    """

    main: Mapping[str, str]
    path: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    task: Task
    modules: Sequence[str]
    snapshot: Path
    files: Mapping[str, bytes]
    cold: bool
    trial_timeout: float | None
    jobs: int | str
    jobs_per_gpu: int
    gpus_per_job: int
    witness: Path
    lease: float


@dataclass(frozen=True)
class RunJob:
    """To a host: run a job."""

    id: int
    job: Job


@dataclass(frozen=True)
class Answer:
    """To a host: whether the trial that has reported should stop."""

    id: int
    prune: bool


@dataclass(frozen=True)
class Stop:
    """To a host: end all jobs, gently, with this status."""

    status: Status
    reason: str


@dataclass(frozen=True)
class Close:
    """To a host: kill all jobs, and end."""


@dataclass(frozen=True)
class Word:
    """To a host, with other messages and now and then alone: the controller lives, at this time of its clock."""

    sent: float


@dataclass(frozen=True)
class Abandoned:
    """To a host, by its engine: the controller is gone."""


@dataclass(frozen=True)
class Ready:
    """From a host: it can run so many jobs at once, on this node, with these versions of packages."""

    slots: int
    node: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Refused:
    """From a host: no trial can run there."""

    node: str
    reason: str


@dataclass(frozen=True)
class Reported:
    """From a host: a trial has reported a value at a step."""

    id: int
    value: float
    step: int


@dataclass(frozen=True)
class Ended:
    """From a host: a job has come to an outcome, and nothing of it runs any more."""

    id: int
    outcome: Outcome


@dataclass(frozen=True)
class Leaving:
    """From a host: its node is about to go; it takes no further jobs, and ends those that run."""


def packed(*messages: Any) -> bytes:
    """Return messages as an engine carries them."""
    return pickle.dumps(messages)


def unpacked(content: bytes) -> tuple[Any, ...]:
    """Return the messages of `packed`; only for what came from one's own controller or hosts."""
    messages: tuple[Any, ...] = pickle.loads(content)
    return messages
