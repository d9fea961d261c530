import json
import os
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.sweep.execute.slots import cores, slots
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import Sweep


def test_without_a_gpu_there_is_a_slot_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [slot.threads for slot in slots("auto", 1, 1, None)] == [1] * cores()
    assert [slot.threads for slot in slots(1, 1, 1, None)] == [cores()]


def test_no_more_slots_than_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert len(slots("auto", 1, 1, 3)) == 3


@pytest.mark.parametrize(
    ("visible", "jobs_per_gpu", "gpus_per_job", "owned"),
    [
        ("0,1", 1, 1, ["0", "1"]),
        ("4,7", 2, 1, ["4", "7", "4", "7"]),
        ("0,1,2,3", 1, 2, ["0,1", "2,3"]),
        ("GPU-a,GPU-b,GPU-c", 1, 2, ["GPU-a,GPU-b"]),
    ],
)
def test_each_slot_owns_its_gpus(
    monkeypatch: pytest.MonkeyPatch, visible: str, jobs_per_gpu: int, gpus_per_job: int, owned: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    places = slots("auto", jobs_per_gpu, gpus_per_job, None)
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in places] == owned


def test_gpus_are_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No GPU is at hand where the tests run: a program answers as nvidia-smi does."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0\necho 1\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert [slot.gpus for slot in slots("auto", 1, 1, None)] == [("0",), ("1",)]


@pytest.fixture
def two_amd_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No GPU is at hand where the tests run: files stand for those of AMD's driver, and a program for its tool."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "amd-smi").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "amd-smi").chmod(0o755)
    for node, units in enumerate((0, 304, 304)):  # a CPU, and two GPUs
        (tmp_path / "nodes" / str(node)).mkdir(parents=True)
        (tmp_path / "nodes" / str(node) / "properties").write_text(f"cpu_cores_count 0\nsimd_count {units}\n")
    monkeypatch.setattr("sweeplab.sweep.execute.slots.AMD_NODES", tmp_path / "nodes")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "chosen"),
    [
        ({}, ["0", "1"]),
        ({"HIP_VISIBLE_DEVICES": "1"}, ["1"]),
        ({"ROCR_VISIBLE_DEVICES": "4,5"}, ["0", "1"]),
        ({"ROCR_VISIBLE_DEVICES": "4,5", "HIP_VISIBLE_DEVICES": "1"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ["1"]),
    ],
)
@pytest.mark.usefixtures("two_amd_gpus")
def test_gpus_of_amd_are_chosen_by_the_variable_of_hip(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], chosen: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [slot.environment for slot in slots("auto", 1, 1, None)] == [{"HIP_VISIBLE_DEVICES": gpu} for gpu in chosen]


@pytest.mark.usefixtures("two_amd_gpus")
def test_without_rocm_the_gpu_of_a_screen_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert {slot.gpus for slot in slots("auto", 1, 1, None)} == {()}


def test_a_mac_has_one_gpu_unless_it_is_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Mac is at hand where the tests run: this machine says that it is one."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [(slot.gpus, slot.environment) for slot in slots("auto", 1, 1, None)] == [(("mps",), {})]
    assert len(slots("auto", 3, 1, None)) == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert len(slots("auto", 1, 1, None)) == cores()


@pytest.mark.parametrize(
    ("visible", "arguments", "said"),
    [
        ("0,1", (3, 1, 1), "the GPUs of this machine have room for 2"),
        ("0,1", ("auto", 1, 4), "gpus_per_job=4, but this machine has 2"),
        ("", ("auto", 0, 1), "jobs_per_gpu=0 must be 1 or more"),
        ("", ("many", 1, 1), "n_jobs=many must be auto, or a number from 1"),
        ("", (True, 1, 1), "n_jobs=True must be auto, or a number from 1"),
    ],
)
def test_what_the_machine_cannot_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, visible: str, arguments: tuple[int, int, int], said: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UserError, match=said):
        slots(*arguments, None)


def test_a_trial_finds_its_gpu_and_its_threads_in_its_environment(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    assert sweep("x=1,2", "steps=1", "sleep=0.5", "hydra.sweeper.n_jobs=auto", task=app.tells) == 0
    told = [json.loads(Path(f"multirun/study/{number}/told.json").read_text()) for number in (0, 1)]
    assert {one["gpus"] for one in told} == {"5", "6"}
    assert {one["threads"] for one in told} == {"1"}
