import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from sweeplab.errors import UserError
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study import reconnecting
from sweeplab.sweep.study import storage as storage_module
from sweeplab.sweep.study.client import HEARTBEAT, StudyClient
from sweeplab.sweep.study.reconnecting import ReconnectingStorage, StorageLostError
from sweeplab.sweep.study.search import Points
from sweeplab.sweep.study.storage import open_storage, write_reports
from sweeplab.sweep.study.study import open_study
from tests.sweeplab.sweep.study.conftest import ask

Fail = Callable[..., None]


class Flaky:
    """A storage in memory that does what it is asked, or not, and answers with an error, as often as is told."""

    def __init__(self) -> None:
        self.real = InMemoryStorage()
        self.before: dict[str, int] = {}
        self.after: dict[str, Callable[[], object]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if self.before.get(name, 0) > 0:
                self.before[name] -= 1
                raise StorageLostError("connection refused")
            answer = method(*arguments, **named)
            if (meanwhile := self.after.pop(name, None)) is not None:
                meanwhile()
                raise StorageLostError("server closed the connection")
            return answer

        return call


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Flaky:
    monkeypatch.setattr(reconnecting, "PAUSES", (0.0, 0.01))
    return Flaky()


@pytest.fixture
def storage(flaky: Flaky) -> ReconnectingStorage:
    storage: Any = flaky
    return ReconnectingStorage(storage, "the database")


@pytest.fixture
def study(storage: ReconnectingStorage) -> int:
    number: int = storage.create_new_study([StudyDirection.MINIMIZE], "study")
    return number


def nothing() -> None:
    pass


def test_a_trial_is_made_once_whether_its_making_was_lost_or_the_answer(
    storage: ReconnectingStorage, flaky: Flaky, study: int
) -> None:
    flaky.before["create_new_trial"] = 3
    first = storage.create_new_trial(study)
    flaky.after["create_new_trial"] = nothing
    waiting = create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 1}})
    second = storage.create_new_trial(study, waiting)
    trials = storage.get_all_trials(study)
    assert [trial._trial_id for trial in trials] == [first, second]
    assert [trial.state for trial in trials] == [TrialState.RUNNING, TrialState.WAITING]
    assert trials[1].system_attrs["fixed_params"] == {"x": 1}
    assert "fixed_params" in waiting.system_attrs


def test_an_ending_whose_answer_was_lost_is_told(storage: ReconnectingStorage, flaky: Flaky, study: int) -> None:
    trial = storage.create_new_trial(study)
    flaky.after["set_trial_state_values"] = nothing
    assert storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
    assert storage.get_trial(trial).value == 1.0


def test_a_trial_that_was_let_wait_and_is_taken_meanwhile_stays_taken(
    storage: ReconnectingStorage, flaky: Flaky, study: int
) -> None:
    trial = storage.create_new_trial(study)
    flaky.after["set_trial_state_values"] = lambda: flaky.real.set_trial_state_values(trial, TrialState.RUNNING)
    assert storage.set_trial_state_values(trial, TrialState.WAITING)
    assert storage.get_trial(trial).state is TrialState.RUNNING


def test_a_trial_of_which_nobody_knows_who_took_it_is_not_run(
    storage: ReconnectingStorage, flaky: Flaky, study: int
) -> None:
    trial = storage.create_new_trial(study, create_trial(state=TrialState.WAITING))
    flaky.after["set_trial_state_values"] = nothing
    assert not storage.set_trial_state_values(trial, TrialState.RUNNING)
    other = storage.create_new_trial(study, create_trial(state=TrialState.WAITING))
    flaky.before["set_trial_state_values"] = 1
    assert storage.set_trial_state_values(other, TrialState.RUNNING)


def test_the_user_is_told_once_that_a_storage_is_away_and_that_it_is_back(
    storage: ReconnectingStorage, flaky: Flaky, study: int
) -> None:
    told: list[str] = []
    storage.tell = told.append
    flaky.before["get_all_trials"] = 1  # an old connection
    storage.get_all_trials(study)
    assert told == []
    assert storage.returned_at == 0.0
    flaky.before["get_all_trials"] = 5
    storage.get_all_trials(study)
    away, back = told
    assert away.startswith("the database does not answer (connection refused); trying again for 300 s.")
    assert back == "the database answers again."
    assert time.time() - storage.returned_at < 5


def test_a_storage_that_stays_away_fails_and_is_not_waited_for_again(
    storage: ReconnectingStorage, flaky: Flaky, study: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.tell = lambda text: None
    monkeypatch.setattr(reconnecting, "PATIENCE", 0.2)
    flaky.before["get_all_trials"] = 1000
    with pytest.raises(UserError, match=r"the database has not answered for 0 s .*the same command resumes the sweep"):
        storage.get_all_trials(study)
    with pytest.raises(UserError, match="has not answered"):
        storage.set_study_user_attr(study, "a", 1)


def test_who_stops_the_sweep_does_not_wait(storage: ReconnectingStorage, flaky: Flaky, study: int) -> None:
    storage.tell, storage.may_wait = lambda text: None, lambda: False
    flaky.before["get_all_trials"] = 1000
    with pytest.raises(UserError, match="has not answered"):
        storage.get_all_trials(study)


def test_an_old_connection_is_no_reason_to_give_up(storage: ReconnectingStorage, flaky: Flaky, study: int) -> None:
    storage.tell, storage.may_wait = lambda text: None, lambda: False
    flaky.before["get_all_trials"] = 1
    assert storage.get_all_trials(study) == []


def test_ctrl_c_ends_the_waiting_for_good(
    storage: ReconnectingStorage, flaky: Flaky, study: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    flaky.before["get_all_trials"] = 1000
    with pytest.raises(KeyboardInterrupt):
        storage.get_all_trials(study)
    with pytest.raises(UserError, match="has not answered"):
        storage.get_all_trials(study)


@pytest.fixture
def locked(tmp_path: Path) -> tuple[BaseStorage, Callable[[], None]]:
    """A database that another program can keep for itself for a second."""
    storage, _ = open_storage(f"sqlite:///{tmp_path}/study.db?timeout=0.1", tmp_path)

    def lock() -> None:
        connection = sqlite3.connect(tmp_path / "study.db", check_same_thread=False)
        connection.execute("begin exclusive")
        threading.Timer(1.0, connection.rollback).start()

    return storage, lock


def test_a_database_that_another_program_keeps_for_itself_is_waited_for(
    locked: tuple[BaseStorage, Callable[[], None]],
) -> None:
    storage, lock = locked
    assert isinstance(storage, ReconnectingStorage)
    told: list[str] = []
    storage.tell = told.append
    study = open_study(storage, "study", [StudyDirection.MINIMIZE])
    trial = study.ask()
    lock()
    trial.suggest_float("x", 0, 1)
    lock()
    write_reports(storage, trial._trial_id, {1: 0.5, 2: 0.25})
    lock()
    study.tell(trial, 1.0)
    assert [trial.intermediate_values for trial in study.trials] == [{1: 0.5, 2: 0.25}]
    assert told[0].endswith("Ctrl-C twice ends the sweep.")
    assert "does not answer (database is locked)" in told[0]
    assert len(told) == 6


def test_reports_that_were_written_although_the_answer_was_lost_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, _ = open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path)
    trial = open_study(storage, "study", [StudyDirection.MINIMIZE]).ask()
    insert = storage_module._insert_reports

    def lose(*arguments: Any) -> bool:
        insert(*arguments)
        raise StorageLostError("server closed the connection")

    monkeypatch.setattr(storage_module, "_insert_reports", lose)
    write_reports(storage, trial._trial_id, {1: 0.5, 2: 0.25})
    assert storage.get_trial(trial._trial_id).intermediate_values == {1: 0.5, 2: 0.25}


def client(storage: BaseStorage, folder: Path) -> StudyClient:
    study = open_study(storage, "study", [StudyDirection.MINIMIZE])
    return StudyClient(study, contextlib.nullcontext(), 0, folder, silence=10.0)


def test_nobody_is_lost_because_the_database_was_away_for_all(storage: ReconnectingStorage, tmp_path: Path) -> None:
    def settle(trial: optuna.trial.FrozenTrial, loss: Outcome) -> Outcome:
        return loss

    far = client(storage, tmp_path)
    far.lease = {**far.lease, "host": "elsewhere"}
    far.register()
    trial = ask(far)
    old = time.time() - 1000
    far.study.set_user_attr(f"controller {far.controller}", {**far.lease, "beat": old})
    here = client(storage, tmp_path)
    storage.returned_at = time.time() - 60
    assert here.recover(settle) == 0
    assert here.may_run_until(here.stored(trial)) == storage.returned_at + HEARTBEAT + 10.0
    storage.returned_at = time.time() - 121
    assert here.recover(settle) == 1


def test_a_trial_that_was_queued_and_taken_is_not_replaced_by_one_without_a_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its sampler chose for that one would be a point that another trial has."""
    storage, _ = open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path)
    first, second = client(storage, tmp_path), client(storage, tmp_path)
    points = [{"x": x} for x in range(9)]
    taken: list[optuna.Trial | None] = []
    enqueue = first.study.enqueue_trial

    def steal(point: dict[str, Any]) -> None:
        enqueue(point)
        if not taken:
            taken.append(
                second.ask(None, lambda trial: trial.suggest_int("x", 0, 9), Points({"x": x} for x in range(9)))
            )

    monkeypatch.setattr(first.study, "enqueue_trial", steal)  # between two calls of `ask`
    trial = first.ask(None, lambda trial: trial.suggest_int("x", 0, 9), Points(points))
    assert trial is not None
    assert taken[0] is not None
    assert (taken[0].params, trial.params) == ({"x": 0}, {"x": 1})
