from pathlib import Path

from optuna.trial import TrialState, create_trial

from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.trials import LEASE, attempts, beginning, came_to, counts, ending, folder_of, took
from tests.sweeplab.sweep.study.conftest import ask


def test_a_trial_took_what_its_runs_say(clients: list[StudyClient]) -> None:
    first, _ = clients
    first.tell(ask(first), Outcome(Status.COMPLETE, values=(1.0,), seconds=72.9))
    first.tell(ask(first), Outcome(Status.INTERRUPTED, "its controller was killed"))
    assert [took(trial) for trial in first.trials()[:2]] == [72.9, None]


def test_a_pruned_trial_came_to_its_best_value(clients: list[StudyClient]) -> None:
    first, _ = clients
    for outcome in (Outcome(Status.PRUNED, values=(0.9,)), Outcome(Status.PRUNED)):
        held = ask(first)
        first.report({held: {1: 0.9, 2: 0.7}})
        first.tell(held, outcome)
    assert [came_to(trial) for trial in first.trials()] == [[0.9], [0.7]]
    assert [trial.value for trial in first.trials()] == [0.7, 0.7]  # Optuna's rule


def test_a_trial_of_an_earlier_version_took_the_time_since_it_began(clients: list[StudyClient]) -> None:
    first, _ = clients
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


def test_a_trial_ended_as_it_was_told_and_counts_once(clients: list[StudyClient]) -> None:
    first, _ = clients
    for outcome in (Outcome(Status.TIMEOUT, "too long"), Outcome(Status.INTERRUPTED, "Ctrl-C")):
        first.tell(ask(first), outcome)
    assert [ending(trial) for trial in first.trials()] == [Status.TIMEOUT, Status.INTERRUPTED]
    assert [counts(trial) for trial in first.trials()] == [True, False]
    assert ask(first).number == 1
    assert [ending(trial) for trial in first.trials()] == [Status.TIMEOUT, Status.RUNNING]
    assert [counts(trial) for trial in first.trials()] == [True, True]


def test_a_trial_began_with_its_first_attempt(clients: list[StudyClient]) -> None:
    first, _ = clients
    held = ask(first)
    assert first.begin(held)
    began = beginning(first.stored(held))
    for _ in range(2):
        first.tell(first.stored(held), Outcome(Status.INTERRUPTED, "Ctrl-C"))
        assert ask(first).number == 0
    stored = first.stored(held)
    assert beginning(stored) == began
    cut = attempts(stored)
    assert [attempt["began"] for attempt in cut] == sorted({attempt["began"] for attempt in cut})


def test_a_trial_lies_in_the_folder_of_the_machine_that_ran_it(clients: list[StudyClient], tmp_path: Path) -> None:
    first, _ = clients
    trial = first.stored(ask(first))
    assert folder_of(trial, Path("elsewhere")) == tmp_path / "0"
    trial.user_attrs[LEASE].pop("folder")
    trial.user_attrs["folder"] = "x=1"
    assert folder_of(trial, Path("elsewhere")) == Path("elsewhere/x=1")
    assert folder_of(create_trial(state=TrialState.COMPLETE, value=1.0), tmp_path) is None
