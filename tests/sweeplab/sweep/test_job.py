import functools
from collections.abc import Callable
from typing import Any

from sweeplab.sweep import job
from sweeplab.sweep.job import Task, job_id
from tests.sweeplab.sweep.app import app


def test_a_task_is_found_below_what_is_wrapped_around_it() -> None:
    assert Task("app.py", app.__name__, "app", layers=1).function() is app.app.__wrapped__
    assert Task("app.py", app.__name__, "app").function() is app.app


def test_a_task_that_cannot_be_imported_is_there_in_forks(monkeypatch: Any) -> None:
    monkeypatch.setattr(job, "_local", None)
    task: Callable[..., Any] = functools.partial(app.nothing)
    job.keep_for_forks(task)
    assert Task("app.py", name="partial").function() is task


def test_every_run_of_a_study_has_an_id_of_its_own() -> None:
    ids = {job_id("study-1a2b", number, repeat, repeats=2) for number in range(12) for repeat in range(2)}
    assert len(ids) == 24
    assert job_id("study-1a2b", 7, 0, repeats=1) == "study-1a2b-0007"
