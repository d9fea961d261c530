"""The executor over hosts that come and go. Its engine here is a stand-in, without processes: see `test_dask.py`."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.records import provenance
from sweeplab.records.record import Status
from sweeplab.sweep.execute import cluster as module
from sweeplab.sweep.execute.cluster import ClusterExecutor
from sweeplab.sweep.execute.messages import (
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
    packed,
)
from sweeplab.sweep.execute.outcome import write_outcome
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.spec import SweepSpec
from tests.sweeplab.sweep.specs import spec_of


class Engine:
    """What hosts would say is put in by the test; what they are told can be looked at."""

    def __init__(self) -> None:
        self.wake, self._waker = Pipe(duplex=False)
        self._arrived: list[tuple[str, bytes | None]] = []
        self.told: list[tuple[str, Any]] = []
        self.is_closed = False
        self.avoided: list[str] = []
        self.last_heartbeat = time.monotonic()

    def arrives(self, host: str, *messages: Any) -> None:
        self._arrived += [(host, packed(*messages) if messages else None)]
        self._waker.send_bytes(b"")

    def receive(self) -> list[tuple[str, bytes | None]]:
        while self.wake.poll():
            self.wake.recv_bytes()
        arrived, self._arrived = self._arrived, []
        return arrived

    def send(self, host: str, message: Any) -> None:
        self.told.append((host, message))
        self.last_heartbeat = time.monotonic()
        if isinstance(message, Close):
            self.arrives(host)

    def sent_at(self, host: str) -> float:
        return self.last_heartbeat

    def avoid(self, host: str) -> None:
        self.avoided.append(host)

    def drain(self) -> None:
        """Place no hosts: the test does."""

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def cluster(engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterExecutor:
    monkeypatch.setattr(module, "MARGIN", 0.1)
    return ClusterExecutor(engine, 0.2, None, folder / ".cluster")


@pytest.fixture
def job(folder: Path) -> Callable[[int], Job]:
    spec: SweepSpec = spec_of("x=1,2,3")[0]

    def make(number: int) -> Job:
        made = spec.job(number, {"x": 1.0}, 0, prunes=True)
        made.folder.mkdir(parents=True, exist_ok=True)
        return made

    return make


def ignored(value: float, step: int) -> bool:
    return False


def ready(slots: int, node: str = "n1", **versions: str) -> Ready:
    return Ready(slots, node, {**provenance.versions(), **versions})


def test_slots_come_and_go_with_their_hosts(cluster: ClusterExecutor, engine: Engine) -> None:
    assert (cluster.slots, cluster.free()) == (0, 0)
    engine.arrives("a", ready(2))
    engine.arrives("b", ready(3))
    cluster.wait(1.0)
    assert (cluster.slots, cluster.free()) == (5, 5)
    engine.arrives("a")
    engine.arrives("b", Leaving())
    cluster.wait(0.1)
    assert (cluster.slots, cluster.free()) == (0, 0)


def test_jobs_are_spread_over_the_hosts(cluster: ClusterExecutor, engine: Engine, job: Callable[[int], Job]) -> None:
    engine.arrives("a", ready(1))
    engine.arrives("b", ready(2))
    cluster.wait(1.0)
    for number in range(3):
        cluster.submit(job(number), ignored)
    assert sorted(host for host, message in engine.told if isinstance(message, RunJob)) == ["a", "b", "b"]
    assert cluster.free() == 0


def test_n_jobs_is_the_most_that_run_at_once(engine: Engine, folder: Path, job: Callable[[int], Job]) -> None:
    cluster = ClusterExecutor(engine, 1.0, 3, folder / ".cluster")
    engine.arrives("a", ready(8))
    cluster.wait(1.0)
    assert (cluster.slots, cluster.free()) == (3, 3)
    cluster.submit(job(0), ignored)
    assert cluster.free() == 2


def test_a_report_is_answered_on_the_host_it_came_from(
    cluster: ClusterExecutor, engine: Engine, job: Callable[[int], Job]
) -> None:
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    cluster.submit(job(0), lambda value, step: value > 1)
    engine.arrives("a", Reported(0, 0.5, 1), Reported(0, 1.5, 2))
    cluster.wait(0.1)
    assert [message for _, message in engine.told if isinstance(message, Answer)] == [Answer(0, False), Answer(0, True)]


def test_a_job_of_a_host_that_is_gone_is_lost_when_its_lease_is_over(
    cluster: ClusterExecutor, engine: Engine, job: Callable[[int], Job]
) -> None:
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    future = cluster.submit(job(0), ignored)
    engine.arrives("a")
    cluster.wait(0.05)
    assert not future.done()  # something of it may still run
    while not future.done():
        cluster.wait(1.0)
    assert future.result().status is Status.KILLED


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Status.INTERRUPTED, "its node left the cluster"),
        Outcome(Status.KILLED, "signal SIGTERM"),  # as the trial itself says, where its batch system ends all of a job
    ],
)
def test_what_was_written_down_before_a_host_was_gone_is_believed_at_once(
    engine: Engine, folder: Path, job: Callable[[int], Job], outcome: Outcome
) -> None:
    cluster = ClusterExecutor(engine, 1000.0, None, folder / ".cluster")
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    future = cluster.submit(lost := job(0), ignored)
    write_outcome(lost, outcome)
    engine.arrives("a")
    cluster.wait(1.0)
    assert (future.result().status, future.result().reason) == (Status.INTERRUPTED, "its node left the cluster")


def test_a_trial_whose_node_said_that_it_leaves_costs_no_retry(
    cluster: ClusterExecutor, engine: Engine, job: Callable[[int], Job]
) -> None:
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    future = cluster.submit(job(0), ignored)
    engine.arrives("a", Leaving())
    engine.arrives("a")  # before its files have come, or an outcome
    while not future.done():
        cluster.wait(1.0)
    assert (future.result().status, future.result().reason) == (Status.INTERRUPTED, "its node left the cluster")


def test_what_has_not_come_from_nodes_of_their_own_when_a_sweep_is_closed_runs_again(
    engine: Engine, folder: Path, job: Callable[[int], Job], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = ClusterExecutor(engine, 1000.0, None, folder / ".cluster", is_shared=False)
    engine.arrives("a", ready(2))
    cluster.wait(1.0)
    futures = [cluster.submit(job(number), ignored) for number in range(2)]
    complete = Outcome(Status.COMPLETE, values=(1.0,))
    engine.arrives("a", Changed(0, {}, (), "/there", "/", complete), Ended(1, complete))
    cluster.close()
    assert [future.result().status for future in futures] == [Status.KILLED] * 2
    assert futures[0].result().reason == "its files did not come: the sweep ended before"
    assert [record.getMessage() for record in caplog.records] == [
        "What has not come from the nodes of these trials stays there, in cluster.folder: #0, #1."
    ]


def test_each_stop_reaches_all_hosts_and_says_what_its_jobs_come_to(
    cluster: ClusterExecutor, engine: Engine, job: Callable[[int], Job]
) -> None:
    engine.arrives("a", ready(2))
    cluster.wait(1.0)
    first = cluster.submit(job(0), ignored)
    cluster.stop(Status.INTERRUPTED, "another controller has it")
    second = cluster.submit(job(1), ignored)
    cluster.stop(Status.INTERRUPTED, "enough")
    cluster.stop(Status.INTERRUPTED, "enough")
    stops = [message.reason for _, message in engine.told if isinstance(message, Stop)]
    assert stops == ["another controller has it", "enough"]
    engine.arrives("a")
    while not (first.done() and second.done()):
        cluster.wait(1.0)
    assert (first.result().reason, second.result().reason) == ("another controller has it", "enough")


def test_after_a_stop_that_is_over_a_lost_job_was_killed(
    cluster: ClusterExecutor, engine: Engine, job: Callable[[int], Job]
) -> None:
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    cluster.stop(Status.INTERRUPTED, "another controller has it")
    future = cluster.submit(job(0), ignored)
    engine.arrives("a")
    while not future.done():
        cluster.wait(1.0)
    assert future.result().status is Status.KILLED


@pytest.mark.parametrize(("silent", "over"), [(10.0, False), (51.0, True)])
def test_the_lease_is_counted_from_the_last_heartbeat(
    engine: Engine, folder: Path, job: Callable[[int], Job], monkeypatch: pytest.MonkeyPatch, silent: float, over: bool
) -> None:
    monkeypatch.setattr(module, "MARGIN", 0.0)
    cluster = ClusterExecutor(engine, 50.0, None, folder / ".cluster")
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    future = cluster.submit(job(0), ignored)
    engine.last_heartbeat = time.monotonic() - silent
    engine.arrives("a")
    cluster.wait(0.1)
    assert future.done() is over


def test_a_late_outcome_of_an_earlier_attempt_is_not_this_one_s(
    engine: Engine, folder: Path, job: Callable[[int], Job]
) -> None:
    cluster = ClusterExecutor(engine, 1000.0, None, folder / ".cluster")
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    future = cluster.submit(second := replace(job(0), attempt=1), ignored)
    write_outcome(replace(second, attempt=0), Outcome(Status.INTERRUPTED, "its node left the cluster"))
    engine.arrives("a")
    cluster.wait(0.1)
    assert not future.done()
    write_outcome(second, Outcome(Status.KILLED, "the worker of its node died"))
    write_outcome(replace(second, attempt=0), Outcome(Status.INTERRUPTED, "its node left the cluster"))  # stays away
    cluster.wait(0.1)
    assert future.result().status is Status.KILLED


def test_a_host_that_comes_while_it_is_closed_is_sent_away(cluster: ClusterExecutor, engine: Engine) -> None:
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    engine.arrives("b", ready(1))
    cluster.close()
    assert [host for host, message in engine.told if isinstance(message, Close)] == ["a", "b"]


def test_closing_kills_what_runs_and_lets_go_of_the_engine(
    cluster: ClusterExecutor, engine: Engine, folder: Path, job: Callable[[int], Job]
) -> None:
    (folder / ".cluster").touch()
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    future = cluster.submit(job(0), ignored)
    cluster.close()
    assert future.result().status is Status.KILLED
    assert engine.is_closed
    assert not (folder / ".cluster").exists()


def test_a_node_on_which_nothing_can_run_ends_the_sweep(cluster: ClusterExecutor, engine: Engine) -> None:
    engine.arrives("a", Refused("n7", "there is no folder"))
    with pytest.raises(UserError, match="no trial can run on n7: there is no folder"):
        cluster.wait(1.0)


def test_where_others_work_a_node_on_which_nothing_can_run_is_done_without(
    cluster: ClusterExecutor, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    engine.arrives("b", Refused("n7", "there is no folder"))
    engine.arrives("b")
    cluster.wait(0.1)
    assert (cluster.slots, engine.avoided) == (1, ["b"])
    assert "No trial can run on n7: there is no folder" in caplog.text


@pytest.mark.parametrize("others", [False, True])
def test_hosts_that_end_as_they_start_end_the_sweep_where_there_is_no_other(
    cluster: ClusterExecutor, engine: Engine, caplog: pytest.LogCaptureFixture, others: bool
) -> None:
    if others:
        engine.arrives("good", ready(1))
        cluster.wait(1.0)
    for number in range(3):
        engine.arrives(f"bad {number}")
    if others:
        cluster.wait(0.1)
        assert "ends as it starts on bad 2" in caplog.text
    else:
        with pytest.raises(UserError, match="ends as it starts"):
            cluster.wait(1.0)


def test_a_node_with_other_versions_is_told_of(
    cluster: ClusterExecutor, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.arrives("a", ready(1, optuna="4.0.0"))
    cluster.wait(1.0)
    assert f"n1 has other versions than this machine: optuna 4.0.0 (here {provenance.versions()['optuna']})" in (
        caplog.text
    )


def test_that_no_node_is_there_is_said_once(
    engine: Engine, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORRY_AFTER", 0.0)
    caplog.set_level(logging.INFO)
    cluster = ClusterExecutor(engine, 1.0, None, folder / ".cluster")
    for _ in range(3):
        cluster.wait(0.05)
    assert caplog.text.count("Waiting for a node") == 1


def test_an_outcome_comes_with_the_job_s_own_end(
    cluster: ClusterExecutor, engine: Engine, job: Callable[[int], Job]
) -> None:
    engine.arrives("a", ready(1))
    cluster.wait(1.0)
    future = cluster.submit(job(0), ignored)
    engine.arrives("a", Ended(0, Outcome(Status.COMPLETE, values=(1.0,), seconds=2.0)))
    cluster.wait(1.0)
    assert future.result() == Outcome(Status.COMPLETE, values=(1.0,), seconds=2.0)
    assert cluster.free() == 1


def test_what_a_node_does_not_import_from_its_copy_is_told(
    engine: Engine, cluster: ClusterExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    engine.arrives("h1", replace(ready(1), not_copied=["theirs"]))
    cluster.wait(1.0)
    assert "n1 imports theirs from the project's folder" in caplog.text
