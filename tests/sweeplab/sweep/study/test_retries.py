import pytest

from sweeplab.errors import UserError
from sweeplab.records.record import Status
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.trials import counted
from tests.sweeplab.sweep.study.conftest import ask


def fail(client: StudyClient) -> None:
    client.tell(ask(client), Outcome(Status.FAILED, "no good"))


def test_failed_trials_run_again_as_others_that_say_which(clients: list[StudyClient]) -> None:
    first, second = clients
    fail(first)
    first.tell(ask(first), Outcome(Status.COMPLETE, values=(1.0,)))
    fail(first)
    assert first.retry() == 2
    assert second.retry() == 0
    assert [trial.number for trial in counted(first.trials())] == [1]
    assert [ask(second).params for _ in range(2)] == [first.trials()[number].params for number in (0, 2)]
    assert [trial.number for trial in counted(first.trials())] == [1, 3, 4]
    second.tell(second.trials()[3], Outcome(Status.FAILED, "still no good"))
    assert second.retry() == 1
    assert [trial.user_attrs.get("replaces") for trial in first.trials()] == [None, None, None, 0, 2, 3]


def test_some_failed_trials_run_again_by_number(clients: list[StudyClient]) -> None:
    first, _ = clients
    for _ in range(3):
        fail(first)
    first.tell(ask(first), Outcome(Status.COMPLETE, values=(1.0,)))
    assert first.retry([0, 2]) == 2
    assert first.retry([0, 2]) == 0  # the same command again
    assert [trial.user_attrs.get("replaces") for trial in first.trials()[4:]] == [0, 2]
    fail(first)
    assert first.retry([0]) == 1  # which stands for what has its point now
    with pytest.raises(UserError, match=r"retry=9: there is no trial 9; the study has 7"):
        first.retry([1, 9])
    with pytest.raises(UserError, match=r"retry=3: trial 3 is complete; name trials that failed"):
        first.retry([3])
