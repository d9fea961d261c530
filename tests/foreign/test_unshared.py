"""A foreign module on the nodes of Ray, which have disks of their own and see nothing of the folder of the command."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch

from sweeplab.records.config import is_own
from sweeplab.records.record import read
from tests.conftest import ROOT, equal_weights
from tests.foreign.conftest import CHOICES, CONF, SMALL
from tests.sweeplab.sweep.ray_cluster import HIDING, RayCluster, kill, processes_of
from tests.wandb_log import offline_runs, summary

pytestmark = pytest.mark.slow


@pytest.fixture
def ray(tmp_path: Path) -> Iterator[RayCluster]:
    pytest.importorskip("ray")
    if shutil.which("unshare") is None or subprocess.run([*HIDING, tmp_path, "true"], capture_output=True).returncode:
        pytest.skip("nothing can be hidden from processes here")
    cluster = RayCluster(hidden=tmp_path)
    yield cluster
    cluster.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def has_open(node: psutil.Process, path: str) -> bool:
    """Say whether a process of a node writes into a file whose path ends so."""
    for process in processes_of(node):
        try:
            if any(file.path.endswith(path) for file in process.open_files()):
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return False


def step_of(checkpoint: Path) -> int:
    """Return how far a checkpoint is; -1 where there is none."""
    return int(torch.load(checkpoint, weights_only=True)["global_step"]) if checkpoint.exists() else -1


def test_a_training_goes_on_from_what_came_back_when_it_was_interrupted_or_before_its_node_was_lost(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ray: RayCluster
) -> None:
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}

    def start(*words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, *words], cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def sweep(study: str, *words: str) -> "subprocess.Popen[str]":
        where = ("--config-dir", str(CONF), "-m", f"study={study}", "hydra.sweeper.n_jobs=2", "logger=wandb")
        steps = ("model.lr=0.01,0.1", "callbacks.last.every_n_steps=2")
        return start(str(ROOT / "train.py"), *where, *SMALL, *CHOICES["tables"], *steps, *words)

    def done(process: "subprocess.Popen[str]", code: int = 0) -> str:
        text, _ = process.communicate(timeout=400)
        assert process.returncode == code, text
        return text

    done(sweep("whole"))
    scratch, studies = tmp_path_factory.mktemp("node") / "scratch", tmp_path / "multirun"
    where = ("cluster=ray", f"cluster.address={ray.address}", f"cluster.folder={scratch}", "cluster.sync_every=0.5")
    waits = "+callbacks.waits={_target_: tests.foreign.observers.Waits, step: 15}"
    for _ in range(2):
        ray.add()
    cut = studies / "cut" / "0"

    first = sweep("cut", *where, waits)
    until(lambda: first.poll() is not None or step_of(cut / "checkpoints" / "last.ckpt") == 14)
    for _ in range(2):
        first.send_signal(signal.SIGINT)
        time.sleep(1.0)
    assert "INTERRUPTED: the sweep was interrupted" in done(first, 130)
    assert read(cut)["status"] == "interrupted"

    second = sweep("cut", *where, waits)
    until(lambda: second.poll() is not None or step_of(cut / "checkpoints" / "last.ckpt") == 18)
    for node in ray.nodes:
        if has_open(node, "cut/0/output.log"):
            kill(node)
    text = done(second)
    assert "; what has not come from there is lost" in text
    assert "KILLED: its node was lost" in text

    with (studies / "cut" / "trials.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["complete", "complete"]
    for number in ("0", "1"):
        whole, there = studies / "whole" / number, studies / "cut" / number
        for checkpoint in ("last.ckpt", "best.ckpt"):
            assert equal_weights(whole / "checkpoints" / checkpoint, there / "checkpoints" / checkpoint)
        assert read(whole)["objective"] == read(there)["objective"]
        assert {path.name for path in whole.iterdir()} <= {path.name for path in there.iterdir()}
        for name in ("config.yaml", "run.json", ".hydra/hydra.yaml", ".hydra/config.yaml"):
            assert str(scratch) not in (there / name).read_text().replace(f"cluster.folder={scratch}", "")
        assert read(there)["directory"] == str(tmp_path)
        assert is_own(there)
    assert (cut / "output.log").read_text().count("goes on from") == 2
    assert [attempt["status"] for attempt in read(cut)["attempts"]] == ["interrupted", "killed"]
    logs = [log for log in offline_runs(studies / "cut" / "wandb") if read(cut)["wandb"]["id"] in log.name]
    codes = [summary(log)["exit_code"] for log in logs]
    # The sweep has closed the logs of the two that were cut; that of the lost node may have been lost with it.
    assert [code for code in codes if code is not None] == [1, 1, 0]
    assert codes.count(None) in (1, 2)

    done(start(str(ROOT / "eval.py"), f"run={cut}"))
    assert "0.01" in done(start(str(ROOT / "compare.py"), str(studies / "cut")))
    best = cut / "checkpoints" / "best.ckpt"
    assert "TableRegression" in done(start("-c", f"import sweeplab; print(type(sweeplab.load_model({str(best)!r})))"))
    assert [path.name for path in scratch.glob("*.*")] == [f"{read(cut)['wandb']['id']}.1"]  # of the lost node
