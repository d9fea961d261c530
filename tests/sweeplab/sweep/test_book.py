from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeplab.sweep.book import Book
from sweeplab.sweep.storage import open_storage
from sweeplab.sweep.study import open_study


@pytest.fixture(params=["journal", "sqlite"])
def books(request: Any, tmp_path: Path) -> list[Book]:
    """Two controllers of one study."""
    url = None if request.param == "journal" else f"sqlite:///{tmp_path}/study.db"

    def book() -> Book:
        storage, lock = open_storage(url, tmp_path)
        return Book(open_study(storage, "study", [StudyDirection.MINIMIZE]), lock, 0, tmp_path)

    return [book(), book()]


def ask(book: Book) -> optuna.Trial:
    trial = book.ask(None, lambda trial: trial.suggest_float("x", 0, 1), None)
    assert trial is not None
    return trial


def test_a_trial_that_was_put_off_begins_once_whoever_takes_it(books: list[Book]) -> None:
    first, second = books
    held = ask(first)
    first.put_off(held._trial_id)
    taken = ask(second)
    assert (taken.number, taken.params) == (held.number, held.params)
    second.put_off(taken._trial_id)
    assert not first.take_up(held)
    assert second.take_up(taken)
    assert not second.take_up(taken)
    assert [trial.state for trial in first.trials()] == [TrialState.RUNNING]


def test_a_trial_that_waits_for_its_controller_counts_as_held_elsewhere(books: list[Book]) -> None:
    first, second = books
    assert first.sign_in()
    first.put_off(ask(first)._trial_id)
    (trial,) = second.trials()
    assert second.is_held_elsewhere(trial)
    assert not first.is_held_elsewhere(trial)


def test_trials_that_nobody_runs_are_put_off(books: list[Book]) -> None:
    first, second = books
    running, lost, other = ask(first), ask(first), ask(second)
    first.put_off_all_but({running.number})
    states = [first.trials()[trial.number].state for trial in (running, lost, other)]
    assert states == [TrialState.RUNNING, TrialState.WAITING, TrialState.RUNNING]
