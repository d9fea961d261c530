import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records.ending import recorded
from sweeplab.records.record import Status, begin, begin_again, read

TASK = """
import sys
from pathlib import Path
from sweeplab.records.ending import recorded
from sweeplab.records.record import begin
with recorded(begin(Path(sys.argv[1]), ["a=1"], seed=0)):
    pass
"""


def test_a_folder_belongs_to_the_first_run_that_takes_it(tmp_path: Path) -> None:
    begin(tmp_path, [], seed=0)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match="already holds a run"):
        begin(tmp_path, [], seed=1)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_of_many_processes_that_want_a_folder_one_gets_it(tmp_path: Path) -> None:
    claims = [
        subprocess.Popen([sys.executable, "-c", TASK, str(tmp_path / "run")], stderr=subprocess.DEVNULL)
        for _ in range(4)
    ]
    assert sorted(claim.wait() for claim in claims) == [0, 1, 1, 1]


def test_what_happened_before_is_kept_when_a_run_goes_on(tmp_path: Path) -> None:
    record = begin(tmp_path, ["a=1"], seed=0)
    record.update(wandb={"id": "abc"})
    with pytest.raises(ZeroDivisionError), recorded(record):
        _ = 1 / 0
    with recorded(begin_again(tmp_path, ["a=2"])):
        pass
    facts = read(tmp_path)
    assert facts["status"] == Status.COMPLETE
    assert "error" not in facts
    assert facts["wandb"] == {"id": "abc"}
    assert [(a["status"], a["overrides"]) for a in facts["attempts"]] == [(Status.FAILED, ["a=1"])]


def test_a_run_of_another_machine_stays_as_it_says(tmp_path: Path) -> None:
    record = begin(tmp_path, [], seed=0)
    record.update(process={"host": "elsewhere", "pid": 1, "started": time.time()})
    assert read(tmp_path)["status"] == Status.RUNNING


def test_a_folder_that_was_moved_meanwhile_is_told_and_not_made_again(tmp_path: Path) -> None:
    record = begin(tmp_path / "run", [], seed=0)
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(UserError, match="run is gone: it was moved or removed during its run"), recorded(record):
        pass
    assert not (tmp_path / "run").exists()
