import json
import multiprocessing
from pathlib import Path
from typing import Any

from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.config.trial_config import TrialConfig
from sweeplab.sweep.execute.local import AT_ONCE, Local
from sweeplab.sweep.execute.slots import Slot
from sweeplab.sweep.job import Job, Outcome, Task


def job(number: int, folder: Path, made: bool = False) -> Job:
    """A job whose configuration cannot be read: it fails in its own process, which takes a moment."""
    task = Task(str(folder / "app.py"), "tests.sweeplab.sweep.app.app", "app")
    (folder / str(number)).mkdir(exist_ok=made)
    return Job("study", number, {}, folder / str(number), TrialConfig(b"", (), ()), task, (), "", "app", {})


def nothing(value: float, step: int) -> bool:
    return False


def test_a_process_that_waits_runs_the_job_when_it_is_submitted(folder: Path) -> None:
    executor = Local([Slot()], Task(""), [], folder / "none", True, None)
    executor.prepare(job(0, folder))
    assert executor._ready is not None
    waiting = executor._ready.process.pid
    future = executor.submit(job(0, folder, made=True), nothing)
    assert executor._running[0].process.pid == waiting
    while not future.done():
        executor.wait(1.0)
    assert future.result().status is Status.FAILED
    executor.close()


def test_a_process_that_died_waiting_costs_no_trial(folder: Path) -> None:
    executor = Local([Slot()], Task(""), [], folder / "none", True, None)
    executor.prepare(job(0, folder))
    assert executor._ready is not None
    executor._ready.process.kill()
    executor._ready.process.join()
    future = executor.submit(job(0, folder, made=True), nothing)
    while not future.done():
        executor.wait(1.0)
    assert future.result().status is Status.FAILED
    executor.close()


def test_closing_leaves_no_job_behind(folder: Path) -> None:
    executor = Local([Slot() for _ in range(4)], Task(""), [], folder / "none", True, None)
    futures: list[Any] = [executor.submit(job(number, folder), nothing) for number in range(4)]
    executor.close()
    assert [future.result().status for future in futures] == [Status.KILLED] * 4
    assert executor.free() == 4


def test_all_that_a_process_has_sent_is_read_before_its_outcome(folder: Path) -> None:
    executor = Local([Slot()], Task(""), [], folder / "none", True, None)
    reports: list[int] = []

    def report(value: float, step: int) -> bool:
        reports.append(step)
        return False

    future = executor.submit(job(0, folder), report)
    (running,) = executor._running
    running.process.join()
    running.channel.close()
    running.channel, far = multiprocessing.Pipe()
    for step in range(2 * AT_ONCE):
        far.send((0.5, step))
    far.send(Outcome(Status.COMPLETE, values=(1.0,)))
    far.close()
    while not future.done():
        executor.wait(1.0)
    assert (future.result().status, future.result().values) == (Status.COMPLETE, (1.0,))
    assert reports == list(range(2 * AT_ONCE))
    executor.close()


def test_a_process_killed_behind_its_end_has_come_to_its_outcome(folder: Path) -> None:
    executor = Local([Slot()], Task(""), [], folder / "none", True, None)
    futures = [executor.submit(job(0, folder), nothing)]
    (folder / "0" / RunFile.OUTCOME).write_text(json.dumps(vars(Outcome(Status.COMPLETE, values=(1.0,), seconds=2.5))))
    executor.close()
    assert [(f.result().status, f.result().values, f.result().seconds) for f in futures] == [
        (Status.COMPLETE, (1.0,), 2.5)
    ]
