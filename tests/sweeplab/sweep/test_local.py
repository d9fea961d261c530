from pathlib import Path
from typing import Any

from sweeplab.runs.record import Status
from sweeplab.sweep.frozen import Recipe
from sweeplab.sweep.job import Job, Task
from sweeplab.sweep.local import Local
from sweeplab.sweep.slots import Slot


def job(number: int, folder: Path) -> Job:
    """A job whose configuration cannot be read: it fails in its own process, which takes a moment."""
    task = Task(str(folder / "app.py"), "tests.sweeplab.sweep.app.app", "app")
    (folder / str(number)).mkdir()
    return Job("study", number, {}, folder / str(number), Recipe(b"", (), ()), task, (), "", "app", {})


def nothing(value: float, step: int) -> bool:
    return False


def test_closing_leaves_no_job_behind(folder: Path) -> None:
    executor = Local([Slot() for _ in range(4)], [], folder / "none", True, None)
    futures: list[Any] = [executor.submit(job(number, folder), nothing) for number in range(4)]
    executor.close()
    assert [future.result().status for future in futures] == [Status.KILLED] * 4
    assert executor.free() == 4
