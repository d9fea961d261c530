import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeplab.records.process import this_process
from sweeplab.sweep.execute import temporary
from tests.sweeplab.sweep.conftest import Start, output
from tests.sweeplab.sweep.test_interrupts import folders, wait_until


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of the test's own, with a short path: that of pytest's own is too long for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.mark.slow
def test_a_sweep_leaves_nothing_among_the_temporary_files(start: Start, place: Path) -> None:
    process = start("x=1,2", "sleep=0.1", "steps=3")
    wait_until(lambda: folders() > 0)
    assert [path.name.startswith("sweeplab-") for path in place.iterdir()] == [True]
    output(process)
    assert process.returncode == 0
    assert list(place.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("is_fork", [False, True])
def test_what_a_killed_controller_leaves_its_fork_server_removes(
    start: Start, folder: Path, place: Path, is_fork: bool
) -> None:
    program = folder / "app" / "app.py"
    if is_fork:  # as it is where only this process has the task
        program.write_text(
            program.read_text().replace('if __name__ == "__main__":\n', 'if __name__ == "__main__":\n    MINE = 1\n')
        )
    process = start("x=1,2", "sleep=30", "steps=1")
    wait_until(lambda: folders() == 2)
    process.kill()
    process.wait()
    wait_until(lambda: not list(place.iterdir()))
    assert folders() == 2


@pytest.mark.slow
def test_what_all_leave_that_are_killed_at_once_the_next_start_removes(start: Start, place: Path) -> None:
    process = start("x=1,2", "sleep=30", "steps=1")
    wait_until(lambda: folders() == 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (left,) = place.iterdir()
    again = start("x=1,2", "study=another")
    output(again)
    assert again.returncode == 0
    assert not left.exists()


def test_a_long_path_of_temporary_files_is_used_for_everything_but_the_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert temporary._parent() == "/tmp"
    monkeypatch.setattr("tempfile.tempdir", "/var/tmp")
    assert temporary._parent() == "/var/tmp"


def test_only_folders_of_dead_processes_of_this_machine_are_removed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(place))
    here = this_process()
    owners = {
        "alive": json.dumps(here),
        "dead": json.dumps({**here, "pid": 2**22 - 1}),
        "elsewhere": json.dumps({**here, "host": "elsewhere"}),
        "damaged": "{",
        "odd": "[]",
    }
    for name, owner in owners.items():
        (place / f"sweeplab-{name}").mkdir()
        (place / f"sweeplab-{name}" / temporary.OWNER).write_text(owner)
    (place / "sweeplab-new").mkdir()
    (place / "sweeplab-old").mkdir()
    os.utime(place / "sweeplab-old", (0, 0))
    (place / "other-dead").mkdir()
    (place / "sweeplab-link").symlink_to(place / "sweeplab-alive")
    temporary._clear()
    assert sorted(path.name for path in place.iterdir()) == [
        "other-dead",
        *(f"sweeplab-{name}" for name in ("alive", "damaged", "elsewhere", "link", "new", "odd")),
    ]
