"""A host: the process on a node of a cluster that runs trials there, as `Local` does on one machine.

The engine starts one beside each of its workers and carries the messages. The host ends, and its trials with it, when
its engine's worker does, and when it has not heard from the controller for as long as its lease: by then the controller
may give its trials to others. It leaves in the folder of each what it came to, so that nobody need wait for the lease.
"""

import contextlib
import os
import platform
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from sweeplab.errors import UserError
from sweeplab.records import provenance
from sweeplab.records.record import Status
from sweeplab.sweep.execute.code import copy_of, not_copied, use_copies
from sweeplab.sweep.execute.executor import WARM_UP_FILE
from sweeplab.sweep.execute.local import Local
from sweeplab.sweep.execute.messages import (
    LEFT,
    Abandoned,
    Answer,
    Close,
    Ended,
    Heartbeat,
    HostSetup,
    Leaving,
    Ready,
    Received,
    Refused,
    Reported,
    RunJob,
    Stop,
    packed,
    unpacked,
)
from sweeplab.sweep.execute.node_files import NodeFiles
from sweeplab.sweep.execute.outcome import write_outcome
from sweeplab.sweep.execute.slots import gpus, slots
from sweeplab.sweep.execute.temporary import own_folder
from sweeplab.sweep.execute.transfer import Piece, Read
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.program import import_main

TICK = 0.5  # seconds; how late the end of the lease may be noticed
SHARED_AFTER = 5.0  # seconds until a file shows on all machines that share its folder
# Seconds: where a batch system signals all processes of a job, a trial may die before the host has its own signal.
TAKEN_WITHIN = 0.2
# A trial is no task of the job that holds its node, whatever the launcher of that job says in the environment.
LAUNCHERS = ("SLURM_", "PMI_", "PMIX_", "OMPI_")


def start_host(threads: int, through: Sequence[str] = ()) -> tuple["subprocess.Popen[bytes]", Connection]:
    """Start a host beside this process, which is an engine's worker with so many threads; return it and its channel.

    `through` is a program that starts it. The first that it wants to be told is `messages.opening`.
    """
    near, far = socket.socketpair()
    with far:
        host = [sys.executable, "-m", "sweeplab.sweep.execute.host_start", str(far.fileno()), str(threads)]
        process = subprocess.Popen([*through, *host], pass_fds=[far.fileno()], stdin=subprocess.DEVNULL)
    return process, Connection(near.detach())


class Host:
    """Runs the jobs that come through a channel, and sends back what they report and come to."""

    def __init__(self, channel: Connection, setup: HostSetup, threads: int, copies: Mapping[str, str]) -> None:
        self._channel, self._setup, self._copies = channel, setup, copies
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # A thread of its own: whoever should read may be at a halt, and the lease ends all the same.
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()
        self._jobs: dict[int, tuple[Job, Future[Outcome]]] = {}
        self._delay = float("inf")  # of the heartbeat that was quickest, by two clocks that count from different times
        self._heard_at = time.monotonic()
        self._is_leaving = self._is_over = False
        self._files = NodeFiles(setup, self._say, self._run)
        self._loss: Outcome | None = None  # what becomes of jobs when nobody is told
        self._local = self._prepared(threads)
        self._heard_at = time.monotonic()  # it may have taken long

    def serve(self) -> None:
        """Run jobs until the controller closes the host, leaves it alone for too long, or the node goes."""
        for name in ("SIGTERM", "SIGUSR1", "SIGUSR2"):  # what schedulers send before they take a node away
            signal.signal(getattr(signal, name), self._leave)
        try:
            while not self._is_over:
                self._local.wait(TICK, [self._channel])
                self._receive()
                if time.monotonic() - self._heard_at > self._setup.lease:
                    self._loss = Outcome(Status.INTERRUPTED, f"its controller was silent for {self._setup.lease:g} s")
                    break
                if self._is_leaving:
                    self._local.stop(Status.INTERRUPTED, LEFT)
                    self._files.stop(Outcome(Status.INTERRUPTED, LEFT))
                self._collect()
                self._files.look()
                self._is_over |= self._is_leaving and not self._jobs and not self._files.runs
        finally:
            self._files.close()
            self._local.close()
            self._collect()
            self._outgoing.put(None)
            self._sender.join(TICK)

    def _prepared(self, threads: int) -> Local:
        """Make this process the program's, and return what runs trials in it.

        Raises:
            UserError: the study's folder is not here, or the slots cannot be.
        """
        setup, node = self._setup, platform.node()
        until = time.monotonic() + SHARED_AFTER
        while setup.node_root is None and not setup.witness.exists():
            if time.monotonic() > until:
                raise UserError(
                    f"it does not see {setup.witness.parent} as the sweep does; share that folder with all nodes, or "
                    "write cluster.folder=..., a path on the disk of each."
                )
            time.sleep(TICK)
        os.chdir(self._files.root)
        os.environ.update(setup.environment)
        modules = {setup.task.module, *setup.modules}
        own = sys.path if setup.node_root is not None else []  # of packages, which may lie elsewhere here
        use_copies(setup.path, self._copies, modules, own)
        sys.argv = [copy_of(setup.task.script, self._copies)]
        import_main({key: copy_of(value, self._copies) for key, value in setup.main.items()})
        for name, content in setup.files.items():
            path = self._snapshot / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        jobs = setup.jobs if setup.jobs != "auto" or gpus()[1] else threads
        shares = slots(jobs, setup.jobs_per_gpu, setup.gpus_per_job, None)
        warm_up = self._snapshot / WARM_UP_FILE
        local = Local(shares, setup.task, setup.modules, warm_up, setup.cold, setup.trial_timeout, setup.reuse)
        outside = not_copied({*modules, *sys.modules}, self._copies)
        self._say(Ready(len(shares), node, provenance.versions(), outside))
        return local

    @property
    def _snapshot(self) -> Path:
        """Where the files of the sweep's snapshot lie on this node."""
        return own_folder() / "snapshot"

    def _receive(self) -> None:
        try:
            while self._channel.poll():
                for message in unpacked(self._channel.recv_bytes()):
                    self._obey(message)
        except (EOFError, OSError):  # the engine's worker is gone
            self._is_over = True
            self._loss = Outcome(Status.KILLED, "the worker of its node died")

    def _renew_lease(self, heartbeat: Heartbeat) -> None:
        """Let the lease begin when a heartbeat was sent: one that was long on its way does not prolong it."""
        self._delay = min(self._delay, time.monotonic() - heartbeat.sent)
        self._heard_at = max(self._heard_at, heartbeat.sent + self._delay)

    def _obey(self, message: Any) -> None:
        if isinstance(message, Heartbeat):
            self._renew_lease(message)
        elif isinstance(message, RunJob):
            self._start(message)
        elif isinstance(message, Answer) and message.id in self._jobs:
            self._local.answer(self._jobs[message.id][1], message.prune)
        elif isinstance(message, Stop):
            self._local.stop(message.status, message.reason)
            self._files.stop(Outcome(message.status, message.reason))
        elif isinstance(message, Read | Piece | Received):
            self._files.take(message)
        elif isinstance(message, Close | Abandoned):
            self._is_over = True
            if isinstance(message, Abandoned):
                self._loss = Outcome(Status.INTERRUPTED, "its controller was killed")

    def _start(self, run: RunJob) -> None:
        if self._is_leaving:
            self._say(Ended(run.id, Outcome(Status.INTERRUPTED, LEFT)))
        else:
            self._files.start(replace(run, job=self._moved(run.job)))

    def _run(self, id_: int, job: Job) -> None:
        def report(value: float, step: int) -> None:
            self._say(Reported(id_, value, step))

        self._jobs[id_] = job, self._local.submit(job, report)

    def _moved(self, job: Job) -> Job:
        """Return a job with the program, and the snapshot of the configuration, where they lie on this node."""
        there, here = str(self._setup.snapshot), str(self._snapshot)
        task = replace(job.task, script=copy_of(job.task.script, self._copies))
        return replace(job, task=task, arguments=tuple(word.replace(there, here) for word in job.arguments))

    def _collect(self) -> None:
        for id_, (job, future) in list(self._jobs.items()):
            if future.done():
                del self._jobs[id_]
                outcome = future.result()
                if outcome.status is Status.KILLED and (loss := self._loss or self._departure()):
                    outcome = replace(loss, seconds=outcome.seconds)
                if self._loss is not None or self._is_leaving:
                    write_outcome(job, outcome)
                self._files.ended(id_, outcome)

    def _departure(self) -> Outcome | None:
        """Return what a trial comes to that was killed with its node, None where the node stays."""
        if not self._is_leaving:
            time.sleep(TAKEN_WITHIN)
        return Outcome(Status.INTERRUPTED, LEFT) if self._is_leaving else None

    def _leave(self, number: int, frame: FrameType | None) -> None:
        if not self._is_leaving:
            self._is_leaving = True  # the loop does the rest
            self._say(Leaving())

    def _say(self, message: Any) -> None:
        self._outgoing.put(message)

    def _send(self) -> None:
        """Send what there is to say, together what has gathered, until there is None."""
        messages: list[Any] = []
        with contextlib.suppress(OSError):  # nobody listens any more
            while None not in messages:
                messages = [self._outgoing.get()]
                while not self._outgoing.empty():
                    messages.append(self._outgoing.get())
                self._channel.send_bytes(packed(*filter(None, messages)))


def main(channel: Connection, content: bytes, threads: int, copies: Mapping[str, str]) -> None:
    """Be a host at the end of this channel, set up by this message; `copies` are of the project's repositories."""
    for name in [name for name in os.environ if name.startswith(LAUNCHERS)]:
        del os.environ[name]
    try:
        setup: HostSetup = unpacked(content)[0]
        Host(channel, setup, threads, copies).serve()
    except UserError as error:
        channel.send_bytes(packed(Refused(platform.node(), str(error))))
    except Exception as error:
        # Another sweeplab than the controller's, say. Without an answer, trial after trial would be lost here.
        channel.send_bytes(packed(Refused(platform.node(), f"{type(error).__name__}: {error}")))
        raise
