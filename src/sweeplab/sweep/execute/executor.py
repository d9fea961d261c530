"""The face of what runs jobs: submit one and get a future, as in `concurrent.futures`."""

from collections.abc import Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Protocol

from sweeplab.records.record import Status
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.trial import Report


class Executor(Protocol):
    """Runs jobs in slots, all in the controller's own thread: reports are answered and futures set in `wait`."""

    slots: int
    imports_program: bool  # whether what an import of the program gives is all that jobs have

    def free(self) -> int:
        """Return how many jobs could start now."""

    def prepare(self, job: Job) -> None:
        """Do for a job what can be done before it has a slot; it is submitted next, or never."""

    def forget(self) -> None:
        """Give up the job that was prepared, if there is one."""

    def submit(self, job: Job, report: Report) -> "Future[Outcome]":
        """Start a job in a free slot; `report` is called with each value and step that it reports."""

    def wait(self, seconds: float, also: Sequence[Connection] = ()) -> None:
        """Serve reports until a job has ended, one of `also` can be read, or the time is over."""

    def stop(self, status: Status, reason: str) -> None:
        """End all jobs and their children, first gently; they come to an outcome of this status."""

    def close(self) -> None:
        """Leave nothing behind; jobs that still run are killed."""
