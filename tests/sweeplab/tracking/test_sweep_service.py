"""Sweeps that W&B records: what it really wrote, or what a server on loopback received."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import wandb_log
from tests.conftest import ROOT, Command, small
from tests.sweeplab.tracking.endings import GOOD, HANGS, KILLED, KILLED_ONCE, PRUNED, RAISES
from tests.wandb_server import WandbServer

pytestmark = pytest.mark.slow

ENDS = (
    "+callbacks.ends._target_=tests.sweeplab.tracking.endings.Ends",
    "+callbacks.ends.seed=${seed}",
    "+callbacks.ends.mark=mark",
)
LINEAR = ("model=linear", "data.split_seed=1", "optimizer.lr=0.01", "trainer.max_epochs=3", "logger=wandb")
STUDY = ("study=demo", "hydra.sweeper.n_jobs=2")
# What W&B, Optuna and run.json say of each ending.
ENDINGS = {
    "complete": ("finished", 0, "COMPLETE", []),
    "failed": ("failed", 1, "FAIL", []),
    "killed": ("failed", 1, "FAIL", []),
    "timeout": ("failed", 1, "FAIL", []),
    "pruned": ("finished", 0, "PRUNED", ["pruned"]),
    "interrupted": ("failed", 1, "FAIL", ["interrupted"]),
}


def record(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return facts


def trials(study: Path) -> dict[int, dict[str, Any]]:
    """The records of a study's trials, by number."""
    return {int(folder.name): record(folder) for folder in study.iterdir() if (folder / "run.json").exists()}


def runs(study: Path) -> dict[str, list[dict[str, Any]]]:
    """What W&B holds of each run, by its id; several parts where a run was taken up again."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in wandb_log.offline_runs(study):
        (log,) = path.glob("run-*.wandb")
        found.setdefault(log.stem.removeprefix("run-"), []).append(wandb_log.summary(path))
    return found


def start(tmp_path: Path, *overrides: str) -> subprocess.Popen[bytes]:
    """Start a sweep as a program of its own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "-m", *small(*overrides)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_until(sweep: subprocess.Popen[bytes], come: Callable[[], bool]) -> None:
    while not come():
        assert sweep.poll() is None, "the sweep ended before it came"
        time.sleep(0.05)


def is_in_second_epoch(folder: Path) -> bool:
    return (folder / "checkpoints" / "last.ckpt").exists()


@pytest.mark.slow
def test_every_trial_is_one_run_that_ends_as_the_trial_did(command: Command, tmp_path: Path) -> None:
    pruner = (
        "hydra/sweeper/pruner=threshold",
        "hydra.sweeper.pruner.lower=0.2",
        "hydra.sweeper.pruner.n_warmup_steps=2",
    )
    seeds = ",".join(map(str, (GOOD, RAISES, KILLED, HANGS, PRUNED, KILLED_ONCE)))
    sweep = (*LINEAR, *ENDS, *STUDY, *pruner, f"seed={seeds}", "hydra.sweeper.trial_timeout=15")
    done = command("train.py", "-m", *small(*sweep), check=False, PYTHONPATH=str(ROOT))
    assert "failed in" not in done.stdout + done.stderr  # as a listener's exception is told
    assert "To upload them: python -m sweeplab.tracking.sync multirun/demo" in done.stdout
    study = tmp_path / "multirun" / "demo"
    statuses = {number: facts["status"] for number, facts in trials(study).items()}
    assert sorted(statuses.values()) == sorted(["complete", "failed", "killed", "timeout", "pruned", "complete"])
    recorded = runs(study)
    assert len(recorded) == len(statuses) + 1  # and that of the sweep
    for number, facts in trials(study).items():
        *earlier, run = recorded[facts["wandb"]["id"]]
        assert [(part["state"], part["summary"]["status"]) for part in earlier] == [
            ("failed", attempt["status"]) for attempt in facts.get("attempts", ())
        ]
        state, exit_code, optuna, tags = ENDINGS[facts["status"]]
        tags = [*(["resumed"] if earlier else []), *tags]
        assert (run["state"], run["exit_code"], run["tags"] or []) == (state, exit_code, tags), facts["status"]
        assert (run["summary"]["status"], run["summary"]["optuna/state"]) == (facts["status"], optuna)
        assert run["config"]["sweep"]["trial"] == number
        assert run["config"]["sweep"]["seed"] == facts["trial"]["params"]["seed"] == run["config"]["seed"]
        assert run["summary"]["epoch"] >= 1
        if "objective" in facts:
            assert run["summary"]["objective"] == facts["objective"]["value"]
    (sweep_run,) = (parts[0] for id, parts in recorded.items() if id.endswith("-sweep"))
    told = sweep_run["summary"]
    assert (told["trials/complete"], told["trials/pruned"], told["trials/failed"]) == (2, 1, 1)
    assert (told["trials/killed"], told["trials/timeout"]) == (1, 1)
    best = max((f for f in trials(study).values() if f["status"] == "complete"), key=lambda f: f["objective"]["value"])
    assert told["objective"] == best["objective"]["value"]


@pytest.mark.slow
def test_an_interrupted_sweep_says_so_and_goes_on_in_second_parts_of_its_runs(tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "demo"
    overrides = (*LINEAR, *ENDS, *STUDY, f"seed={HANGS},{GOOD}")
    first = start(tmp_path, *overrides)
    wait_until(first, lambda: is_in_second_epoch(study / "0") and (study / "1" / "run.json").exists())
    wait_until(first, lambda: record(study / "1")["status"] == "complete")
    first.send_signal(signal.SIGTERM)
    first.wait()
    (cut,) = runs(study)[record(study / "0")["wandb"]["id"]]
    assert (cut["state"], cut["tags"], cut["summary"]["optuna/state"]) == ("failed", ["interrupted"], "FAIL")
    second = start(tmp_path, *overrides)
    assert second.wait() == 0
    assert {number: facts["status"] for number, facts in trials(study).items()} == {0: "complete", 1: "complete"}
    assert [attempt["status"] for attempt in record(study / "0")["attempts"]] == ["interrupted"]
    recorded = runs(study)
    _, run = recorded[record(study / "0")["wandb"]["id"]]
    assert (run["state"], run["tags"], run["summary"]["optuna/state"]) == ("finished", ["resumed"], "COMPLETE")
    assert run["summary"]["objective"] == record(study / "0")["objective"]["value"]
    assert len(recorded) == 3
    parts = next(parts for id, parts in recorded.items() if id.endswith("-sweep"))
    assert [part["state"] for part in parts] == ["failed", "finished"]
    assert parts[1]["summary"]["trials/complete"] == 2


@pytest.mark.slow
def test_runs_of_a_controller_that_was_killed_end_when_the_sweep_goes_on(tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "demo"
    overrides = (*LINEAR, *ENDS, *STUDY, f"seed={HANGS}")
    first = start(tmp_path, *overrides)
    wait_until(first, lambda: is_in_second_epoch(study / "0"))
    wait_until(first, lambda: "val/acc" in runs(study)[record(study / "0")["wandb"]["id"]][0]["summary"])
    first.kill()
    first.wait()
    second = start(tmp_path, *overrides)
    assert second.wait() == 0
    torn, ending, run = runs(study)[record(study / "0")["wandb"]["id"]]
    assert torn["summary"]["val/acc"] > 0  # what it had written is kept
    assert (ending["state"], ending["tags"]) == ("failed", ["interrupted"])
    assert ending["summary"]["status"] == record(study / "0")["attempts"][0]["status"] == "interrupted"
    assert (run["state"], run["summary"]["status"]) == ("finished", record(study / "0")["status"])


@pytest.mark.slow
def test_a_service_that_is_killed_costs_no_trial(tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "demo"
    sweep = start(tmp_path, *LINEAR, "study=demo", "seed=range(4)", "hydra.sweeper.n_jobs=1")
    wait_until(sweep, lambda: is_in_second_epoch(study / "1"))
    (service,) = (child for child in psutil.Process(sweep.pid).children(recursive=True) if "wandb-core" in child.name())
    service.kill()
    assert sweep.wait() == 0
    assert {facts["status"] for facts in trials(study).values()} == {"complete"}
    recorded = runs(study)
    assert len(recorded) == 5
    for facts in trials(study).values():
        last = recorded[facts["wandb"]["id"]][-1]
        assert (last["state"], last["summary"]["objective"]) == ("finished", facts["objective"]["value"])
    parts = next(parts for id, parts in recorded.items() if id.endswith("-sweep"))
    assert parts[-1]["summary"]["trials/complete"] == 4


@pytest.mark.slow
def test_an_online_sweep_is_whole_on_the_server(command: Command, tmp_path: Path, wandb_server: WandbServer) -> None:
    wandb_server.latency = 0.05
    command("train.py", "-m", *small(*LINEAR, *STUDY, "seed=range(3)", "hydra.sweeper.repeats=1"))
    study = tmp_path / "multirun" / "demo"
    assert wandb_server.unknown == []
    assert len(wandb_server.runs) == 4
    for facts in trials(study).values():
        assert (facts["wandb"]["mode"], facts["wandb"]["kept"]) == ("online", "server")
        there = wandb_server.run(facts["wandb"]["id"])
        assert (there.state, there.group, there.job_type) == ("finished", "demo", "trial")
        assert there.summary["objective"] == facts["objective"]["value"]
        assert there.config["sweep"]["seed"] == facts["seed"]
    (summary,) = (run for run in wandb_server.runs.values() if run.job_type == "sweep")
    assert (summary.state, summary.group) == ("finished", "demo")
    assert [row["trials"] for row in summary.history if "complete" in row] == [1, 2, 3]
    (artifact,) = (found for found in summary.artifacts if found.type == "model")
    assert set(artifact.files) == {"best.ckpt", "config.yaml", "run.json"}
    assert {"latest", "best"} < set(artifact.aliases)
    assert len(wandb_server.views) == 1


@pytest.mark.slow
def test_a_server_that_goes_half_way_costs_no_trial_and_sync_brings_the_rest(
    tmp_path: Path, wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "3")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    study = tmp_path / "multirun" / "demo"
    sweep = start(tmp_path, *LINEAR, "study=demo", "seed=range(4)", "hydra.sweeper.n_jobs=1")
    wait_until(sweep, lambda: is_in_second_epoch(study / "1"))
    wandb_server.gone()
    assert sweep.wait() == 0
    assert {facts["status"] for facts in trials(study).values()} == {"complete"}
    assert [facts["wandb"]["kept"] for _, facts in sorted(trials(study).items())] == ["server", "disk", "disk", "disk"]
    assert record(study / "3")["wandb"]["mode"] == "offline"
    wandb_server.back()
    done = subprocess.run(
        [sys.executable, "-m", "sweeplab.tracking.sync", str(study)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for facts in trials(study).values():
        there = wandb_server.run(facts["wandb"]["id"])
        assert (there.state, there.summary["objective"]) == ("finished", facts["objective"]["value"])


@pytest.mark.slow
def test_trials_in_this_process_are_runs_of_their_own_too(command: Command, tmp_path: Path) -> None:
    inline = (*LINEAR, "study=demo", "seed=0,1", "hydra.sweeper.executor=inline")
    done = command("train.py", "-m", *small(*inline))
    assert "failed in" not in done.stdout + done.stderr
    study = tmp_path / "multirun" / "demo"
    recorded = runs(study)
    assert sorted(len(parts) for parts in recorded.values()) == [1, 1, 1]
    (sweep_run,) = (parts[0] for id, parts in recorded.items() if id.endswith("-sweep"))
    assert (sweep_run["state"], sweep_run["summary"]["trials/complete"]) == ("finished", 2)


def test_a_project_that_w_and_b_does_not_take_is_refused_before_the_first_trial(
    command: Command, tmp_path: Path
) -> None:
    done = command("train.py", "-m", *small(*LINEAR, *STUDY, "seed=0,1", "logger.wandb.project='a/b'"), check=False)
    assert done.returncode == 1
    assert "Error: W&B: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "multirun" / "demo" / "0").exists()
