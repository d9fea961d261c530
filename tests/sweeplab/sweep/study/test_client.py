from optuna.trial import TrialState

from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.trials import counts
from tests.sweeplab.sweep.study.conftest import ask


def test_a_trial_that_is_given_back_keeps_its_number_and_its_point(clients: list[StudyClient]) -> None:
    first, second = clients
    held = ask(first)
    assert ask(second).number == 1
    first.requeue(held._trial_id)
    taken = ask(second)
    assert (taken.number, taken.params) == (held.number, held.params)
    assert first.trials()[0].user_attrs["lease"]["controller"] == second.controller


def test_a_trial_that_is_over_is_neither_begun_nor_given_back(clients: list[StudyClient]) -> None:
    """Another machine may have taken this controller for lost."""
    first, second = clients
    held = ask(first)
    second.tell(second.trials()[0], Outcome(Status.KILLED, "machine lost"))
    assert not first.begin(held)
    first.requeue(held._trial_id)
    assert first.trials()[0].state is TrialState.FAIL


def test_only_trials_of_this_controller_that_never_began_are_given_back(clients: list[StudyClient]) -> None:
    first, second = clients
    begun, lost, other = ask(first), ask(first), ask(second)
    first.requeue_unbegun(lambda number: number == begun.number)
    states = [first.trials()[trial.number].state for trial in (begun, lost, other)]
    assert states == [TrialState.RUNNING, TrialState.WAITING, TrialState.RUNNING]


def test_what_was_given_back_does_not_run_in_an_extended_study(clients: list[StudyClient]) -> None:
    first, _ = clients
    first.requeue(ask(first)._trial_id)
    first.study.enqueue_trial({"x": 0.5})
    first.drop_requeued()
    given_back, queued = first.trials()
    assert (given_back.state, counts(given_back)) == (TrialState.FAIL, False)
    assert queued.state is TrialState.WAITING
