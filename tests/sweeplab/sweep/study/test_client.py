import pytest
from optuna.trial import TrialState

from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.trials import attempts, counted, counts, ending, reason, times_killed, took
from tests.sweeplab.sweep.study.conftest import ask


def test_a_trial_that_is_released_keeps_its_number_and_its_point(clients: list[StudyClient]) -> None:
    first, second = clients
    held = ask(first)
    assert ask(second).number == 1
    first.release(held)
    taken = ask(second)
    assert (taken.number, taken.params) == (held.number, held.params)
    assert first.trials()[0].user_attrs["lease"]["controller"] == second.controller


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_trial_that_another_controller_took_for_lost_is_no_longer_ours(
    clients: list[StudyClient], is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither begun nor released, reported nor told, whether the other one runs it already or not."""
    first, second = clients
    held = ask(first)
    assert first.runs(held)
    monkeypatch.setattr(second, "_lives", lambda controller: False)
    assert second.recover(lambda trial, loss: loss) == 1
    taken = ask(second) if is_taken else None
    assert not first.runs(held)
    assert not first.begin(held)
    first.release(held)
    first.report({held: {1: 0.5}})
    assert not first.tell(held, Outcome(Status.COMPLETE, values=(1.0,)))
    stored = first.trials()[0]
    assert stored.state is (TrialState.RUNNING if is_taken else TrialState.WAITING)
    assert stored.intermediate_values == {}
    assert taken is None or second.tell(taken, Outcome(Status.COMPLETE, values=(2.0,)))


def test_a_trial_that_is_over_is_neither_begun_nor_released(clients: list[StudyClient]) -> None:
    first, second = clients
    held = ask(first)
    second.study.tell(0, state=TrialState.FAIL)
    assert not first.begin(held)
    first.release(held)
    assert first.trials()[0].state is TrialState.FAIL


def test_a_trial_that_was_cut_goes_on_under_its_number_with_its_reports(clients: list[StudyClient]) -> None:
    first, second = clients
    held = ask(first)
    first.report({held: {1: 0.5, 2: 0.25}})
    assert not first.tell(held, Outcome(Status.INTERRUPTED, "Ctrl-C", seconds=2.0))
    (waiting,) = first.trials()
    assert (ending(waiting), reason(waiting), took(waiting)) == (Status.INTERRUPTED, "Ctrl-C", 2.0)
    assert not counts(waiting)
    taken = ask(second)
    assert (taken.number, taken.params) == (0, held.params)
    assert second.stored(taken).intermediate_values == {1: 0.5, 2: 0.25}
    assert [attempt["status"] for attempt in attempts(taken)] == ["interrupted"]
    second.report({taken: {3: 0.125}})
    assert second.tell(taken, Outcome(Status.COMPLETE, values=(1.0,), seconds=3.0))
    (done,) = second.trials()
    assert (done.state, done.intermediate_values) == (TrialState.COMPLETE, {1: 0.5, 2: 0.25, 3: 0.125})
    assert (ending(done), reason(done), took(done)) == (Status.COMPLETE, None, 5.0)


def test_a_killed_trial_is_retried_as_often_as_retries_allow_and_an_interrupted_one_always(
    clients: list[StudyClient],
) -> None:
    first, _ = clients
    first.retries = 1
    killed, interrupted = Outcome(Status.KILLED, "signal SIGKILL"), Outcome(Status.INTERRUPTED, "Ctrl-C")
    told = [first.tell(ask(first), outcome) for outcome in (interrupted, killed, interrupted, interrupted, killed)]
    assert told == [False, False, False, False, True]
    (trial,) = first.trials()
    assert (trial.state, reason(trial), len(attempts(trial))) == (TrialState.FAIL, "signal SIGKILL", 4)
    assert times_killed(trial) == 1


def test_a_trial_of_an_earlier_version_has_the_retries_that_it_had_left(clients: list[StudyClient]) -> None:
    first, _ = clients
    first.retries = 1
    first.study.enqueue_trial({"x": 0.5}, user_attrs={"again": 0, "attempt": 1})
    assert first.tell(ask(first), Outcome(Status.KILLED, "signal SIGKILL"))


def test_a_study_of_an_earlier_version_has_its_budget(clients: list[StudyClient]) -> None:
    first, _ = clients
    old = ask(first)
    old.set_user_attr("queued again", True)
    first.study.tell(old, state=TrialState.FAIL)
    first.study.enqueue_trial(old.params, user_attrs={"again": 0, "attempt": 0})
    new = ask(first)
    assert new.params == old.params
    assert [trial.number for trial in counted(first.trials())] == [1]


def test_only_trials_of_this_controller_that_never_began_are_released(clients: list[StudyClient]) -> None:
    first, second = clients
    begun, lost, other = ask(first), ask(first), ask(second)
    first.release_unbegun(lambda number: number == begun.number)
    states = [first.trials()[trial.number].state for trial in (begun, lost, other)]
    assert states == [TrialState.RUNNING, TrialState.WAITING, TrialState.RUNNING]


def test_what_was_released_does_not_run_in_an_extended_study(clients: list[StudyClient]) -> None:
    first, _ = clients
    first.release(ask(first))
    first.study.enqueue_trial({"x": 0.5})
    first.drop_waiting()
    released, queued = first.trials()
    assert (released.state, counts(released)) == (TrialState.FAIL, False)
    assert queued.state is TrialState.WAITING


def test_what_was_cut_begins_anew_in_an_extended_study(clients: list[StudyClient]) -> None:
    first, _ = clients
    first.tell(ask(first), Outcome(Status.INTERRUPTED, "Ctrl-C"))
    first.drop_waiting()
    old, new = first.trials()
    assert (old.state, counts(old), ending(old)) == (TrialState.FAIL, False, Status.INTERRUPTED)
    assert new.state is TrialState.WAITING
    assert (ask(first).params, attempts(new)) == (old.params, ())
