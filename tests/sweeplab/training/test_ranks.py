"""A process is one of several only where its trainer is."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.utilities import rank_zero_only

from sweeplab.records.record import Status, read
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training.ranks import NUMBERED, TOGETHER, is_distributed, rank
from tests.conftest import Command, Compose, small
from tests.training import evaluate, resume, run

OF_SLURM = {"SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_NODEID": "0"}
OF_TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "x"}
DDP = {"devices": 2, "accelerator": "cpu"}


@pytest.fixture(autouse=True)
def unnumbered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NUMBERED, TOGETHER):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rank_zero_only, "rank", 0)


@pytest.mark.parametrize(
    ("trainer", "several"),
    [
        ({}, False),
        ({"devices": 1, "num_nodes": 1, "strategy": "auto"}, False),
        ({"devices": "auto", "accelerator": "cpu"}, False),
        ({"devices": "0,", "accelerator": "gpu"}, False),
        ({"devices": [1], "strategy": "single_device"}, False),
        ({"strategy": {"_target_": "lightning.pytorch.strategies.SingleDeviceStrategy"}}, False),
        (DDP, True),
        ({"devices": "2", "accelerator": "cpu"}, True),
        ({"devices": [0, 1], "accelerator": "gpu"}, True),
        ({"devices": 1, "num_nodes": 2}, True),
        ({"devices": 1, "strategy": "ddp"}, True),
        ({"devices": 1, "strategy": {"_target_": "lightning.pytorch.strategies.DDPStrategy"}}, True),
    ],
)
def test_the_configuration_tells_whether_a_trainer_is_one_of_several(trainer: dict[str, Any], several: bool) -> None:
    assert is_distributed(trainer) is several


@pytest.mark.parametrize("name", NUMBERED)
def test_a_number_is_believed_where_the_trainer_is_distributed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert (rank(DDP), rank({"devices": 1})) == (1, 0)
    monkeypatch.setenv(TOGETHER, "1")  # set by the process that started this one
    assert rank({"devices": 1}) == 1


def test_the_process_of_a_trial_is_the_first_of_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")
    enter(Trial("study", 0, {}))
    try:
        assert rank(DDP) == 0
    finally:
        enter(None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [OF_SLURM, OF_TORCHRUN, {"JSM_NAMESPACE_RANK": "3"}], ids=["slurm", "torchrun", "jsm"]
)
def test_a_training_alone_is_recorded_resumed_and_evaluated_whatever_its_number(
    configured: Compose, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Lightning has it when it is imported there
    config = configured("model=linear", "trainer.max_epochs=1")
    best = run(config)
    folder = Path(config.folder)
    facts = read(folder)
    assert (facts["status"], facts["objective"]["value"]) == (Status.COMPLETE, best)
    assert {"config.yaml", "metrics.csv", "checkpoints", "test"} <= {path.name for path in folder.iterdir()}
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    resume(folder, ["trainer.max_epochs=2"])
    with (folder / "metrics.csv").open(newline="") as file:
        assert len([row for row in csv.DictReader(file) if row["val/acc"]]) == 2
    assert "test/acc" in json.loads(evaluate(folder).read_text())


@pytest.mark.slow
def test_the_trials_of_a_numbered_controller_are_recorded(command: Command, tmp_path: Path) -> None:
    done = command("train.py", "-m", *small("model=linear", "study=s", "seed=0,1"), "logger=csv", **OF_SLURM)
    assert "s: 2 complete" in done.stdout + done.stderr
    assert [read(tmp_path / "multirun" / "s" / str(number))["status"] for number in (0, 1)] == [Status.COMPLETE] * 2
