"""The table of endings: a real cause each, and what Optuna, the run's record and the shell say of it."""

import csv
import json
from pathlib import Path

import pytest

from sweeplab.sweep.execute import local
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import Sweep, processes_in, states, trials


def ended(folder: Path) -> str:
    return str(json.loads((folder / "run.json").read_text())["status"])


def test_a_trial_that_returns_is_complete_with_its_value(sweep: Sweep) -> None:
    assert sweep("x=3", task=app.records) == 0
    (trial,) = trials()
    assert (trial.state.name, trial.value, trial.user_attrs["ending"]) == ("COMPLETE", 3.0, "complete")
    assert ended(Path("multirun/study/0")) == "complete"


def test_a_trial_that_raises_fails_with_its_reason_and_is_not_tried_again(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=raises", "only=1", task=app.records) == 0
    failed, good = trials()
    assert (failed.state.name, good.state.name) == ("FAIL", "COMPLETE")
    assert failed.user_attrs["reason"] == "RuntimeError: no good"
    assert ended(Path("multirun/study/0")) == "failed"
    assert "RuntimeError: no good" in Path("multirun/study/0/output.log").read_text()


def test_a_mistake_that_all_trials_share_ends_the_sweep(sweep: Sweep, capfd: pytest.CaptureFixture[str]) -> None:
    assert sweep("x=1,2,3,4", "hydra.sweeper.n_jobs=1", task=app.misconfigured) == 1
    (trial,) = trials()
    assert (trial.state.name, trial.user_attrs["reason"]) == ("FAIL", "the objective is not logged")
    shown = "".join(capfd.readouterr())
    assert "every trial would fail as #0 did: the objective is not logged" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("executor", ["spawn", "inline"])
def test_no_limit_of_failures_lets_a_shared_mistake_go_on(sweep: Sweep, executor: str) -> None:
    limits = ("hydra.sweeper.max_failures=10", "hydra.sweeper.max_failure_rate=1", "hydra.sweeper.repeats=2")
    alone = ("hydra.sweeper.n_jobs=1", f"hydra.sweeper.executor={executor}")
    assert sweep("x=1,2,3", *limits, *alone, task=app.misconfigured) == 1
    assert states() == ["FAIL"]
    assert sorted(path.name for path in Path("multirun/study/0").iterdir()) == ["0"]


def test_trials_under_way_end_as_they_do_when_another_finds_a_shared_mistake(sweep: Sweep) -> None:
    assert sweep("x=1,2,3,4", "only=1", "sleep=1", "hydra.sweeper.n_jobs=2", task=app.misconfigured) == 1
    assert states() == ["FAIL", "COMPLETE"]


def test_a_mistake_that_an_earlier_trial_did_not_have_is_not_shared(
    sweep: Sweep, capfd: pytest.CaptureFixture[str]
) -> None:
    assert sweep("x=1,2,3", "hydra.sweeper.n_jobs=1", task=app.needs_more) == 0
    assert states() == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials()[1].user_attrs["reason"] == "there is no data for 2"
    assert "every trial would fail" not in "".join(capfd.readouterr())


def test_another_mistake_of_the_user_is_that_trials_own(sweep: Sweep) -> None:
    assert sweep("x=1,2,3", "hydra.sweeper.n_jobs=1", task=app.mistaken) == 0
    assert states() == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials()[0].user_attrs["reason"] == "UserError: x=1 is too little"


@pytest.mark.parametrize("task", [app.nothing, app.words, app.not_a_number, app.infinite, app.some_bytes])
def test_a_trial_without_a_finite_objective_fails(sweep: Sweep, task: object) -> None:
    assert sweep("x=1", "hydra.sweeper.direction=minimize", task=task) == 1
    (trial,) = trials()
    assert trial.state.name == "FAIL"
    assert "objective" in trial.user_attrs["reason"] or "not a number" in trial.user_attrs["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("task", [app.nothing, app.words, app.two_numbers])
def test_a_grid_for_which_nobody_named_an_objective_needs_none(
    sweep: Sweep, task: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("x=1,2", "hydra.sweeper.repeats=2", task=task) == 0
    assert states() == ["COMPLETE"] * 2
    assert all("no value" in trial.user_attrs for trial in trials())
    said = capsys.readouterr().out
    assert "study: 2 complete" in said
    assert "est:" not in said
    rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
    assert [(row["status"], row["objective"]) for row in rows] == [("complete", "")] * 2
    assert not Path("multirun/study/best.yaml").exists()
    assert sweep("x=1,2", "hydra.sweeper.repeats=2", task=task) == 0


@pytest.mark.slow
@pytest.mark.parametrize("task", [app.nothing, app.not_a_number, app.infinite])
def test_a_search_needs_an_objective_and_a_grid_no_number_that_is_none(sweep: Sweep, task: object) -> None:
    more = ("hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=1") if task is app.nothing else ()
    assert sweep("x=1,2", *more, task=task) == 1
    assert set(states()) == {"FAIL"}


def test_numbers_of_other_kinds_are_objectives_too(sweep: Sweep) -> None:
    kinds = "name=text,scalar,array,table,'of no dimension',list,integer"
    assert sweep(kinds, "hydra.sweeper.direction=minimize", task=app.a_number) == 0
    assert [trial.value for trial in sorted(trials(), key=lambda trial: trial.number)] == [1.5] * 6 + [1.0]
    assert sweep("x=2", "study=two", "hydra.sweeper.direction=[minimize,minimize]", task=app.two_numbers) == 0
    assert trials("two")[0].values == [1.5, 2.0]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("sigkill", "signal SIGKILL"),
        ("segfault", "signal SIGSEGV"),
        ("exits", "the process exited with code 3"),
    ],
)
def test_a_killed_trial_is_tried_again_as_often_as_retries_allow(sweep: Sweep, how: str, reason: str) -> None:
    assert sweep("x=1,2", f"how={how}", "only=1", "hydra.sweeper.retries=2", task=app.records) == 0
    killed, good = trials()
    assert (killed.state.name, good.state.name) == ("FAIL", "COMPLETE")
    assert killed.user_attrs["ending"] == "killed"
    cut = killed.user_attrs["attempts"]
    assert [attempt["status"] for attempt in cut] == ["killed"] * 2
    assert all(each["reason"].startswith(reason) for each in (*cut, killed.user_attrs))
    facts = json.loads(Path("multirun/study/0/run.json").read_text())
    assert [each["status"] for each in (*facts["attempts"], facts)] == ["killed"] * 3
    assert all(each["error"].startswith(reason) for each in (*facts["attempts"], facts))
    spans = [(each["started"], each["ended"]) for each in (*facts["attempts"], facts)]
    assert spans == sorted(spans)
    assert Path("multirun/study/0/output.log").read_text().count("this is x=1") == 3
    rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
    assert [(row["number"], row["status"], row["counts"]) for row in rows] == [
        ("0", "killed", "True"),
        ("1", "complete", "True"),
    ]
    assert rows[0]["reason"].startswith(reason)


@pytest.mark.parametrize("how", ["reports before the start", "constrains by nan", "cannot say why"])
def test_the_mistake_of_a_trial_is_its_own(sweep: Sweep, how: str) -> None:
    assert sweep("x=1,2,3", f"how='{how}'", "only=2") == 0
    assert states() == ["COMPLETE", "FAIL", "COMPLETE"]


@pytest.mark.slow
def test_a_thread_does_not_hold_a_slot_when_its_trial_is_over(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GRACE", 0.5)
    assert sweep("x=1,2,3", "how='leaves a thread'", "hydra.sweeper.n_jobs=1") == 0
    assert states() == ["COMPLETE"] * 3


def test_a_trial_that_was_killed_once_comes_to_its_value(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=once", "mark=${hydra:runtime.cwd}/mark", "hydra.sweeper.n_jobs=1") == 0
    assert states() == ["COMPLETE", "COMPLETE"]
    assert [trial.value for trial in trials()] == [1.0, 2.0]
    assert "reason" not in trials()[0].user_attrs
    lines = Path("multirun/study/0/output.log").read_text().splitlines()
    assert lines.count("this is x=1") == 2
    assert any(line.startswith("Attempt 2 of trial 0") for line in lines)


@pytest.mark.parametrize("sampler", ["auto", "grid"])
def test_failed_trials_run_again_when_the_user_says_so(
    sweep: Sweep, sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ("x=1,2,3,4", f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_jobs=1", "hydra.sweeper.max_failures=9")
    assert sweep(*grid, task=app.needs_a_file) == 0
    assert sorted(states()) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    Path("mended").touch()
    assert sweep(*grid, task=app.needs_a_file) == 0
    assert len(trials()) == 4
    assert sweep(*grid, "hydra.sweeper.retry_failed=true", task=app.needs_a_file) == 0
    assert "2 of 4 trials finished" in (said := capsys.readouterr().out)
    assert "2 failed trials run again" in said
    assert states()[4:] == ["COMPLETE"] * 2
    failed = {trial.number: trial.params for trial in trials()[:4] if trial.state.name == "FAIL"}
    assert {trial.user_attrs["replaces"]: trial.params for trial in trials()[4:]} == failed
    rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
    assert {row["number"] for row in rows if row["counts"] == "False"} == {str(number) for number in failed}
    assert sorted(row["x"] for row in rows if row["counts"] == "True") == ["1", "2", "3", "4"]
    assert sweep(*grid, "hydra.sweeper.retry_failed=true", task=app.needs_a_file) == 0
    assert len(trials()) == 6


def test_some_failed_trials_run_again_by_their_numbers(sweep: Sweep) -> None:
    grid = ("x=1,2,3", "hydra.sweeper.n_jobs=1")
    assert sweep(*grid, task=app.needs_a_file) == 0
    Path("mended").touch()
    assert sweep(*grid, "hydra.sweeper.retry=1", task=app.needs_a_file) == 0
    assert [trial.user_attrs.get("replaces") for trial in trials()] == [None, None, None, 1]
    assert states() == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    with pytest.raises(SystemExit, match=r"retry=2: trial 2 is complete; name trials that failed"):
        sweep(*grid, "hydra.sweeper.retry=[0,2]", task=app.needs_a_file)
    assert len(trials()) == 4
    with pytest.raises(SystemExit, match=r"retry=7: there is no trial 7; the study has 4"):
        sweep(*grid, "hydra.sweeper.retry=[7]", task=app.needs_a_file)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("retry=all",),
            r"retry=all is not a list of numbers of trials; write it as in 'hydra.sweeper.retry=\[12,15\]'",
        ),
        (("retry=1", "retry_failed=true"), "retry_failed=true already runs all failed trials again; remove retry"),
    ],
)
def test_what_cannot_be_retried_is_said_before_anything_runs(sweep: Sweep, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        sweep("x=1,2", *(f"hydra.sweeper.{word}" for word in words))
    assert not Path("multirun").exists()


def test_a_trial_knows_its_attempt_and_finds_what_the_one_before_left(sweep: Sweep) -> None:
    assert sweep("x=1,2", "only=1", "hydra.sweeper.retries=3", task=app.counts_its_attempts) == 0
    assert [trial.value for trial in trials()] == [2.0, 0.0]
    assert Path("multirun/study/0/attempts.txt").read_text() == "0\n1\n2\n"


def test_a_report_of_an_earlier_attempt_is_kept(sweep: Sweep) -> None:
    assert sweep("x=1", "steps=3", "sleep=0.01", task=app.reports_its_attempt) == 0
    (trial,) = trials()
    assert trial.intermediate_values == {1: 0.0, 2: 0.0, 3: 1.0, 4: 1.0}


def test_a_repeat_that_was_complete_is_not_run_again(sweep: Sweep) -> None:
    once = ("how=once", "mark=${hydra:runtime.cwd}/mark-${seed}", "hydra.sweeper.repeats=3", "hydra.sweeper.n_jobs=1")
    Path("mark-0").touch()
    Path("mark-2").touch()
    assert sweep("x=1", *once, task=app.records) == 0
    (trial,) = trials()
    assert (trial.state.name, trial.value) == ("COMPLETE", 2.0)
    logs = [Path(f"multirun/study/0/{repeat}/output.log").read_text() for repeat in range(3)]
    assert [log.count("this is x=1") for log in logs] == [1, 2, 1]
    records = [json.loads(Path(f"multirun/study/0/{repeat}/run.json").read_text()) for repeat in range(3)]
    assert [len(facts.get("attempts", ())) for facts in records] == [0, 1, 0]


@pytest.mark.parametrize(("how", "reason"), [("leaves", "sys.exit(3)"), ("memory", "MemoryError")])
def test_a_trial_that_gives_up_by_itself_fails(sweep: Sweep, how: str, reason: str) -> None:
    assert sweep("x=1", f"how='{how}'") == 1
    (trial,) = trials()
    assert (trial.state.name, trial.user_attrs["ending"]) == ("FAIL", "failed")
    assert reason in trial.user_attrs["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hangs", "hangs deaf"])
def test_a_trial_over_its_time_is_ended_and_not_tried_again(
    sweep: Sweep, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "GRACE", 0.5)
    assert sweep("x=1,2", f"how='{how}'", "only=1", "hydra.sweeper.trial_timeout=2", task=app.records) == 0
    late, good = trials()
    assert (late.state.name, good.state.name) == ("FAIL", "COMPLETE")
    assert (late.user_attrs["ending"], late.user_attrs["reason"]) == ("timeout", "over the time limit of 2 s")
    assert ended(Path("multirun/study/0")) == "timeout"


def test_a_pruned_trial_keeps_its_last_value_and_is_no_failure(sweep: Sweep) -> None:
    prune = ("hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=2.0025")
    assert sweep("x=1,2", "steps=5", *prune, task=app.records) == 0
    good, pruned = trials()
    assert (good.state.name, pruned.state.name) == ("COMPLETE", "PRUNED")
    assert pruned.intermediate_values == {1: 2.001, 2: 2.002, 3: 2.003}
    assert pruned.value == 2.003
    assert ended(Path("multirun/study/1")) == "pruned"


def test_nothing_of_a_trial_outlives_it(sweep: Sweep, folder: Path) -> None:
    assert sweep("x=1", "how='leaves children'") == 0
    assert not [line for line in processes_in(folder) if "sleep 1000" in line]


@pytest.mark.slow
def test_all_ways_to_end_count_as_one_trial_each(sweep: Sweep) -> None:
    assert sweep("how=returns,raises,sigkill,exits,segfault", "x=1") == 0
    assert sorted(trial.user_attrs["ending"] for trial in trials()) == [
        "complete",
        "failed",
        "killed",
        "killed",
        "killed",
    ]
    assert sum(len(trial.user_attrs.get("attempts", ())) for trial in trials()) == 3
