"""Trials on the nodes of a cluster: an executor whose slots are those of the hosts that an engine has placed there."""

import contextlib
import logging
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from sweeplab.errors import UserError
from sweeplab.records import provenance
from sweeplab.records.record import Status
from sweeplab.sweep.execute.local import GRACE
from sweeplab.sweep.execute.messages import (
    LEFT,
    Answer,
    Changed,
    Close,
    Ended,
    Leaving,
    Ready,
    Refused,
    Reported,
    RunJob,
    Stop,
    unpacked,
)
from sweeplab.sweep.execute.outcome import left_outcome
from sweeplab.sweep.execute.study_files import StudyFiles, without_files
from sweeplab.sweep.execute.transfer import Piece, Read
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.trial import Report

log = logging.getLogger(__name__)

MARGIN = 5.0  # seconds after the end of a lease, within which a host has killed its trials
MAX_STARTS = 3  # of hosts on a node, before it is given up
WORRY_AFTER = 10.0  # seconds without any host, after which the user is told what the sweep waits for


def place_of(host: str) -> str:
    """Return where a host is placed: its name is that, and a word of its own."""
    return host.rpartition(" ")[0]


class Engine(Protocol):
    """What places hosts on the nodes of a cluster, carries messages, and notices when a host is gone."""

    wake: Connection  # can be read when `receive` has something

    def receive(self) -> list[tuple[str, bytes | None]]:
        """Return what hosts have sent, by their names and in order; None says that one is gone.

        Raises:
            UserError: the cluster is gone.
        """

    def send(self, host: str, message: Any) -> None:
        """Send a message to a host; one that is gone misses it."""

    def drain(self) -> None:
        """Place no further hosts."""

    def avoid(self, host: str) -> None:
        """Place no further host where this one is, or was."""

    def sent_at(self, host: str) -> float:
        """Return when a heartbeat was last on its way to a host, by `time.monotonic`."""

    def close(self) -> None:
        """End all hosts that are left, and what was started for this sweep."""


@dataclass
class _Node:
    """A host, as its controller sees it."""

    name: str
    slots: int
    jobs: int = 0
    is_leaving: bool = False

    @property
    def free(self) -> int:
        """How many further jobs it takes."""
        return 0 if self.is_leaving else self.slots - self.jobs


@dataclass
class _Running:
    id: int
    job: Job
    report: Report
    host: str
    future: "Future[Outcome]"
    started: float
    lost_at: float = float("inf")  # when it is sure that nothing of it runs any more
    stopped: Stop | None = None

    @property
    def loss(self) -> Outcome:
        """What it comes to if its host is gone, and has written down nothing else."""
        if self.stopped is not None:
            return Outcome(self.stopped.status, self.stopped.reason)
        return Outcome(Status.KILLED, "its node was lost")


class ClusterExecutor:
    """Runs jobs in the slots of hosts, which come and go; at `most` so many at once.

    `witness` is a file by which hosts know the study's folder, if that `is_shared`; it is removed at the end.
    """

    imports_program = True

    def __init__(self, engine: Engine, lease: float, most: int | None, witness: Path, is_shared: bool = True) -> None:
        self._engine, self._lease, self._most, self._witness = engine, lease, most, witness
        self._files, self._is_shared = StudyFiles(), is_shared
        self._nodes: dict[str, _Node] = {}
        self._running: dict[int, _Running] = {}
        self._ids = count()
        self._waits_since: float | None = time.monotonic()
        self._stop: Stop | None = None
        self._is_closing = False
        self._has_had_nodes = False
        self._refused: set[str] = set()
        self._failures: Counter[str] = Counter()  # starts of hosts that failed, by where

    @property
    def slots(self) -> int:
        """How many jobs can run at once now."""
        slots = sum(node.slots for node in self._nodes.values() if not node.is_leaving)
        return slots if self._most is None else min(slots, self._most)

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def node_of(self, future: "Future[Outcome]") -> str:
        """Return the name of the node that a job was given to."""
        host = next((running.host for running in self._running.values() if running.future is future), "")
        return self._nodes[host].name if host in self._nodes else ""

    def free(self) -> int:
        """Return how many jobs could start now."""
        free = sum(node.free for node in self._nodes.values())
        return free if self._most is None else max(0, min(free, self._most - len(self._running)))

    def prepare(self, job: Job) -> None:
        """Do nothing: a host has a slot for each job that it gets."""

    def submit(self, job: Job, report: Report) -> "Future[Outcome]":
        """Run a job on the host with the most free slots."""
        host = max(self._nodes, key=lambda name: self._nodes[name].free)
        self._nodes[host].jobs += 1
        running = _Running(next(self._ids), job, report, host, Future(), time.monotonic())
        self._running[running.id] = running
        files = {} if self._is_shared else self._files.of(job)
        self._engine.send(host, RunJob(running.id, job, files))
        return running.future

    def wait(self, seconds: float, also: Sequence[Connection] = ()) -> None:
        """Serve reports until a job has ended, a host has come, one of `also` can be read, or the time is over."""
        until = time.monotonic() + seconds
        while not self._receive():
            self._notice_waiting()
            now = time.monotonic()
            timers = [until, *(running.lost_at for running in self._running.values())]
            ready = wait([self._engine.wake, *also], max(0.0, min(timers) - now))
            if time.monotonic() >= until or any(source in ready for source in also):
                self._receive()
                return

    def stop(self, status: Status, reason: str) -> None:
        """Ask all jobs to end; what does not is killed after a while."""
        stop = Stop(status, reason)
        for running in self._running.values():
            running.stopped = running.stopped or stop
        if stop != self._stop:
            self._stop = stop
            for name in self._nodes:
                self._engine.send(name, stop)

    def close(self) -> None:
        """Kill what still runs, and leave the cluster as it was."""
        if self._is_closing:
            return
        self._is_closing = True
        self._engine.drain()
        self._files.is_closing = True
        if self._running and not self._is_shared:
            trials = ", ".join(f"#{running.job.number}" for running in self._running.values())
            log.warning("What has not come from the nodes of these trials stays there, in cluster.folder: %s.", trials)
        for name in self._nodes:
            self._engine.send(name, Close())
        until = time.monotonic() + GRACE
        with contextlib.suppress(UserError):  # the engine is gone
            while self._nodes and time.monotonic() < until:
                wait([self._engine.wake], until - time.monotonic())
                self._receive()
        for name in list(self._nodes):
            self._is_gone(name)
        if self._running and not self._give_up_lost():
            log.warning("Waiting for nodes that do not answer, until what ran there is surely over.")
        while self._running:
            self._give_up_lost()
            time.sleep(0.05)
        self._engine.close()
        self._witness.unlink(missing_ok=True)

    def _receive(self) -> bool:
        """Take in what hosts have sent; say whether a job has ended, or a slot has come."""
        changed = False
        for name, content in self._engine.receive():
            if content is None:
                self._is_gone(name)
                changed = True
            else:
                for message in unpacked(content):
                    changed |= self._take(name, message)
        return self._give_up_lost() or changed

    def _give_up_lost(self) -> bool:
        """End the jobs of hosts that are gone as soon as nothing of them can run; say whether there were any."""
        over = False
        for running in [one for one in self._running.values() if one.lost_at < float("inf")]:
            if (outcome := left_outcome(running.job)) or running.lost_at <= time.monotonic():
                self._end(running, _as_preempted(outcome) if outcome else running.loss)
                over = True
        return over

    def _take(self, name: str, message: Any) -> bool:
        """Take in one message; say whether a job has ended, or a slot has come."""
        if isinstance(message, Ready):
            self._welcome(name, message)
            return True
        if isinstance(message, Refused) and not self._is_closing:
            self._is_refused(name, message)
        if isinstance(message, Leaving) and name in self._nodes:
            self._nodes[name].is_leaving = True
            self._engine.avoid(name)
            log.info("Node %s is about to leave.", self._nodes[name].name)
        if isinstance(message, Changed | Read | Piece) and (running := self._running.get(message.id)):
            self._files.take(running.job, message, partial(self._engine.send, name), partial(self._end, running))
            return running.future.done()
        if isinstance(message, Reported | Ended) and (running := self._running.get(message.id)):
            if isinstance(message, Ended):
                outcome = message.outcome
                self._end(running, outcome if self._is_shared else without_files(running.job, outcome))
                return True
            prune = running.report(message.value, message.step)
            if running.job.prunes:
                self._engine.send(name, Answer(running.id, prune))
        return False

    def _welcome(self, name: str, ready: Ready) -> None:
        self._nodes[name] = _Node(ready.node, ready.slots)
        self._has_had_nodes = True
        self._waits_since = None
        log.info("Node %s has joined: %s.", ready.node, f"{ready.slots} slot" + "s" * (ready.slots != 1))
        if different := _differences(ready.versions):
            log.warning("Node %s has other versions than this machine: %s.", ready.node, different)
        if ready.not_copied:
            log.warning(
                "Node %s imports %s from the project's folder, not from its copy of the code; don't edit it meanwhile.",
                ready.node,
                ", ".join(ready.not_copied),
            )
        if self._is_closing:
            self._engine.send(name, Close())

    def _is_refused(self, name: str, refused: Refused) -> None:
        """Do without a node on which trials cannot run; where there has been no other, that ends the sweep."""
        self._refused.add(name)
        self._engine.avoid(name)
        if not self._has_had_nodes:
            raise UserError(f"no trial can run on {refused.node}: {refused.reason}")
        log.warning("No trial can run on %s: %s", refused.node, refused.reason)

    def _is_gone(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is None:
            is_news = not self._is_closing and name not in self._refused
            self._failures[place_of(name)] += is_news
            if is_news and self._failures[place_of(name)] >= MAX_STARTS:
                self._engine.avoid(name)
                if not self._has_had_nodes:
                    raise UserError("the process that runs trials ends as it starts; its worker's log says why.")
                log.warning("The process that runs trials ends as it starts on %s, which is not used.", name)
            return
        lost = [running for running in self._running.values() if running.host == name]
        until = max(time.monotonic(), self._engine.sent_at(name) + self._lease + MARGIN)
        for running in lost:
            running.lost_at = until
            if node.is_leaving and running.stopped is None:
                running.stopped = Stop(Status.INTERRUPTED, LEFT)
        if lost and not self._is_closing:
            trials = ", ".join(f"#{running.job.number}" for running in lost)
            later = "" if self._is_shared else "; what has not come from there is lost"
            log.warning("Node %s is gone; trials that ran there: %s%s.", node.name, trials, later)
        elif not self._is_closing:
            log.info("Node %s has left.", node.name)
        if not self._nodes:
            self._waits_since = time.monotonic()

    def _end(self, running: _Running, outcome: Outcome) -> None:
        outcome = replace(outcome, seconds=outcome.seconds or round(time.monotonic() - running.started, 3))
        if self._running.pop(running.id, None) is None:  # the end of another has let its files come
            return
        self._files.drop(running.id)
        if running.host in self._nodes:
            self._nodes[running.host].jobs -= 1
        running.future.set_result(outcome)

    def _notice_waiting(self) -> None:
        """Say once what the sweep waits for, where no host is there for long."""
        if self._waits_since is not None and time.monotonic() - self._waits_since > WORRY_AFTER:
            self._waits_since = None
            log.info("Waiting for a node of the cluster.")


def _as_preempted(outcome: Outcome) -> Outcome:
    """Return what a trial came to whose host is gone: if SIGTERM ended it, its node was taken away with all in it."""
    if outcome.status is Status.KILLED and outcome.reason.startswith(f"signal {signal.SIGTERM.name}"):
        return replace(outcome, status=Status.INTERRUPTED, reason=LEFT)
    return outcome


def _differences(versions: Mapping[str, str]) -> str:
    """Return which packages a node has in other versions than this machine."""
    here = provenance.versions()
    pairs = [(name, versions.get(name, "none"), here.get(name, "none")) for name in sorted({*versions, *here})]
    return ", ".join(f"{name} {there} (here {own})" for name, there, own in pairs if there != own)
