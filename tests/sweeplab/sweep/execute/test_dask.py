"""Sweeps on a real Dask cluster, whose workers are added, stopped and killed meanwhile."""

import json
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


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    return subprocess.check_output(["git", "-C", str(folder), *identity, *arguments], text=True)


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
    servers = [process.pid for process in trials_of(worker) if "forkserver" in " ".join(process.cmdline())]
    first = [process for process in trials_of(worker) if process.ppid() in servers]
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
    Path("multirun/study/.arriving-x/0").mkdir(parents=True)
    again = sweep_on("x=1,2,3", "sleep=0.3", "steps=6")
    text = output(again)
    assert (again.returncode, states()) == (0, ["COMPLETE"] * 3), text
    assert not list(Path("multirun/study").glob(".arriving*"))
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


PROGRAM = """
import json, subprocess, sys, time
from pathlib import Path
import beside
import hydra
from hydra.core.hydra_config import HydraConfig
from sweeplab.records import record
from sweeplab.records.ending import recorded
from sweeplab.sweep.trial import current

VERSION = "committed"

@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def app(config):
    folder = Path(HydraConfig.get().runtime.output_dir)
    with recorded(record.begin(folder, [], None, current().attempt)):
        time.sleep(1.0)
        asks = [sys.executable, "-c", "import beside; print(beside.VERSION)"]
        other = subprocess.check_output(asks, text=True, cwd="/").strip()
        (folder / "versions.json").write_text(json.dumps([VERSION, beside.VERSION, other, beside.__file__]))
        return float(config.x)

if __name__ == "__main__":
    app()
"""


@pytest.mark.parametrize("executor", ["local", "spawn"])
def test_nodes_run_the_code_of_the_moment_when_the_command_began(
    sweep_on: Sweep, dask: DaskCluster, executor: str
) -> None:
    program, module = Path("app/app.py"), Path("app/beside.py")
    program.write_text(PROGRAM)
    Path(".gitignore").write_text("__pycache__/\n")
    git(Path(), "init", "-q")
    git(Path(), "add", "-A")
    git(Path(), "commit", "-qm", "first")
    program.write_text(PROGRAM.replace("committed", "changed"))
    module.write_text('VERSION = "new"\n')
    Path("beside.py").write_text('VERSION = "of the working directory"\n')
    dask.add()
    sweep = sweep_on("x=range(8)", f"hydra.sweeper.executor={executor}")
    until(lambda: began(0))
    program.write_text("raise ImportError\n")
    module.write_text("raise ImportError\n")
    dask.add()
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 8), text
    assert "no git repository" not in text
    told = [json.loads(Path(f"multirun/study/{number}/versions.json").read_text()) for number in range(8)]
    assert {tuple(versions[:3]) for versions in told} == {("changed", "new", "new")}
    assert len({versions[3] for versions in told}) == 2  # both nodes, each its copy
    for number in range(8):
        facts = json.loads(Path(f"multirun/study/{number}/run.json").read_text())
        assert facts["git"]["commit"] == git(Path(), "rev-parse", "HEAD").strip()
        assert "app/beside.py" in facts["git"]["untracked"]
        assert facts["command"].startswith("python app/app.py ")
        assert "+VERSION" in Path(f"multirun/study/{number}/{facts['git']['patch']}").read_text()


KEEPER = """
import hashlib, os, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from sweeplab.sweep.trial import current

@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def app(config):
    folder = Path(HydraConfig.get().runtime.output_dir)
    kept = folder / "kept.bin"
    if not kept.exists():
        kept.write_bytes(os.urandom(5_000_000))
    with (folder / "attempts.txt").open("a") as file:
        file.write(f"{os.getcwd()} {hashlib.sha1(kept.read_bytes()).hexdigest()}\\n")
    if current().attempt == 0:
        time.sleep(1000)
    return float(config.x)

if __name__ == "__main__":
    app()
"""


def test_without_a_shared_folder_a_trial_goes_on_with_what_it_left_on_another_node(
    sweep_on: Sweep, dask: DaskCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    Path("app/app.py").write_text(KEEPER)
    git(Path(), "init", "-q")
    git(Path(), "add", "-A")
    worker = dask.add("--nanny")
    node = tmp_path_factory.mktemp("node") / "scratch"
    own = (f"+hydra.sweeper.cluster.folder={node}", "+hydra.sweeper.cluster.sync_every=0.5")
    sweep = sweep_on("x=1", *own, "hydra.sweeper.retries=0")
    until(lambda: Path("multirun/study/0/attempts.txt").exists())  # while it runs
    worker.terminate()
    dask.add()
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"]), text
    first, second = Path("multirun/study/0/attempts.txt").read_text().splitlines()
    assert first == second
    assert first.startswith(f"{node} ")
    assert Path("multirun/study/0/kept.bin").stat().st_size == 5_000_000
    assert list(node.iterdir()) == []
    assert "INTERRUPTED: its node left the cluster" in text


def test_what_is_in_no_repository_does_not_go_to_nodes_without_a_shared_folder(start: Start, tmp_path: Path) -> None:
    where = ("+hydra.sweeper.cluster.address=tcp://127.0.0.1:1", "+hydra.sweeper.cluster.folder=/scratch")
    sweep = start("x=1,2", *where)
    text = output(sweep)
    assert sweep.returncode == 1
    program = tmp_path / "app" / "app.py"
    assert f"{program} lies in no git repository; with cluster.folder, nodes need one: git init, then git add" in text


def test_a_sweep_starts_a_cluster_of_its_own_and_ends_it(start: Start) -> None:
    target = "+hydra.sweeper.cluster.start._target_=distributed.LocalCluster"
    size = ("+hydra.sweeper.cluster.start.n_workers=2", "+hydra.sweeper.cluster.start.threads_per_worker=1")
    sweep = start("x=1,2,3", target, *size, "+hydra.sweeper.cluster.start.dashboard_address=':0'")
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
        (
            ["+hydra.sweeper.cluster.address=tcp://head:1", "+hydra.sweeper.cluster.folder=scratch"],
            "hydra.sweeper.cluster.folder=scratch must be an absolute path on each node",
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
