"""Sweeps on a real Dask cluster, whose workers are added, stopped and killed meanwhile."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.sweeplab.sweep.conftest import Start, output, processes_in, states, trials
from tests.sweeplab.sweep.dask_cluster import DaskCluster

pytestmark = pytest.mark.slow
LEASE = "+hydra.sweeper.cluster.lease=5"


@pytest.fixture
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    cluster = DaskCluster(tmp_path_factory.mktemp("dask"))
    yield cluster
    cluster.close()


@pytest.fixture
def sweep_on(start: Start, dask: DaskCluster) -> Callable[..., "subprocess.Popen[str]"]:
    """Start a sweep of the app on the cluster."""

    def run(*overrides: str) -> "subprocess.Popen[str]":
        log = ("hydra/hydra_logging=default", "hydra/job_logging=default")
        return start(f"+hydra.sweeper.cluster.address={dask.address}", *log, *overrides)

    return run


Sweep = Callable[..., "subprocess.Popen[str]"]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def trials_of(worker: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """The processes that a worker's hosts have forked, and the hosts themselves."""
    return psutil.Process(worker.pid).children(recursive=True)


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def began(*numbers: int) -> bool:
    return all(Path(f"multirun/study/{number}/output.log").exists() for number in numbers)


def test_a_sweep_waits_for_nodes_and_takes_those_that_join(sweep_on: Sweep, dask: DaskCluster) -> None:
    sweep = sweep_on("x=range(100)", "sleep=0.5", "steps=2")
    until(lambda: Path("multirun/study/sweep.log").exists())
    dask.add()
    until(lambda: began(0))
    dask.add("--nanny")
    until(lambda: len([process for process in processes_in(Path.cwd()) if "execute.host" in process]) == 2)
    until(lambda: states().count("RUNNING") == 2)
    sweep.send_signal(signal.SIGINT)
    text = output(sweep)
    assert sweep.returncode == 130, text
    assert text.count("has joined: 1 slot") == 2
    assert set(states()) <= {"COMPLETE", "WAITING"}  # what was suggested ahead waits
    assert not processes_in(Path.cwd())


def test_a_sweep_that_is_over_waits_for_no_node(sweep_on: Sweep, dask: DaskCluster) -> None:
    worker = dask.add()
    assert sweep_on("x=1,2").wait(120) == 0
    again = sweep_on("x=1,2")
    assert "2 of 2 trials finished" in output(again)
    worker.kill()
    other = sweep_on("x=1,2,3", "hydra.sweeper.timeout=3", "study=another")  # and none longer than it may take
    output(other)
    assert other.returncode == 1


def test_the_trial_of_a_killed_worker_runs_again(sweep_on: Sweep, dask: DaskCluster) -> None:
    worker = dask.add()
    sweep = sweep_on("x=1,2", "sleep=0.5", "steps=6")
    until(lambda: began(0))
    worker.kill()
    dask.add()
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 2), text
    assert "KILLED: the worker of its node died" in text


def test_a_silent_worker_is_noticed_and_nothing_of_its_trial_runs_when_it_runs_again(
    sweep_on: Sweep, dask: DaskCluster
) -> None:
    worker = dask.add()
    sweep = sweep_on("x=1", "sleep=0.5", "steps=60", LEASE)
    until(lambda: began(0))
    first = [process for process in trials_of(worker) if "execute.host" not in " ".join(process.cmdline())]
    assert first
    worker.send_signal(signal.SIGSTOP)
    dask.add()
    until(lambda: Path("multirun/study/sweep.log").read_text().count("goes on later"))
    assert not [process for process in first if runs(process)]
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"]), text


def test_a_node_that_is_taken_away_costs_no_retry(sweep_on: Sweep, dask: DaskCluster) -> None:
    worker = dask.add("--nanny")
    sweep = sweep_on("x=1", "sleep=0.5", "steps=10", "hydra.sweeper.retries=0")
    until(lambda: began(0))
    worker.terminate()
    dask.add()
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"]), text
    assert "INTERRUPTED: its node left the cluster" in text


def test_what_a_killed_controller_leaves_ends_and_the_same_command_goes_on(sweep_on: Sweep, dask: DaskCluster) -> None:
    for _ in range(2):
        dask.add()
    sweep = sweep_on("x=1,2,3", "sleep=0.3", "steps=6")
    until(lambda: began(0, 1))
    sweep.kill()
    sweep.wait()
    until(lambda: not processes_in(Path.cwd()))
    again = sweep_on("x=1,2,3", "sleep=0.3", "steps=6")
    text = output(again)
    assert (again.returncode, states()) == (0, ["COMPLETE"] * 3), text
    attempts = [trial.user_attrs["attempts"][0]["reason"] for trial in trials()[:2]]
    assert attempts == ["its controller was killed"] * 2


def test_ctrl_c_ends_trials_as_on_one_machine_and_leaves_the_cluster_to_others(
    sweep_on: Sweep, dask: DaskCluster
) -> None:
    worker = dask.add()
    sweep = sweep_on("x=1,2", "sleep=0.5", "steps=100")
    until(lambda: began(0))
    sweep.send_signal(signal.SIGINT)
    time.sleep(0.5)
    sweep.send_signal(signal.SIGINT)
    text = output(sweep)
    assert sweep.returncode == 130, text
    assert "INTERRUPTED: the sweep was interrupted" in text
    until(lambda: not processes_in(Path.cwd()))
    assert worker.poll() is None
    again = sweep_on("x=1,2", "sleep=0", "steps=1", "study=another")
    assert (again.wait(120), states("another")) == (0, ["COMPLETE"] * 2)


def test_a_cluster_without_its_scheduler_ends_the_sweep_with_a_sentence(sweep_on: Sweep, dask: DaskCluster) -> None:
    dask.add()
    sweep = sweep_on("x=1,2", "sleep=0.5", "steps=100")
    until(lambda: began(0))
    dask.scheduler.kill()
    text = output(sweep)
    assert sweep.returncode == 1
    assert f"the Dask scheduler at {dask.address} cannot be used" in text
    until(lambda: not processes_in(Path.cwd()))


def test_a_host_that_dies_by_itself_is_replaced(sweep_on: Sweep, dask: DaskCluster) -> None:
    worker = dask.add()
    sweep = sweep_on("x=1", "sleep=0.5", "steps=8")
    until(lambda: began(0))
    (host,) = [process for process in psutil.Process(worker.pid).children() if "host" in " ".join(process.cmdline())]
    os.kill(host.pid, signal.SIGKILL)
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"]), text


def test_a_sweep_starts_a_cluster_of_its_own_and_ends_it(start: Start) -> None:
    target = "+hydra.sweeper.cluster.start._target_=distributed.LocalCluster"
    size = ("+hydra.sweeper.cluster.start.n_workers=2", "+hydra.sweeper.cluster.start.threads_per_worker=1")
    sweep = start("x=1,2,3", target, *size, "+hydra.sweeper.cluster.start.dashboard_address=null")
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 3), text
    assert not processes_in(Path.cwd())


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+hydra.sweeper.cluster.adress=tcp://head:1"], "has no key 'adress'; did you mean 'address'?"),
        (["+hydra.sweeper.cluster.lease=5"], "needs either the address of its scheduler"),
        (["hydra.sweeper.cluster=head"], "must be a mapping"),
        (["+hydra.sweeper.cluster.address=tcp://head:1", "hydra.sweeper.executor=inline"], "executor=inline runs"),
        (
            ["+hydra.sweeper.cluster.address=tcp://head:1", LEASE.replace("5", "0")],
            "must be more than 0 and at most 100 seconds",
        ),
        (["+hydra.sweeper.cluster.start.n_workers=2"], "has no _target_"),
        (["+hydra.sweeper.cluster.start._target_=distributed.NoCluster"], "distributed.NoCluster does not exist"),
        (["+hydra.sweeper.cluster.address=there.json"], "neither an address nor the file of a Dask scheduler"),
    ],
)
def test_mistakes_are_told_in_a_sentence(start: Start, overrides: list[str], words: str) -> None:
    sweep = start("x=1,2", *overrides)
    text = output(sweep)
    assert sweep.returncode == 1
    assert words in text
    assert "Traceback" not in text
