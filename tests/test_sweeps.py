"""Sweeps of train.py: real trainings in real processes, as a user starts them."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from sweeplab.tracking.service import LATE
from tests import wandb_log
from tests.conftest import ROOT, Command, equal_weights, small

pytestmark = pytest.mark.slow


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))


def wandb_run(folder: Path) -> dict[str, Any]:
    (run,) = wandb_log.offline_runs(folder)
    return wandb_log.summary(run)


def record(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return facts


@pytest.mark.slow
def test_a_sweep_prunes_resumes_and_agrees_with_w_and_b(command: Command, tmp_path: Path) -> None:
    search = ("-m", *small("sweep=asha", "model=linear", "logger=wandb", "study=demo", "trainer.max_epochs=4"))
    command("train.py", *search, "hydra.sweeper.n_trials=4", "tags=[first]")
    command("train.py", *search, "hydra.sweeper.n_trials=8", "tags=[second]")
    study = tmp_path / "multirun" / "demo"
    trials = rows(study)
    assert len(trials) == 8
    assert {trial["status"] for trial in trials} == {"complete", "pruned"}
    for trial in trials:
        folder = study / trial["number"]
        facts = record(folder)
        run = wandb_run(folder / facts["wandb"]["directory"])
        assert facts["status"] == trial["status"]
        assert facts["trial"]["params"]["optimizer.lr"] == float(trial["optimizer.lr"])
        assert facts["objective"]["value"] == run["summary"]["objective"]
        assert run["exit_code"] == 0
        tag = "first" if int(trial["number"]) < 4 else "second"  # other tags are no other study
        assert facts["tags"] == [tag]
        assert tag in run["tags"]
        assert ("pruned" in run["tags"]) == (trial["status"] == "pruned")
        if trial["status"] == "complete":
            assert float(trial["val/acc"]) == facts["objective"]["value"]


@pytest.mark.slow
def test_the_command_of_a_trial_repeats_it(command: Command, tmp_path: Path) -> None:
    command("train.py", "-m", *small("sweep=random", "model=linear", "study=demo", "hydra.sweeper.n_trials=2"))
    trial = record(tmp_path / "multirun" / "demo" / "1")
    command("train.py", *shlex.split(trial["command"])[2:], "hydra.run.dir=again")
    assert record(tmp_path / "again")["objective"]["value"] == trial["objective"]["value"]


@pytest.mark.slow
def test_a_trial_trains_on_several_devices_with_workers_of_its_own(command: Command, tmp_path: Path) -> None:
    devices = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.num_workers=1")
    command("train.py", "-m", *small("seed=1,2", "model=linear", "study=demo", *devices, "hydra.sweeper.n_jobs=1"))
    study = tmp_path / "multirun" / "demo"
    assert [row["status"] for row in rows(study)] == ["complete", "complete"]
    assert sorted(path.name for path in study.iterdir() if path.is_dir()) == ["0", "1"]


@pytest.mark.slow
def test_all_devices_of_a_trial_that_was_killed_go_on(command: Command, tmp_path: Path) -> None:
    devices = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=3")
    words = ("seed=1,2", "model=linear", *devices, "hydra.sweeper.n_jobs=1", "callbacks.last.every_n_steps=1")
    for study, step in (("whole", -1), ("cut", 5)):
        cut = f"+callbacks.cut={{_target_: tests.foreign.observers.Cut, step: {step}}}"
        command("train.py", "-m", *small(*words, f"study={study}", cut), PYTHONPATH=str(ROOT))
    for number in ("0", "1"):
        whole, cut_one = (tmp_path / "multirun" / study / number for study in ("whole", "cut"))
        assert len(record(cut_one)["attempts"]) == 1
        assert "goes on from" in (cut_one / "output.log").read_text()
        last = "checkpoints/last.ckpt"
        assert equal_weights(whole / last, cut_one / last)
        assert record(whole)["objective"] == record(cut_one)["objective"]


@pytest.mark.slow
def test_several_objectives_give_a_front(command: Command, tmp_path: Path) -> None:
    command("train.py", "-m", *small("sweep=pareto", "model=mlp", "study=demo", "hydra.sweeper.n_trials=4"))
    trials = rows(tmp_path / "multirun" / "demo")
    assert all(float(trial["model/parameters"]) > 0 for trial in trials)
    assert "solutions:" in (tmp_path / "multirun" / "demo" / "optimization_results.yaml").read_text()


def preloaded() -> list[str]:
    """Return what a sweep imports before its first trial: what its configuration can build, and what W&B needs."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", ["logger=[csv,wandb,tensorboard]"], return_hydra_config=True)
    rest = OmegaConf.to_yaml(OmegaConf.masked_copy(config, [key for key in map(str, config) if key != "hydra"]))
    return [*config.hydra.sweeper.preload, *sorted(set(re.findall(r"_target_: (.+)", rest))), *LATE]


@pytest.mark.slow
def test_nothing_that_is_preloaded_touches_cuda_or_starts_threads(tmp_path: Path) -> None:
    """No GPU is at hand where the tests run: torch's doors to CUDA are replaced by an alarm."""
    program = """
import os, pkgutil, sys, threading
import torch
calls = []
def alarm(*arguments):
    calls.append(arguments)
    return 0
torch.cuda._lazy_init = torch.cuda.is_available = torch.cuda.device_count = alarm
import sweeplab.sweep.execute.preload
assert "lab.train" in sys.modules and "wandb.sdk.launch.inputs.internal" in sys.modules
for name in os.environ["SWEEPLAB_MODULES"].split():
    pkgutil.resolve_name(name)
assert not calls, calls
assert threading.active_count() == 1, threading.enumerate()
assert not torch.cuda.is_initialized()
"""
    environment = {**os.environ, "SWEEPLAB_MODULES": " ".join(preloaded())}
    environment.pop("SWEEPLAB_WARM_UP", None)  # of a sweep that a test ran in this process before
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
