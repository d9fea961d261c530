"""Trials in the controller's own process, one after the other: for debuggers."""

import os
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.connection import Connection

from sweeplab.records.record import Status
from sweeplab.sweep.execute.worker import perform
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.trial import Report


class Inline:
    """An executor whose `submit` runs the job at once. A job that kills its process kills the sweep."""

    slots = 1
    imports_program = False

    def __init__(self) -> None:
        self._free = 1

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
