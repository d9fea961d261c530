from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.storage import open_storage
from sweeplab.sweep.study.study import open_study
from sweeplab.sweep.study.trials import beginning, came_to, counts, took


@pytest.fixture(params=["journal", "sqlite"])
def books(request: Any, tmp_path: Path) -> list[StudyClient]:
    """Two controllers of one study."""
    url = None if request.param == "journal" else f"sqlite:///{tmp_path}/study.db"

    def client() -> StudyClient:
        storage, lock = open_storage(url, tmp_path)
        return StudyClient(open_study(storage, "study", [StudyDirection.MINIMIZE]), lock, 0, tmp_path)

    return [client(), client()]


def ask(client: StudyClient) -> optuna.Trial:
    trial = client.ask(None, lambda trial: trial.suggest_float("x", 0, 1), None)
    assert trial is not None
    return trial


def test_a_trial_that_is_given_back_keeps_its_number_and_its_point(books: list[StudyClient]) -> None:
    first, second = books
    held = ask(first)
    assert ask(second).number == 1
    first.requeue(held._trial_id)
    taken = ask(second)
    assert (taken.number, taken.params) == (held.number, held.params)
    assert first.trials()[0].user_attrs["lease"]["controller"] == second.controller


def test_a_trial_that_is_over_is_neither_begun_nor_given_back(books: list[StudyClient]) -> None:
    """Another machine may have taken this controller for lost."""
    first, second = books
    held = ask(first)
    second.tell(second.trials()[0], Outcome(Status.KILLED, "machine lost"))
    assert not first.begin(held)
    first.requeue(held._trial_id)
    assert first.trials()[0].state is TrialState.FAIL


def test_only_trials_of_this_controller_that_never_began_are_given_back(books: list[StudyClient]) -> None:
    first, second = books
    begun, lost, other = ask(first), ask(first), ask(second)
    first.requeue_unbegun(lambda number: number == begun.number)
    states = [first.trials()[trial.number].state for trial in (begun, lost, other)]
    assert states == [TrialState.RUNNING, TrialState.WAITING, TrialState.RUNNING]


def test_a_trial_took_what_its_runs_say(books: list[StudyClient]) -> None:
    first, _ = books
    first.tell(ask(first), Outcome(Status.COMPLETE, values=(1.0,), seconds=72.9))
    first.tell(ask(first), Outcome(Status.INTERRUPTED, "its controller was killed"))
    assert [took(trial) for trial in first.trials()[:2]] == [72.9, None]


def test_a_pruned_trial_came_to_its_best_value(books: list[StudyClient]) -> None:
    first, _ = books
    for outcome in (Outcome(Status.PRUNED, values=(0.9,)), Outcome(Status.PRUNED)):
        held = ask(first)
        first.report(held, {1: 0.9, 2: 0.7})
        first.tell(held, outcome)
    assert [came_to(trial) for trial in first.trials()] == [[0.9], [0.7]]
    assert [trial.value for trial in first.trials()] == [0.7, 0.7]  # Optuna's rule


def test_a_trial_of_an_earlier_version_took_the_time_since_it_began(books: list[StudyClient]) -> None:
    first, _ = books
    held = ask(first)
    assert first.begin(held)
    first.study.tell(held, 1.0)
    (trial,) = first.trials()
    began, seconds = beginning(trial), took(trial)
    assert began is not None
    assert seconds is not None
    assert trial.datetime_start is not None
    assert trial.datetime_complete is not None
    assert trial.duration is not None
    assert trial.datetime_start < began < trial.datetime_complete
    assert seconds < trial.duration.total_seconds()


def test_what_was_given_back_does_not_run_in_an_extended_study(books: list[StudyClient]) -> None:
    first, _ = books
    first.requeue(ask(first)._trial_id)
    first.study.enqueue_trial({"x": 0.5})
    first.drop_requeued()
    given_back, queued = first.trials()
    assert (given_back.state, counts(given_back)) == (TrialState.FAIL, False)
    assert queued.state is TrialState.WAITING
