"""Processes for trials on this machine, forked from a warm server where the system has one: fresh ones, or reused."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sweeplab.errors import UserError
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.execute.fork_server import ForkServer
from sweeplab.sweep.execute.outcome import left_outcome
from sweeplab.sweep.execute.runtime_state import beyond_import, warn_of_missing
from sweeplab.sweep.execute.slots import Slot
from sweeplab.sweep.execute.worker import IDLE, work
from sweeplab.sweep.job import Job, Outcome, Task

AT_ONCE = 100  # messages of one trial, before others have their turn
GRACE = 10.0  # seconds between asking a process to end and killing it


@dataclass
class _Ready:
    """A process that waits for a slot to run its job in; one that ran others has used the GPUs of `environment`."""

    job: Job
    process: BaseProcess
    channel: Connection
    alive: Connection
    environment: Mapping[str, str] | None

    def can_run(self, job: Job) -> bool:
        """Say whether it waits for this job, and lives."""
        is_same = _identity(self.job) == _identity(job)
        return is_same and self.process.exitcode is None

    def leave(self) -> None:
        """Wait for the process's end, and close what led to it."""
        self.process.join()
        self.process.close()
        self.channel.close()
        self.alive.close()


@dataclass
class _Running(_Ready):
    report: Callable[[float, int], bool | None]
    slot: Slot
    future: "Future[Outcome]"
    started: float
    deadline: float
    outcome: Outcome | None = None
    stopped: Outcome | None = None
    kill_at: float = float("inf")
    is_idle: bool = False

    def answer(self, prune: bool) -> None:
        """Tell a trial that has reported whether it should stop; it may have died meanwhile."""
        with contextlib.suppress(OSError):
            self.channel.send(prune)


class Local:
    """Runs each job in a process group of its own: the group does not survive the job, nor any job this process.

    With `reuse` above 1 a process runs so many jobs, one after the other, where they leave nothing behind in it.
    """

    nodes = 0

    def __init__(
        self,
        slots: Sequence[Slot],
        task: Task,
        modules: Sequence[str],
        warm_up: Path,
        cold: bool,
        trial_timeout: float | None,
        reuse: int = 1,
    ) -> None:
        self.slots = len(slots)
        self._slots, self._free = slots, list(slots)
        self._running: list[_Running] = []
        self._ready: _Ready | None = None
        self._idle: list[_Ready] = []  # processes that wait for any job
        self._reuse = reuse
        self._timeout = trial_timeout
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            # torch counts its threads when it is imported, in the server already; a user's own setting stays.
            os.environ.setdefault(variable, str(slots[0].threads))
        warm = not cold and "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if warm else "spawn")
        self._server = ForkServer(self._context, task, modules, warm_up) if warm else None
        self.imports_program = self._server is None or not self._server.is_fork
        if cold:
            warn_of_missing(beyond_import(self._context), "executor=local would keep them.")

    def node_of(self, future: "Future[Outcome]") -> str:
        """Return nothing: all runs here."""
        return ""

    def free(self) -> int:
        """Return how many slots are free."""
        return len(self._free)

    def prepare(self, job: Job) -> None:
        """Start a process for a job that will have a slot; there is one such process at most."""
        self._drop_ready()
        self._ready = self._launch(job)

    def submit(self, job: Job, report: Callable[[float, int], bool | None]) -> "Future[Outcome]":
        """Run a job in a free slot, in the process that waits for it or in a new one.

        Where `report` returns None, the trial waits for its answer until `answer` is called.
        """
        if self._ready is not None and not self._ready.can_run(job):
            self._drop_ready()
        ready, self._ready = self._ready or self._launch(job), None
        slot = self._free.pop(0)
        with contextlib.suppress(OSError):  # it may have died just now, as is found out below
            ready.channel.send({**slot.environment, **job.environment})
        now = time.monotonic()
        deadline = now + (self._timeout or float("inf"))
        ready.environment = slot.environment
        running = _Running(**vars(ready), report=report, slot=slot, future=Future(), started=now, deadline=deadline)
        self._running.append(running)
        return running.future

    def answer(self, future: "Future[Outcome]", prune: bool) -> None:
        """Answer the last report of a job that still runs."""
        for running in self._running:
            if running.future is future:
                running.answer(prune)

    def _drop_ready(self) -> None:
        """Kill the process that waits, if there is one."""
        if self._ready is not None:
            _kill(self._ready)
            self._ready = None

    def _drop_idle(self) -> None:
        while self._idle:
            _kill(self._idle.pop())

    def _launch(self, job: Job) -> _Ready:
        """Give a job to a process that is idle, else to a new one."""
        for idle in [idle for idle in self._idle if self._fits(idle)]:
            self._idle.remove(idle)
            idle.job = job
            with contextlib.suppress(OSError):  # it has died
                idle.channel.send(job)
                return idle
            _kill(idle)
        channel, far = self._context.Pipe()
        watched, alive = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(job, far, watched, self._reuse), name=f"trial-{job.number}")
        try:
            process.start()
            if self._server is not None and self._server.is_replaced:  # nothing has run yet: it waits for its slot
                _signal_group(process, signal.SIGKILL)
                process.join()
                raise ConnectionError
        except (EOFError, ConnectionError) as error:
            raise UserError(
                "the process that trials are forked from has died, perhaps for lack of memory; its output is above, "
                "and the same command resumes the sweep."
            ) from error
        far.close()
        watched.close()
        return _Ready(job, process, channel, alive, None)

    def _fits(self, idle: _Ready) -> bool:
        """Say whether the next slot has the GPUs that a process has used: it cannot change to others."""
        nexts = self._free[:1] or self._slots
        return all(slot.environment == idle.environment for slot in nexts)

    def wait(self, seconds: float, also: Sequence[Connection] = ()) -> None:
        """Serve reports until a job has ended, one of `also` can be read, or the time is over."""
        until = time.monotonic() + seconds
        while self._running:
            now = time.monotonic()
            for running in self._running:
                self._hurry(running, now)
            timers = [until, *(min(running.deadline, running.kill_at) for running in self._running)]
            sources: list[Any] = [*also]
            sources += [source for running in self._running for source in (running.channel, running.process.sentinel)]
            ready = wait(sources, max(0.0, min(timers) - now))
            for running in self._running:
                if running.channel in ready:
                    self._listen(running)
            # A sentinel may stay open in grandchildren, so the exit codes are asked for as well.
            ended = [each for each in self._running if each.is_idle or each.process.exitcode is not None]
            for running in ended:
                self._end(running)
            if ended or time.monotonic() >= until or any(source in ready for source in also):
                return
        wait(also, max(0.0, until - time.monotonic()))

    def stop(self, status: Status, reason: str) -> None:
        """Ask all processes to end; those that do not are killed after a while."""
        self._drop_ready()
        self._drop_idle()
        for running in self._running:
            self._stop(running, Outcome(status, reason))

    def close(self) -> None:
        """Kill what still runs."""
        self._drop_ready()
        for running in list(self._running):
            _signal_group(running.process, signal.SIGKILL)
            running.process.join()
            self._end(running)
        self._drop_idle()
        if self._server is not None:
            self._server.close()

    def _hurry(self, running: _Running, now: float) -> None:
        if now >= running.deadline:
            running.deadline = float("inf")
            self._stop(running, Outcome(Status.TIMEOUT, f"over the time limit of {self._timeout:g} s"))
        if now >= running.kill_at:
            running.kill_at = float("inf")
            _signal_group(running.process, signal.SIGKILL)

    def _stop(self, running: _Running, outcome: Outcome) -> None:
        if running.stopped is None:
            running.stopped = outcome
            running.kill_at = time.monotonic() + GRACE
            _signal_group(running.process, signal.SIGTERM)

    def _listen(self, running: _Running) -> None:
        """Take in what the process has sent so far, up to what others can wait for."""
        for _ in range(AT_ONCE):
            if not self._take(running):
                return

    def _take(self, running: _Running) -> bool:
        """Take in one message; False where none is there, or none is to come."""
        try:
            if running.is_idle or not running.channel.poll():
                return False
            message = running.channel.recv()
        except (EOFError, OSError):
            return False
        if message == IDLE:
            running.is_idle = True
            return False
        if running.outcome is not None:  # a thread that outlived its trial reports
            return True
        if isinstance(message, Outcome):
            running.outcome = message
            running.kill_at = time.monotonic() + GRACE  # threads and children may hold it back
            return False
        answer = running.report(*message)
        if running.job.prunes and answer is not None:
            running.answer(answer)
        return True

    def _end(self, running: _Running) -> None:
        if not running.is_idle:
            _signal_group(running.process, signal.SIGKILL)  # children that outlived their trial
        while self._take(running):  # all of it: its outcome is the last
            pass
        # Killed between writing its outcome and sending it, it has come to that.
        outcome = running.outcome or left_outcome(running.job) or _killed(running)
        if running.stopped and outcome.status not in (Status.COMPLETE, Status.PRUNED):
            outcome = replace(running.stopped, seconds=outcome.seconds)
        outcome.seconds = outcome.seconds or round(time.monotonic() - running.started, 3)
        if running.is_idle and running.stopped is None:
            self._idle.append(_Ready(*(getattr(running, each.name) for each in fields(_Ready))))
        elif running.is_idle:
            _kill(running)
        else:
            running.leave()
        self._running.remove(running)
        self._free.append(running.slot)
        running.future.set_result(outcome)


def _kill(ready: _Ready) -> None:
    _signal_group(ready.process, signal.SIGKILL)
    ready.leave()


def _identity(job: Job) -> tuple[int, int, int]:
    return job.number, job.repeat, job.attempt


def _killed(running: _Running) -> Outcome:
    log = running.job.folder / RunFile.OUTPUT
    return Outcome(Status.KILLED, _cause(running.process.exitcode) + (f"; see {log}" if log.exists() else ""))


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"the process exited with code {code}"


def _signal_group(process: BaseProcess, number: int) -> None:
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:  # it has no group yet, or no process is left in it
            if process.exitcode is None:
                os.kill(process.pid, number)
