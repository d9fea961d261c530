import time
from collections import deque
from pathlib import Path

import optuna
import pytest
from optuna.study import StudyDirection

from sweeplab.records.record import Status
from sweeplab.sweep import active as module
from sweeplab.sweep.active import Active, Reports, UnwrittenReports
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.storage import open_storage
from sweeplab.sweep.study.study import open_study
from sweeplab.sweep.study.suggestions import Suggestion


@pytest.fixture
def client(tmp_path: Path) -> StudyClient:
    storage, lock = open_storage(None, tmp_path)
    return StudyClient(open_study(storage, "study", [StudyDirection.MINIMIZE]), lock, 0, tmp_path)


@pytest.fixture
def trial(client: StudyClient) -> optuna.Trial:
    trial = client.ask(None, lambda trial: trial.suggest_float("x", 0, 1), None)
    assert trial is not None
    return trial


def reports_of(client: StudyClient, trial: optuna.Trial, prunes: bool) -> Reports:
    return Reports(trial, client, UnwrittenReports(client), prunes)


def stored(client: StudyClient, trial: optuna.Trial) -> dict[int, float]:
    return client.stored(trial).intermediate_values


def test_reports_wait_for_the_next_write_where_no_pruner_looks(
    client: StudyClient, trial: optuna.Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITE_EVERY", float("inf"))
    reports = reports_of(client, trial, False)
    assert all(reports.add(step / 10, step) for step in range(4))
    assert stored(client, trial) == {0: 0.0}  # the first at once
    reports.write()
    assert stored(client, trial) == {0: 0.0, 1: 0.1, 2: 0.2, 3: 0.3}
    assert not reports.should_prune()


def test_the_reports_of_all_trials_are_written_together(
    client: StudyClient, trial: optuna.Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = client.ask(None, lambda trial: trial.suggest_float("x", 0, 1), None)
    assert other is not None
    unwritten = UnwrittenReports(client)
    unwritten.add(trial, 0.0, 0)
    for number, each in enumerate((trial, other), 1):
        Reports(each, client, unwritten, prunes=False).add(number / 10, number)
    assert (stored(client, trial), stored(client, other)) == ({0: 0.0}, {})
    unwritten.write()
    assert (stored(client, trial), stored(client, other)) == ({0: 0.0}, {})
    monkeypatch.setattr(module, "WRITE_EVERY", 0.0)
    unwritten.write()
    assert (stored(client, trial), stored(client, other)) == ({0: 0.0, 1: 0.1}, {2: 0.2})


def test_a_pruner_has_each_report_at_once(client: StudyClient, trial: optuna.Trial) -> None:
    client.study.pruner = optuna.pruners.ThresholdPruner(upper=1.0)
    reports = reports_of(client, trial, True)
    assert reports.add(0.5, 0)
    assert not reports.should_prune()
    assert reports.add(1.5, 1)
    assert reports.should_prune()


@pytest.mark.parametrize("prunes", [True, False])
def test_the_first_report_of_a_step_counts(client: StudyClient, trial: optuna.Trial, prunes: bool) -> None:
    reports = reports_of(client, trial, prunes)
    assert [reports.add(value, 7) for value in (1.0, 2.0)] == [True, False]
    reports.write()
    assert stored(client, trial) == {7: 1.0}


def test_a_trial_that_another_controller_ended_is_stopped(client: StudyClient, trial: optuna.Trial) -> None:
    client.tell(trial, Outcome(Status.KILLED, "machine lost"))
    reports = reports_of(client, trial, True)
    reports.add(0.5, 0)
    assert reports.should_prune()


def of(client: StudyClient, trial: optuna.Trial, *outcomes: Outcome) -> Outcome:
    active = Active(Suggestion(trial, trial.params), deque(), reports_of(client, trial, False), outcomes=list(outcomes))
    assert active.number == trial.number
    assert active.started <= time.monotonic()
    return active.outcome()


def test_repeats_come_to_their_mean_and_their_worst_constraint(client: StudyClient, trial: optuna.Trial) -> None:
    first = Outcome(Status.COMPLETE, values=(1.0, 4.0), seconds=1.5, constraints={"memory": -1.0})
    second = Outcome(Status.COMPLETE, values=(2.0, 8.0), seconds=2.0, constraints={"memory": 3.0})
    whole = of(client, trial, first, second)
    assert (whole.values, whole.seconds, whole.constraints) == ((1.5, 6.0), 3.5, {"memory": 3.0})


def test_the_first_repeat_that_is_not_complete_is_what_the_trial_came_to(
    client: StudyClient, trial: optuna.Trial
) -> None:
    good, bad = Outcome(Status.COMPLETE, values=(1.0,), seconds=1.0), Outcome(Status.FAILED, "no good", seconds=2.0)
    whole = of(client, trial, good, bad, Outcome(Status.KILLED, "later"))
    assert (whole.status, whole.reason, whole.seconds) == (Status.FAILED, "no good", 3.0)


def test_repeats_without_an_objective_have_no_value(client: StudyClient, trial: optuna.Trial) -> None:
    whole = of(client, trial, Outcome(Status.COMPLETE, values=(1.0,)), Outcome(Status.COMPLETE))
    assert (whole.status, whole.values) == (Status.COMPLETE, None)
