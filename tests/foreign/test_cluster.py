"""A foreign module on the nodes of a cluster, one of which is lost."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeplab.records.record import read
from tests.conftest import Command, equal_weights
from tests.foreign.conftest import CHOICES, CONF, SMALL
from tests.sweeplab.sweep.dask_cluster import DaskCluster
from tests.sweeplab.sweep.ray_cluster import RayCluster
from tests.wandb_log import offline_runs, summary

pytestmark = pytest.mark.slow


@pytest.fixture
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """A cluster of two nodes, as overrides."""
    cluster = DaskCluster(tmp_path_factory.mktemp("dask"))
    cluster.add()
    cluster.add()
    yield "cluster=dask", f"cluster.address={cluster.file}"
    cluster.close()


@pytest.fixture
def ray() -> Iterator[tuple[str, ...]]:
    """A cluster of two nodes, as overrides."""
    pytest.importorskip("ray")
    cluster = RayCluster()
    cluster.add()
    cluster.add()
    yield "cluster=ray", f"cluster.address={cluster.address}"
    cluster.close()


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_training_whose_node_is_lost_goes_on_elsewhere_to_the_same_weights(
    command: Command, tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    cluster: tuple[str, ...] = request.getfixturevalue(engine)

    def sweep(study: str, *words: str) -> str:
        where = ("--config-dir", str(CONF), "-m", f"study={study}", "hydra.sweeper.n_jobs=2", "logger=wandb")
        steps = ("model.lr=0.01,0.1", "callbacks.last.every_n_steps=2")
        path = str(CONF.parents[2])
        done = command("train.py", *where, *SMALL, *CHOICES["tables"], *steps, *words, PYTHONPATH=path)
        return done.stdout

    sweep("whole")
    lost = "+callbacks.lost={_target_: tests.foreign.observers.LosesNode, step: 15}"
    said = sweep("lost", *cluster, lost)
    assert "KILLED: the worker of its node died" in said, said
    studies = tmp_path / "multirun"
    with (studies / "lost" / "trials.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["complete", "complete"]
    for number in ("0", "1"):
        whole, cut = studies / "whole" / number, studies / "lost" / number
        for checkpoint in ("last.ckpt", "best.ckpt"):
            assert equal_weights(whole / "checkpoints" / checkpoint, cut / "checkpoints" / checkpoint)
        assert read(whole)["objective"] == read(cut)["objective"]
        assert (read(whole)["git"] or {}).get("commit") == (read(cut)["git"] or {}).get("commit")  # also of a copy
        assert "cluster" not in (cut / "config.yaml").read_text()
    record = read(studies / "lost" / "0")
    assert (
        f"goes on from {studies / 'lost' / '0' / 'checkpoints' / 'last.ckpt'}"
        in (studies / "lost" / "0" / "output.log").read_text()
    )
    assert [attempt["error"] for attempt in record["attempts"]] == ["the worker of its node died"]
    # Of two folders of one second, W&B ends the name of the later one with -1.
    parts = [summary(run) for run in offline_runs(studies / "lost") if record["wandb"]["id"] in run.name]
    parts = [summary(run) for run in offline_runs(studies / "lost") if record["wandb"]["id"] in run.name]
    assert [part["exit_code"] for part in parts] == [None, 1, 0]  # killed, closed by the sweep, and gone on to its end
