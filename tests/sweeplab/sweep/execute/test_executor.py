"""What every executor promises: one suite, run by each of them."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeplab.records.record import Status
from sweeplab.sweep.config.settings import ClusterSettings
from sweeplab.sweep.execute.connect import make_cluster_executor
from sweeplab.sweep.execute.executor import Executor, make_executor
from sweeplab.sweep.execute.slots import Slot
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.spec import SweepSpec
from tests.sweeplab.sweep.dask_cluster import DaskCluster
from tests.sweeplab.sweep.ray_cluster import RayCluster
from tests.sweeplab.sweep.specs import spec_of

SPAWN = pytest.param("spawn", marks=pytest.mark.slow)
DASK = pytest.param("dask", marks=pytest.mark.slow)
RAY = pytest.param("ray", marks=pytest.mark.slow)
every = pytest.mark.parametrize("executor", ["inline", "local", SPAWN, DASK, RAY], indirect=True)
concurrent = pytest.mark.parametrize(
    "executor", ["local", SPAWN, DASK, RAY], indirect=True
)  # whose jobs run beside this process


@pytest.fixture
def spec(folder: Path) -> SweepSpec:
    return spec_of("x=1,2,3")[0]


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A cluster of two workers."""
    cluster = DaskCluster(tmp_path_factory.mktemp("dask"))
    cluster.add()
    cluster.add()
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster of a node with two CPUs."""
    pytest.importorskip("ray")
    cluster = RayCluster()
    cluster.add("--num-cpus=2")
    yield cluster
    cluster.close()


@pytest.fixture
def executor(request: pytest.FixtureRequest, spec: SweepSpec, folder: Path) -> Iterator[Executor]:
    """An executor of two slots, or of one where it has no more."""
    made: Executor
    if request.param in ("dask", "ray"):
        spec.folder.mkdir(parents=True)
        address = request.getfixturevalue(f"{request.param}_cluster").address
        cluster = ClusterSettings(engine=request.param, address=address)
        made = make_cluster_executor(replace(spec, snapshot=folder), cluster, [])
        while made.slots < 2:
            made.wait(1.0)
    else:
        settings = replace(spec.settings, executor=request.param)
        made = make_executor(replace(spec, settings=settings, snapshot=folder), [Slot(), Slot()], [])
    yield made
    made.close()
    assert not [process for process in multiprocessing.active_children() if process.name.startswith("trial-")]


def job(spec: SweepSpec, number: int, *overrides: str, prunes: bool = True) -> Job:
    """A run of a trial of the app, with overrides that no other has."""
    one = spec.job(number, {"x": number + 1.0}, 0, prunes)
    changed = spec.config_snapshot.trial_config([f"x={number + 1.0}", *overrides])
    one.folder.mkdir(parents=True)
    return replace(one, trial_config=changed, arguments=changed.lines)


def ended(executor: Executor, *futures: "Future[Outcome]") -> list[Outcome]:
    until = time.monotonic() + 60
    while not all(future.done() for future in futures):
        assert time.monotonic() < until, "waited in vain"
        executor.wait(1.0)
    executor.wait(0.0)
    return [future.result() for future in futures]


def ignored(value: float, step: int) -> bool:
    return False


@every
def test_a_job_comes_to_what_its_task_returns(executor: Executor, spec: SweepSpec) -> None:
    (outcome,) = ended(executor, executor.submit(job(spec, 0), ignored))
    assert (outcome.status, outcome.reason) == (Status.COMPLETE, "")
    assert outcome.values == pytest.approx((1.0 + spec.base.opt.lr,))
    assert outcome.seconds > 0


@every
def test_what_a_job_reports_arrives_in_order_and_the_answer_prunes_it(executor: Executor, spec: SweepSpec) -> None:
    steps: list[int] = []

    def report(value: float, step: int) -> bool:
        steps.append(step)
        return step == 3

    (outcome,) = ended(executor, executor.submit(job(spec, 0, "steps=9"), report))
    assert (outcome.status, steps) == (Status.PRUNED, [1, 2, 3])


@every
def test_an_error_of_the_task_is_the_jobs_own(executor: Executor, spec: SweepSpec) -> None:
    (outcome,) = ended(executor, executor.submit(job(spec, 0, "how=raises"), ignored))
    assert (outcome.status, outcome.reason) == (Status.FAILED, "RuntimeError: no good")
    (outcome,) = ended(executor, executor.submit(job(spec, 1), ignored))
    assert outcome.status is Status.COMPLETE


@every
def test_a_slot_is_free_again_when_its_job_has_ended(executor: Executor, spec: SweepSpec) -> None:
    assert executor.free() == executor.slots
    futures = [executor.submit(job(spec, number, "steps=1", "sleep=0.1"), ignored) for number in range(executor.slots)]
    assert executor.free() == 0
    assert [outcome.status for outcome in ended(executor, *futures)] == [Status.COMPLETE] * executor.slots
    assert executor.free() == executor.slots


@every
def test_a_job_that_was_prepared_is_submitted_next_or_never(executor: Executor, spec: SweepSpec) -> None:
    executor.prepare(first := job(spec, 0))
    (outcome,) = ended(executor, executor.submit(first, ignored))
    assert outcome.status is Status.COMPLETE
    executor.prepare(never := job(spec, 1))
    (outcome,) = ended(executor, executor.submit(job(spec, 2), ignored))
    assert outcome.values == pytest.approx((3.0 + spec.base.opt.lr,))
    assert not list(never.folder.iterdir())
    assert not [process for process in multiprocessing.active_children() if process.name == "trial-1"]


@every
def test_a_job_finds_its_environment(executor: Executor, spec: SweepSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GREETING", raising=False)
    asked = replace(job(spec, 0, "+greeting=${oc.env:GREETING}"), environment={"GREETING": "hello"})
    task = replace(asked.task, name="greets", layers=0)
    ended(executor, executor.submit(replace(asked, task=task), ignored))
    assert (asked.folder / "greeting.txt").read_text() == "hello"


@concurrent
def test_a_job_that_is_killed_says_by_what(executor: Executor, spec: SweepSpec) -> None:
    (outcome,) = ended(executor, executor.submit(job(spec, 0, "how=sigkill"), ignored))
    assert outcome.status is Status.KILLED
    assert outcome.reason.startswith("signal SIGKILL")


@concurrent
def test_jobs_that_are_stopped_end_as_it_was_said(executor: Executor, spec: SweepSpec) -> None:
    begun: list[float] = []

    def report(value: float, step: int) -> bool:
        begun.append(value)
        return False

    running = [executor.submit(job(spec, number, "steps=1", "how=hangs"), report) for number in range(2)]
    while len(begun) < 2:
        executor.wait(1.0)
    executor.stop(Status.INTERRUPTED, "enough")
    outcomes = ended(executor, *running)
    assert {(outcome.status, outcome.reason) for outcome in outcomes} == {(Status.INTERRUPTED, "enough")}


@concurrent
def test_what_runs_when_it_is_closed_was_killed(executor: Executor, spec: SweepSpec) -> None:
    running: list[Any] = [executor.submit(job(spec, number, "how=hangs"), ignored) for number in range(2)]
    executor.close()
    assert [future.result().status for future in running] == [Status.KILLED] * 2
    assert executor.free() == executor.slots
