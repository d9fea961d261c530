"""A host by itself, at the end of a channel, without an engine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.execute.code import pack_code
from sweeplab.sweep.execute.executor import write_warm_up
from sweeplab.sweep.execute.host import start_host
from sweeplab.sweep.execute.messages import (
    Answer,
    Close,
    Ended,
    Heartbeat,
    HostSetup,
    Leaving,
    Ready,
    Refused,
    Reported,
    RunJob,
    Stop,
    opening,
    packed,
    unpacked,
)
from sweeplab.sweep.job import Job
from sweeplab.sweep.program import importable_main
from sweeplab.sweep.spec import SweepSpec
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import processes_in
from tests.sweeplab.sweep.dask_cluster import ROOT
from tests.sweeplab.sweep.specs import spec_of

pytestmark = pytest.mark.slow
Ask = Callable[..., "Asked"]


class Asked:
    """A host that was started, and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: Connection) -> None:
        self.process, self.channel = process, channel
        self._heard: list[Any] = []

    def tell(self, *messages: Any) -> None:
        self.channel.send_bytes(packed(*messages))

    def next(self, kind: type[Any]) -> Any:
        """Wait for the next message of this kind."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for message in self._heard:
                if isinstance(message, kind):
                    self._heard.remove(message)
                    return message
            if self.channel.poll(1.0):
                self._heard += unpacked(self.channel.recv_bytes())
        raise AssertionError(f"no {kind.__name__} within a minute")


@pytest.fixture
def spec(folder: Path) -> SweepSpec:
    spec = spec_of("x=1,2,3")[0]
    spec.folder.mkdir(parents=True)
    (folder / "snapshot").mkdir()
    return replace(spec, snapshot=folder / "snapshot")


@pytest.fixture
def ask(spec: SweepSpec, folder: Path) -> Iterator[Ask]:
    """Start a host of two slots; what is left of it dies with the test."""
    started: list[Asked] = []

    def run(**more: Any) -> Asked:
        witness = spec.folder / ".cluster"
        witness.touch()
        warm_up = write_warm_up(spec)
        setup = HostSetup(
            main=importable_main(), path=[str(ROOT), *sys.path], folder=folder, environment={}, task=spec.task,
            modules=[], snapshot=spec.snapshot, files={warm_up.name: warm_up.read_bytes()}, cold=False,
            trial_timeout=None, jobs="auto", jobs_per_gpu=1, gpus_per_job=1, witness=witness, lease=30.0,
        )  # fmt: skip
        started.append(Asked(*start_host(threads=2)))
        started[-1].channel.send_bytes(opening(pack_code(Path(app.__file__), []), replace(setup, **more)))
        return started[-1]

    yield run
    for asked in started:
        asked.channel.close()
        asked.process.kill()
        asked.process.wait()


def job(spec: SweepSpec, number: int, *overrides: str, prunes: bool = True) -> Job:
    made = spec.job(number, {"x": number + 1.0}, 0, prunes)
    changed = spec.config_snapshot.trial_config([f"x={number + 1.0}", *overrides])
    made.folder.mkdir(parents=True)
    return replace(made, trial_config=changed, arguments=changed.lines)


def left(of: Job) -> dict[str, Any]:
    """What is left of a job for whoever was not told."""
    until = time.monotonic() + 30
    while not (path := of.folder / RunFile.OUTCOME).exists():
        assert time.monotonic() < until, "nothing was written"
        time.sleep(0.05)
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def gone(folder: Path) -> bool:
    """Wait until no process works in a folder any more."""
    until = time.monotonic() + 10
    while processes_in(folder) and time.monotonic() < until:
        time.sleep(0.05)
    return not processes_in(folder)


def test_a_host_runs_jobs_and_passes_on_what_they_report(ask: Ask, spec: SweepSpec, folder: Path) -> None:
    host = ask()
    assert host.next(Ready).slots == 2
    host.tell(RunJob(0, job(spec, 0, "steps=9")), RunJob(1, job(spec, 1)))
    assert host.next(Ended).id == 1
    for step in (1, 2):
        report = host.next(Reported)
        assert (report.id, report.step) == (0, step)
        host.tell(Answer(0, prune=step == 2))
    assert host.next(Ended).outcome.status is Status.PRUNED
    host.tell(Close())
    assert host.process.wait(20) == 0
    assert gone(folder)


def test_a_host_that_hears_nothing_ends_its_trials_and_says_so_in_their_folders(
    ask: Ask, spec: SweepSpec, folder: Path
) -> None:
    host = ask(lease=3.0)
    host.next(Ready)
    host.tell(RunJob(0, hanging := job(spec, 0, "steps=1", "how=hangs", prunes=False)))
    host.next(Reported)
    assert left(hanging)["status"] == "interrupted"
    assert "silent for 3 s" in left(hanging)["reason"]
    assert gone(folder)


def test_a_heartbeat_that_was_long_on_its_way_does_not_prolong_the_lease(
    ask: Ask, spec: SweepSpec, folder: Path
) -> None:
    host = ask(lease=3.0)
    host.next(Ready)
    host.tell(RunJob(0, hanging := job(spec, 0, "steps=1", "how=hangs", prunes=False)))
    host.next(Reported)
    sent = time.monotonic()
    until = sent + 30.0
    while not (hanging.folder / RunFile.OUTCOME).exists():
        assert time.monotonic() < until, "the lease goes on"
        host.tell(Heartbeat(sent))
        time.sleep(0.3)
    assert "silent for 3 s" in left(hanging)["reason"]


def test_a_host_that_was_busy_for_long_hears_what_came_meanwhile(ask: Ask, spec: SweepSpec) -> None:
    host = ask(lease=3.0)
    host.next(Ready)
    host.tell(Heartbeat(time.monotonic()))
    host.process.send_signal(signal.SIGSTOP)
    for _ in range(5):
        time.sleep(1.0)
        host.tell(Heartbeat(time.monotonic()))
    host.process.send_signal(signal.SIGCONT)
    host.tell(Heartbeat(time.monotonic()), RunJob(0, job(spec, 0)))
    assert host.next(Ended).outcome.status is Status.COMPLETE


def test_the_trials_of_a_host_end_with_the_worker_beside_it(ask: Ask, spec: SweepSpec, folder: Path) -> None:
    host = ask()
    host.next(Ready)
    host.tell(RunJob(0, hanging := job(spec, 0, "steps=1", "how=hangs", prunes=False)))
    host.next(Reported)
    host.channel.close()
    assert left(hanging)["status"] == "killed"
    assert gone(folder)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_a_host_whose_node_goes_hands_its_trials_back(ask: Ask, spec: SweepSpec, folder: Path, name: str) -> None:
    host = ask()
    host.next(Ready)
    host.tell(RunJob(0, job(spec, 0, "steps=1", "how=hangs", prunes=False)))
    host.next(Reported)
    host.process.send_signal(getattr(signal, name))
    host.next(Leaving)
    host.tell(RunJob(1, job(spec, 1)))  # too late: nothing of it starts
    outcomes = {message.id: message.outcome.status for message in (host.next(Ended), host.next(Ended))}
    assert outcomes == {0: Status.INTERRUPTED, 1: Status.INTERRUPTED}
    assert host.process.wait(20) == 0
    assert gone(folder)


def test_a_node_without_the_study_s_folder_is_refused(ask: Ask, folder: Path) -> None:
    refused = ask(witness=folder / "elsewhere" / ".cluster").next(Refused)
    assert str(folder / "elsewhere") in refused.reason


def test_a_node_that_cannot_have_a_folder_of_its_own_is_refused(ask: Ask, folder: Path) -> None:
    (folder / "file").touch()
    refused = ask(node_root=str(folder / "file" / "below")).next(Refused)
    assert refused.reason == f"NotADirectoryError: [Errno 20] Not a directory: '{folder / 'file' / 'below'}'"


def test_a_host_that_cannot_read_what_it_is_told_says_so(ask: Ask, spec: SweepSpec, folder: Path) -> None:
    host = ask()
    host.next(Ready)
    host.channel.send_bytes(packed(Stop(Status.KILLED, "")).replace(b"Stop", b"Halt"))
    assert "Halt" in host.next(Refused).reason
    assert gone(folder)


def test_a_trial_finds_what_was_named_of_the_environment_and_nothing_of_the_launcher(
    ask: Ask, spec: SweepSpec, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.delenv("GREETING", raising=False)
    host = ask(environment={"GREETING": "hello"})
    host.next(Ready)
    asked = job(spec, 0, '+greeting="${oc.env:GREETING}, rank ${oc.env:SLURM_PROCID,none}"')
    host.tell(RunJob(0, replace(asked, task=replace(asked.task, name="greets", layers=0))))
    assert host.next(Ended).outcome.status is Status.COMPLETE
    assert (asked.folder / "greeting.txt").read_text() == "hello, rank none"
    assert "SLURM_PROCID" in os.environ


def test_jobs_per_node_says_how_many_run_at_once(ask: Ask) -> None:
    assert ask(jobs=3).next(Ready).slots == 3
