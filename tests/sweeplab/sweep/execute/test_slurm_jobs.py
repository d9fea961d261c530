"""Jobs that end before their worker has connected; programs of a few lines stand in for SLURM's."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeplab.errors import UserError

pytest.importorskip("dask_jobqueue")

from sweeplab.sweep.execute import dask, slurm_jobs
from sweeplab.sweep.execute.slurm import SLURMCluster

pytestmark = pytest.mark.filterwarnings("ignore")  # dask-jobqueue's own
# Each job is a folder, since two may be submitted at once; only those in the file `queue` wait or run.
SUBMIT = 'n=1; until mkdir job-$n 2> /dev/null; do n=$((n + 1)); done; echo "Submitted batch job $n"'
PROGRAMS = {
    "sbatch": f'if [ "$1" = --test-only ]; then exit 0; fi; {SUBMIT}',
    "squeue": 'if [ -n "$SQUEUE_STATES" ]; then exit 1; fi; cat queue',
    "scancel": "exit 1",
}


@pytest.fixture
def queue() -> str:
    return ""


@pytest.fixture
def cluster(folder: Path, queue: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SLURMCluster]:
    """A cluster of two jobs."""
    for name, text in PROGRAMS.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    (folder / "queue").write_text(queue)
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    monkeypatch.setattr(slurm_jobs, "LOOK_EVERY", 2.0)
    monkeypatch.setattr(slurm_jobs, "SETTLE", 0.1)
    cluster = SLURMCluster(logs="slurm")
    cluster.adapt(minimum_jobs=2, maximum_jobs=2)
    yield cluster
    cluster.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def submitted() -> int:
    return len(list(Path().glob("job-*")))


@pytest.mark.parametrize("queue", ["2\n3\n"])
def test_jobs_that_ended_are_replaced_and_those_that_wait_are_not(
    cluster: SLURMCluster, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        until(lambda: submitted() == 3)
    time.sleep(5.0)
    assert (submitted(), cluster.failure) == (3, "")
    (record,) = [record for record in caplog.records if record.name == slurm_jobs.__name__]
    assert "job 1 ended before its worker had connected" in record.getMessage()
    assert "scontrol show job 1" in record.getMessage()


def test_where_no_job_connects_the_sweep_ends_with_a_sentence_that_names_the_log(cluster: SLURMCluster) -> None:
    for number in range(20):
        Path(f"slurm/node-{number}.log").touch()
    engine = dask.Dask(cluster.scheduler_address, None, b"", 20.0, cluster)
    try:
        with pytest.raises(UserError, match=r"^no node can join.* its log is .*/slurm/node-\d+\.log$"):
            until(engine.receive)
    finally:
        engine.close()
    assert submitted() >= 2 * slurm_jobs.MAX_LOOKS - 1
