"""Trials whose controller and machine died: what their folders are good for."""

import json
import socket
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from sweeplab.records.layout import RunFile
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import Sweep, trials

pytestmark = pytest.mark.slow

WHOLE = {
    "status": "complete",
    "reason": "",
    "values": [7.0],
    "traceback": "",
    "seconds": 1.5,
    "constraints": {},
    "is_shared": False,
}
DAMAGED = {
    "empty": b"",
    "zeros": bytes(300),
    "truncated": json.dumps(WHOLE).encode()[:40],
    "not text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a number": b"3",
    "another status": json.dumps(WHOLE | {"status": "done"}).encode(),
    "no value": json.dumps(WHOLE | {"values": None}).encode(),
    "no number": json.dumps(WHOLE | {"values": ["high"]}).encode(),
    "not finite": json.dumps(WHOLE | {"values": [float("nan")]}).encode(),
    "too many values": json.dumps(WHOLE | {"values": [1.0, 2.0]}).encode(),
    "no seconds": json.dumps(WHOLE | {"seconds": None}).encode(),
    "half of the keys": b'{"status": "complete"}',
}
LEASE = {"host": socket.gethostname(), "pid": 2**22 - 1, "started": 0.0, "controller": "dead"}


def lose(count: int) -> list[Path]:
    """Leave trials of a dead controller in the study, each with its folder."""
    storage = optuna.storages.JournalStorage(JournalFileBackend("multirun/study/study.journal"))
    study = optuna.load_study(study_name="study", storage=storage)
    folders = []
    for _ in range(count):
        trial = study.ask()
        trial.set_user_attr("lease", LEASE)
        folders.append(Path(f"multirun/study/{trial.number}").absolute())
        folders[-1].mkdir()
    return folders


def test_a_damaged_outcome_is_a_lost_trial(sweep: Sweep, caplog: pytest.LogCaptureFixture) -> None:
    search = ("x=1,2", "hydra.sweeper.direction=minimize")
    assert sweep(*search) == 0
    folders = lose(len(DAMAGED) + 1)
    for folder, content in zip(folders, [*DAMAGED.values(), json.dumps(WHOLE).encode()], strict=True):
        (folder / RunFile.OUTCOME).write_bytes(content)
    assert sweep(*search) == 0
    *damaged, whole = trials()[2 : 2 + len(folders)]
    assert [trial.state.name for trial in damaged] == ["WAITING"] * len(damaged)  # more than the grid has points
    assert [attempt["status"] for trial in damaged for attempt in trial.user_attrs["attempts"]] == [
        "interrupted"
    ] * len(damaged)
    assert (whole.state.name, whole.value) == ("COMPLETE", 7.0)
    warned = [f"{folder / RunFile.OUTCOME} is damaged" in caplog.text for folder in folders]
    assert warned == [True] * len(damaged) + [False]


def test_a_trial_of_a_sweep_without_an_objective_needs_no_value(sweep: Sweep) -> None:
    assert sweep("x=1,2", task=app.nothing) == 0
    (folder,) = lose(1)
    (folder / RunFile.OUTCOME).write_text(json.dumps(WHOLE | {"values": None}))
    assert sweep("x=1,2", task=app.nothing) == 0
    assert trials()[2].state.name == "COMPLETE"


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b'{"status": "runn', b"[]", b'{"status": "running", "process": {"host": 1}}'])
def test_a_damaged_record_keeps_no_study_from_going_on(
    sweep: Sweep, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    listeners = (
        "+hydra.sweeper.listeners.wandb._target_=sweeplab.listeners.SweepService",
        "+hydra.sweeper.listeners.checkpoints._target_=sweeplab.listeners.TopCheckpoints",
        "+hydra.sweeper.listeners.checkpoints.keep=1",
    )
    search = ("x=interval(0,1)", *listeners)
    assert sweep(*search, "hydra.sweeper.n_trials=2", task=app.records) == 0
    (lost,) = lose(1)
    for folder in (lost, lost.with_name("1")):  # of a complete trial too
        (folder / RunFile.RECORD).write_bytes(content)
    assert sweep(*search, "hydra.sweeper.n_trials=3", task=app.records) == 0
    assert trials()[2].user_attrs["attempts"][0]["status"] == "interrupted"
    assert trials()[2].state.name == "COMPLETE"
    assert str(lost / RunFile.RECORD) in caplog.text
    assert "Traceback" not in caplog.text
    assert (lost / "attempt-0" / RunFile.RECORD).read_bytes() == content
    assert json.loads((lost / RunFile.RECORD).read_text())["status"] == "complete"
