import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweeplab.records.ending import recorded
from sweeplab.records.record import Status, begin, read

TASK = """
import sys, time
from pathlib import Path
from sweeplab.records.ending import recorded
from sweeplab.records.record import begin
with recorded(begin(Path(sys.argv[1]), ["a=1"], seed=0)):
    print("begun", flush=True)
    {body}
"""


def start(folder: Path, body: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TASK.format(body=body), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(
    ("number", "status", "error"),
    [
        (signal.SIGINT, Status.INTERRUPTED, "Ctrl-C"),
        (signal.SIGTERM, Status.KILLED, "signal SIGTERM"),
        (signal.SIGKILL, Status.KILLED, "the process ended without recording why"),
    ],
)
def test_a_signal_is_an_ending_of_its_own(tmp_path: Path, number: signal.Signals, status: Status, error: str) -> None:
    with start(tmp_path / "run", "time.sleep(60)") as process:
        assert read(tmp_path / "run")["status"] == Status.RUNNING
        process.send_signal(number)
        assert process.wait() != 0
    facts = read(tmp_path / "run")
    assert (facts["status"], facts["error"]) == (status, error)


def test_an_exception_is_kept_with_its_traceback(tmp_path: Path) -> None:
    with start(tmp_path / "run", "1 / 0") as process:
        assert process.wait() == 1
    facts = read(tmp_path / "run")
    assert facts["status"] == Status.FAILED
    assert facts["error"].splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_good_end_is_complete_and_has_its_times(tmp_path: Path) -> None:
    with recorded(begin(tmp_path / "run", ["a=1"], seed=7)) as record:
        record.update(metrics={"val/acc": 0.5, "val/loss": float("nan")})
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (facts["status"], facts["seed"], facts["overrides"]) == (Status.COMPLETE, 7, ["a=1"])
    assert facts["metrics"] == {"val/acc": 0.5, "val/loss": None}
    assert facts["started"] <= facts["ended"]
