"""Sweeps on a real SLURM of two nodes, whose jobs are cancelled, signalled, and run out of time meanwhile."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.sweeplab.sweep.conftest import Start, output, states, trials
from tests.sweeplab.sweep.slurm_cluster import SlurmCluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("slurmctld") is None, reason="SLURM is not installed"),
    pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed"),
]
LOG = ("hydra/hydra_logging=default", "hydra/job_logging=default")
Sweep = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    cluster = SlurmCluster(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.close()


@pytest.fixture
def sweep_on(start: Start, slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    """Start a sweep of the app on both nodes, a job of two trials each."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")  # as if this were a job itself
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")

    started: list[subprocess.Popen[str]] = []

    def run(*overrides: str, more: str = "", job: str = ", cpus: 2, time: '00:10:00'") -> "subprocess.Popen[str]":
        keys = "partition: main, memory: 1GB, logs: multirun/study/slurm"
        target = "_target_: sweeplab.sweep.execute.slurm.SLURMCluster"
        cluster = f"+hydra.sweeper.cluster={{nodes: 2, start: {{{target}, {keys}{job}}}{more}}}"
        started.append(start(cluster, "hydra.sweeper.n_jobs=auto", *LOG, *overrides))
        return started[-1]

    yield run
    for sweep in started:
        sweep.kill()
    slurm.run("scancel", "--me")
    until(lambda: not slurm.run("squeue", "-h"))


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 150
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def began(*numbers: int) -> bool:
    return all(Path(f"multirun/study/{number}/output.log").exists() for number in numbers)


def reasons() -> list[str]:
    return [attempt["reason"] for trial in trials() for attempt in trial.user_attrs.get("attempts", [])]


def test_the_trials_of_a_node_that_is_taken_away_go_on_and_another_job_takes_its_place(
    sweep_on: Sweep, slurm: SlurmCluster
) -> None:
    sweep = sweep_on("x=range(6)", "sleep=0.5", "steps=16", "hydra.sweeper.retries=0")
    until(lambda: began(0, 1, 2, 3))
    first, second = slurm.jobs()
    slurm.run("scancel", first)
    until(lambda: len(slurm.jobs()) == 2 and first not in slurm.jobs())
    slurm.run("scancel", "--full", "--signal=USR2", second)
    until(lambda: len(slurm.jobs()) == 2 and second not in slurm.jobs())
    text = output(sweep)
    assert (sweep.returncode, states()) == (0, ["COMPLETE"] * 6), text
    assert set(reasons()) == {"its node left the cluster"}
    assert len(reasons()) >= 2
    assert len(list(Path("multirun/study/slurm").glob("node-*.log"))) == 4
    until(lambda: not slurm.run("squeue", "-h"))


def test_jobs_that_run_out_of_time_are_replaced_and_those_of_a_killed_controller_end(
    sweep_on: Sweep, slurm: SlurmCluster
) -> None:
    words = ("x=range(500)", "sleep=0.5", "steps=6", "hydra.sweeper.retries=0")
    sweep = sweep_on(*words)
    until(lambda: began(0))
    sweep.kill()
    output(sweep)
    until(lambda: not slurm.jobs())
    again = sweep_on(*words, job=", cpus: 2, time: '00:01:00', leave_before: 30")  # SLURM looks twice a minute
    until(lambda: "its node left the cluster" in reasons())
    ended = states().count("COMPLETE")
    until(lambda: states().count("COMPLETE") > ended)
    again.send_signal(signal.SIGINT)
    text = output(again)
    assert again.returncode == 130, text
    assert set(reasons()) <= {"its controller was killed", "its node left the cluster"}, text
    assert "FAIL" not in states()
    until(lambda: not slurm.run("squeue", "-h"))


def test_a_controller_is_a_job_that_submits_itself_again_when_its_time_is_nearly_over(
    sweep_on: Sweep, slurm: SlurmCluster
) -> None:
    controller = "submit_controller: true, controller: {partition: main, cpus: 1, memory: 500MB}"
    sweep = sweep_on("x=range(8)", "sleep=0.5", "steps=6", job=", cpus: 1, time: '00:10:00'", more=f", {controller}")
    text = output(sweep)
    assert sweep.returncode == 0, text
    assert "you may log out" in text
    until(lambda: began(2))
    (job,) = slurm.jobs("study")
    slurm.run("scancel", "--batch", "--signal=USR1", job)  # what SLURM sends in time
    until(lambda: not slurm.run("squeue", "-h"))
    first, second = sorted(Path("multirun/study/slurm").glob("controller-*.log"))
    assert "resumes the sweep." in first.read_text()
    assert "8 complete" in second.read_text()
    assert states() == ["COMPLETE"] * 8
    assert set(reasons()) == {"the sweep was interrupted"}


def test_a_job_that_ends_before_its_worker_has_connected_is_replaced(sweep_on: Sweep, slurm: SlurmCluster) -> None:
    prologue = 'job_script_prologue: ["mkdir once && exit 1"]'  # fails for one of them
    sweep = sweep_on("x=range(500)", "sleep=0.1", "steps=1", job=f", cpus: 1, {prologue}")
    until(lambda: began(0))
    first = slurm.jobs()
    until(lambda: len(slurm.jobs()) == 2)
    assert len(first) == 1
    sweep.send_signal(signal.SIGINT)
    text = output(sweep)
    assert "A node could not join, and is asked for again: job " in text
    assert len(list(Path("multirun/study/slurm").glob("node-*.log"))) == 3


def test_mistakes_are_told_before_anything_runs(sweep_on: Sweep) -> None:
    for more in ("", ", submit_controller: true, controller: {partition: main}"):
        sweep = sweep_on("x=1,2", job=", qos: high, partition: nowhere", more=more)
        text = output(sweep)
        assert (sweep.returncode, "Traceback" in text) == (1, False), text
        assert "SLURMCluster says: " in text
        assert "you may log out" not in text
