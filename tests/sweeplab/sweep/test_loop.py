import json
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweeplab.sweep import active
from sweeplab.sweep.study import client, suggestions
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.storage import open_storage, write_reports
from sweeplab.sweep.study.study import open_study
from sweeplab.sweep.study.trials import beginning
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import Sweep, states, trials


@pytest.mark.slow
def test_no_slot_waits_while_budget_is_left(sweep: Sweep) -> None:
    """One trial waits until the last of the five others begins, which go through the second slot meanwhile."""
    assert sweep("x=5,0,1,2,3,4", task=app.is_last) == 0
    ended = sorted(trials(), key=lambda trial: str(trial.datetime_complete))
    assert [trial.number for trial in ended][:4] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_grid_is_gone_through_in_hydras_order(sweep: Sweep) -> None:
    assert sweep("opt=sgd,adam", "x=1,2", "y=range(2)") == 0
    tried = [(trial.params["opt"], trial.params["x"], trial.params["y"]) for trial in trials()]
    assert tried == [(opt, x, y) for opt in ("sgd", "adam") for x in (1, 2) for y in (0, 1)]


@pytest.mark.slow
def test_the_budget_is_the_studys_total(sweep: Sweep) -> None:
    for total in (2, 5, 5):
        assert sweep("x=interval(0,1)", f"hydra.sweeper.n_trials={total}") == 0
        assert states() == ["COMPLETE"] * total


@pytest.mark.slow
def test_trials_that_another_controller_took_for_lost_are_stopped(
    sweep: Sweep, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes would write in one folder else; here the first controller gets the trial again."""
    monkeypatch.setattr(client, "HEARTBEAT", 0.2)

    def take() -> None:
        while not (folder / "multirun/study/0/output.log").exists():
            time.sleep(0.05)
        storage, lock = open_storage(None, folder / "multirun/study")
        other = StudyClient(open_study(storage, "study", [StudyDirection.MINIMIZE]), lock, 0, folder)
        other._lives = lambda controller: False  # type: ignore[method-assign]  # as if it had heard nothing for long
        assert other.recover(lambda trial, loss: loss) == 1

    other = threading.Thread(target=take)
    other.start()
    assert sweep("x=1", "hydra.sweeper.n_jobs=1", task=app.hangs_once) == 0
    other.join()
    (trial,) = trials()
    assert (trial.state.name, trial.value) == ("COMPLETE", 1.0)
    assert [attempt["status"] for attempt in trial.user_attrs["attempts"]] == ["interrupted"]


@pytest.mark.slow
def test_no_trial_starts_when_the_time_is_over(sweep: Sweep) -> None:
    assert sweep("x=interval(0,1)", "steps=1", "sleep=0.3", "hydra.sweeper.timeout=1") == 0
    assert set(states()) - {"WAITING"} == {"COMPLETE"}
    assert 1 <= states().count("COMPLETE") < 20


@pytest.mark.slow
def test_what_was_drawn_ahead_waits_for_the_next_run_of_the_command(sweep: Sweep) -> None:
    search = ("x=0,1,2,3,4,5", "how=raises", "only=2", "hydra.sweeper.fail_fast=true")
    assert sweep(*search) == 1
    (ahead,) = (trial for trial in trials() if trial.state is TrialState.WAITING)
    assert not Path(f"multirun/study/{ahead.number}").exists()
    assert sweep(*search) == 0
    assert trials()[ahead.number].params == ahead.params
    assert states() == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "short"), [(1, suggestions.SHORT_TRIAL), (2, 0.0)])
def test_one_slot_and_long_trials_draw_with_the_last_result(
    sweep: Sweep, slots: int, short: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is drawn ahead would be left in the study."""
    monkeypatch.setattr(suggestions, "SHORT_TRIAL", short)
    failing = ("how=raises", "only=2", "hydra.sweeper.fail_fast=true")
    assert sweep("x=0,1,2,3,4,5", f"hydra.sweeper.n_jobs={slots}", *failing) == 1
    assert "WAITING" not in states()


@pytest.mark.slow
def test_what_is_drawn_ahead_begins_when_it_has_a_slot(sweep: Sweep) -> None:
    assert sweep("x=interval(0,1)", "steps=1", "sleep=0.5", "hydra.sweeper.n_trials=8") == 0
    spans = [(beginning(trial), trial.datetime_complete) for trial in trials()]
    at_once = [sum(start < other < end for start, end in spans if start and end) for other, _ in spans if other]
    assert max(at_once) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "ended"), [("fail_fast=true", 1), ("max_failures=2", 3), ("max_failure_rate=0.5", 5), ("retries=0", 5)]
)
def test_too_many_failures_end_a_sweep(
    sweep: Sweep, limit: str, ended: int, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = ("hydra.sweeper.n_trials=20", "hydra.sweeper.n_jobs=1", f"hydra.sweeper.{limit}")
    assert sweep("x=interval(0,1)", "how=raises", *budget) == 1
    assert states() == ["FAIL"] * ended
    said = capsys.readouterr().out
    assert f"{ended} of {ended} trial{'s' if ended > 1 else ''} failed" in said
    assert "RuntimeError: no good" in said
    assert re.search(r"multirun/study/\d+/output\.log", said)


@pytest.mark.slow
def test_a_few_failures_do_not_end_a_sweep(sweep: Sweep) -> None:
    assert sweep("x=range(12)", "how=raises", "only=3") == 0
    assert states().count("COMPLETE") == 11


@pytest.mark.slow
@pytest.mark.parametrize("storage", [None, "sqlite:///study.db"])
def test_thousands_of_reports_reach_the_study_in_few_writes(
    sweep: Sweep, storage: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active, "WRITE_EVERY", float("inf"))
    writes: list[int] = []

    def counted(storage: BaseStorage, trial_id: int, values: Mapping[int, float]) -> None:
        writes.append(len(values))
        write_reports(storage, trial_id, values)

    monkeypatch.setattr("sweeplab.sweep.study.client.write_reports", counted)
    where = [f"hydra.sweeper.storage={storage}"] if storage else []
    assert sweep("x=1,2", "steps=3000", *where) == 0
    assert [trial.state.name for trial in trials(storage=storage)] == ["COMPLETE", "COMPLETE"]
    assert all(len(trial.intermediate_values) == 3000 for trial in trials(storage=storage))
    assert trials(storage=storage)[1].intermediate_values[17] == 2.017
    assert sorted(writes) == [1, 2999, 3000]  # the first of all at once


@pytest.mark.slow
def test_a_pruner_has_each_report_at_once(sweep: Sweep) -> None:
    prune = ("hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=1.0195")
    assert sweep("x=1", "steps=200", *prune) == 1  # no trial has a value
    (trial,) = trials()
    assert (trial.state.name, trial.last_step) == ("PRUNED", 20)


def test_each_repeat_has_its_seed_and_folder_and_the_trial_their_mean(sweep: Sweep) -> None:
    assert sweep("x=1,2", "seed=10", "hydra.sweeper.repeats=3") == 0
    assert [trial.value for trial in trials()] == [12.0, 13.0]
    for repeat in range(3):
        overrides = Path(f"multirun/study/1/{repeat}/.hydra/overrides.yaml").read_text()
        assert f"- seed={10 + repeat}\n" in overrides


def test_a_point_is_not_repeated_when_its_first_run_is_pruned(sweep: Sweep) -> None:
    prune = ("hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=1.5", "hydra.sweeper.repeats=2")
    assert sweep("x=1,2", "steps=1", *prune) == 0
    assert states() == ["COMPLETE", "PRUNED"]
    assert sorted(path.name for path in Path("multirun/study/1").iterdir()) == ["0"]


def test_one_failed_repeat_fails_the_trial(sweep: Sweep) -> None:
    assert sweep("x=1", "how=raises", "hydra.sweeper.repeats=3", "hydra.sweeper.n_jobs=1") == 1
    assert states() == ["FAIL"]
    assert sorted(path.name for path in Path("multirun/study/0").iterdir()) == ["0"]


def test_constraints_decide_what_is_best(sweep: Sweep) -> None:
    assert sweep("x=1,2,3", "limit=2", "hydra.sweeper.direction=maximize") == 0
    assert [trial.constraints for trial in trials()] == [{"x": -1.0}, {"x": 0.0}, {"x": 1.0}]
    assert "best_value: 2.0" in Path("multirun/study/optimization_results.yaml").read_text()


def test_constraints_need_no_record_of_the_run(sweep: Sweep) -> None:
    assert sweep("x=1,2", "limit=2", task=app.records_its_own_way) == 0
    assert [trial.constraints for trial in trials()] == [{"x": -1.0}, {"x": 0.0}]
    assert Path("multirun/study/0/run.json").read_text() == '{"acc": 0.9}'


def test_several_objectives_end_in_a_front(sweep: Sweep) -> None:
    assert sweep("x=1,2,3", "objectives=2", "hydra.sweeper.direction=[minimize,minimize]") == 0
    assert [trial.values for trial in trials()] == [[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]]
    results = Path("multirun/study/optimization_results.yaml").read_text()
    assert results.count("values:") == 3


def test_the_task_sees_the_command_of_a_single_run(sweep: Sweep) -> None:
    assert sweep("x=1,2", "+words='a b'") == 0
    overrides = Path("multirun/study/1/.hydra/overrides.yaml").read_text()
    assert "x=2" in overrides
    assert "+words='a b'" in overrides


def test_what_a_trial_prints_is_in_its_own_log(sweep: Sweep, capfd: pytest.CaptureFixture[str]) -> None:
    assert sweep("x=1,2") == 0
    for number, other in ((0, 1), (1, 0)):
        lines = Path(f"multirun/study/{number}/output.log").read_text().splitlines()
        assert f"this is x={number + 1}" in lines
        assert f"this is x={other + 1}" not in lines
    assert "this is" not in capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["spawn", "inline"])
def test_every_executor_comes_to_the_same(sweep: Sweep, executor: str) -> None:
    prune = ("steps=2", "hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=2.0015")
    assert sweep("x=1,2,3", "how=raises", "only=1", *prune, f"hydra.sweeper.executor={executor}") == 1
    assert states() == ["FAIL", "PRUNED", "PRUNED"]


def test_a_trial_knows_itself(sweep: Sweep) -> None:
    assert sweep("y=5", "x=1,2", task=app.tells) == 0
    told = json.loads(Path("multirun/study/1/told.json").read_text())
    assert (told["study"], told["number"], told["params"]) == ("study", 1, {"x": 2})
    assert told["argv"][3:] == ["--config-name", "config", "y=5", "x=2"]


def test_nothing_leaks_from_trial_to_trial(sweep: Sweep) -> None:
    assert sweep("x=1,2,3", "hydra.sweeper.n_jobs=1", task=app.spoils) == 0
    assert [trial.value for trial in trials()] == [0.0, 0.0, 0.0]


def test_inline_tells_each_trial_before_it_asks_for_the_next(sweep: Sweep) -> None:
    inline = ("hydra.sweeper.executor=inline", "hydra.sweeper.fail_fast=true")
    assert sweep("x=range(6)", "how=raises", *inline) == 1
    assert states() == ["FAIL"]


def test_a_sweep_named_by_the_clock_says_how_to_go_on(
    sweep: Sweep, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["app.py", "-m", "x=1,2"])
    assert sweep("study=unnamed", "x=1,2", "how=raises", "hydra.sweeper.fail_fast=true") == 1
    assert "To resume: python app.py -m x=1,2 study=unnamed" in capsys.readouterr().out
