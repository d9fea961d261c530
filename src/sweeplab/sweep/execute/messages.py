"""What a controller and its hosts on the nodes of a cluster tell each other, whatever engine carries it."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeplab.records.record import Status
from sweeplab.sweep.execute.code import Code
from sweeplab.sweep.execute.transfer import Files
from sweeplab.sweep.job import Job, Outcome, Task

LEFT = "its node left the cluster"


@dataclass(frozen=True)
class HostSetup:
    """All that a host needs to run trials of a sweep.

    `main`, `path` and `folder` say how the program is imported and where it was started; `files` are those of the
    sweep's snapshot, which lies at `snapshot` for the controller. `jobs` is how many trials run at once, `auto` as many
    as there are GPUs, or threads of the engine's worker. `lease` is how many seconds a host keeps running without
    hearing from its controller. `witness` is a file of the controller's in the study's folder, if that is shared; else
    `node_root` is the node's folder that stands for `folder`, and what changes is sent every `sync_every` seconds.
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
    node_root: str | None = None
    sync_every: float = 60.0
    reuse: int = 1


@dataclass(frozen=True)
class RunJob:
    """To a host: run a job; where no folder is shared, with these files, which the host has to ask for."""

    id: int
    job: Job
    files: Files = field(default_factory=dict)


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
class Heartbeat:
    """To a host, with other messages and now and then alone: the controller lives, at this time of its clock."""

    sent: float


@dataclass(frozen=True)
class Abandoned:
    """To a host, by its engine: the controller is gone."""


@dataclass(frozen=True)
class Ready:
    """From a host: it can run so many jobs at once, on this node, with these versions of packages.

    `not_copied` are packages that it imports from the project's folder, not from its copy of the code.
    """

    slots: int
    node: str
    versions: Mapping[str, str]
    not_copied: Sequence[str] = ()


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
class Changed:
    """From a host: a job has these files now, below `home` and `root`; with an outcome, nothing of it runs any more."""

    id: int
    files: Files
    gone: Sequence[str]
    home: str
    root: str
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Received:
    """To a host: the files that had changed are here, or cannot be had."""

    id: int
    is_here: bool


@dataclass(frozen=True)
class Leaving:
    """From a host: its node is about to go; it takes no further jobs, and ends those that run."""


def opening(code: Code, setup: HostSetup) -> bytes:
    """Return the first that a host is told. What reads it is not yet of this code, so it has no class of ours."""
    return pickle.dumps((code, packed(setup)))


def setup_in(content: bytes) -> HostSetup:
    """Return the setup of an `opening`, for an engine that wants to know of it."""
    setup: HostSetup = unpacked(pickle.loads(content)[1])[0]
    return setup


def packed(*messages: Any) -> bytes:
    """Return messages as an engine carries them."""
    return pickle.dumps(messages)


def unpacked(content: bytes) -> tuple[Any, ...]:
    """Return the messages of `packed`; only for what came from one's own controller or hosts."""
    messages: tuple[Any, ...] = pickle.loads(content)
    return messages
