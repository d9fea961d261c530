"""The interface of executors, as in `concurrent.futures` (submit a job, get a future), and the choice of one."""

import os
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf

from sweeplab.records.record import Status
from sweeplab.sweep.execute.local import Local
from sweeplab.sweep.execute.slots import Slot
from sweeplab.sweep.execute.worker import perform
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.trial import Report

WARM_UP_FILE = "warm_up.pickle"


class Executor(Protocol):
    """Runs jobs in slots, all in the controller's own thread: reports are answered and futures set in `wait`."""

    imports_program: bool  # whether what an import of the program gives is all that jobs have

    @property
    def slots(self) -> int:
        """How many jobs can run at once; on a cluster now more, now fewer, or none yet."""

    @property
    def nodes(self) -> int:
        """How many nodes of a cluster it has; 0 where jobs run on this machine."""

    def node_of(self, future: "Future[Outcome]") -> str:
        """Return the name of the node on which a job runs; nothing where that is this machine."""

    def free(self) -> int:
        """Return how many jobs could start now."""

    def prepare(self, job: Job) -> None:
        """Do for a job what can be done before it has a slot; if it is not submitted next, that was in vain."""

    def submit(self, job: Job, report: Report) -> "Future[Outcome]":
        """Start a job in a free slot; `report` is called with each value and step that it reports."""

    def wait(self, seconds: float, also: Sequence[Connection] = ()) -> None:
        """Serve reports until a job has ended, one of `also` can be read, or the time is over."""

    def stop(self, status: Status, reason: str) -> None:
        """End all jobs and their children, first gently; they come to an outcome of this status."""

    def close(self) -> None:
        """Leave nothing behind; jobs that still run are killed."""


class Inline:
    """Runs a job in this process as it is submitted, for debuggers. A job that kills its process kills the sweep."""

    slots = 1
    nodes = 0
    imports_program = False

    def __init__(self) -> None:
        self._free = 1

    def node_of(self, future: "Future[Outcome]") -> str:
        """Return nothing: all runs here."""
        return ""

    def free(self) -> int:
        """Return 1, but between a job and the call that collects it."""
        return self._free

    def prepare(self, job: Job) -> None:
        """Do nothing: there is no other process."""

    def submit(self, job: Job, report: Report) -> "Future[Outcome]":
        """Run a job to its end; Ctrl-C passes through."""
        self._free = 0
        future: Future[Outcome] = Future()
        os.environ |= job.environment
        future.set_result(perform(replace(job, interactive=True), report))
        return future

    def wait(self, seconds: float, also: Sequence[Connection] = ()) -> None:
        """Return at once: what was submitted has ended."""
        self._free = 1

    def stop(self, status: Status, reason: str) -> None:
        """Do nothing: nothing runs."""

    def close(self) -> None:
        """Do nothing: nothing is left."""


def make_executor(spec: SweepSpec, slots: Sequence[Slot], preload: Sequence[str]) -> Executor:
    """Return the executor that the settings choose; `preload` are modules that listeners make trials import."""
    settings = spec.settings
    if settings.executor == "inline":
        return Inline()
    cold = settings.executor == "spawn"
    modules, timeout = modules_of(spec, preload), settings.trial_timeout
    return Local(slots, spec.task, modules, write_warm_up(spec), cold, timeout, settings.reuse)


def modules_of(spec: SweepSpec, preload: Sequence[str]) -> list[str]:
    """Return the modules that are worth importing before the first trial."""
    return [*spec.settings.preload, *sorted(set(_targets(spec.base))), *preload]


def write_warm_up(spec: SweepSpec) -> Path:
    """Write down what the process that trials are forked from does first (see `preload`); return the file."""
    path = spec.snapshot / WARM_UP_FILE
    path.write_bytes(pickle.dumps((spec.config_snapshot.trial_configs(), spec.program, spec.context, spec.task.script)))
    return path


def _targets(config: Any) -> Iterator[str]:
    """Find all that a configuration can build."""
    if isinstance(config, DictConfig):
        config = OmegaConf.to_container(config, resolve=False)
    if isinstance(config, dict):
        target = config.get("_target_")
        if isinstance(target, str) and "." in target and "${" not in target:
            yield target
        for key, value in config.items():
            if key != "hydra":
                yield from _targets(value)
    elif isinstance(config, list):
        for value in config:
            yield from _targets(value)
