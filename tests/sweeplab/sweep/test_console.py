import os
import shlex
from collections import Counter, deque
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from optuna.trial import FixedTrial

from sweeplab.records.record import Status
from sweeplab.sweep.active import Active, Reports
from sweeplab.sweep.console import ProgressTable, closing, greeting
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.results import Summary
from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.suggestions import Suggestion
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import Sweep
from tests.sweeplab.sweep.specs import spec_of


@pytest.fixture
def spec(folder: Path) -> SweepSpec:
    spec, _ = spec_of("x=1,2,3")
    spec.folder.mkdir(parents=True)
    return spec


def active(number: int) -> Active:
    trial: Any = FixedTrial({"x": number}, number)
    return Active(Suggestion(trial, {"x": number}), deque(), Reports(trial, mock.Mock(), prunes=False))


def summary(total: int | None, running: int = 0, **endings: int) -> Summary:
    return Summary([], Counter(endings), [], {}, running, total)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (summary(4), "study: 0 of 4 trials finished, 2 at a time, in multirun/study"),
        (summary(4, complete=2, failed=1), "study: 3 of 4 trials finished, 2 at a time, in multirun/study"),
        (summary(1), "study: 0 of 1 trial finished, 2 at a time, in multirun/study"),
        (summary(None, complete=1), "study: 1 trial finished, 2 at a time, in multirun/study"),
    ],
)
def test_the_first_message_says_where_the_sweep_stands(spec: SweepSpec, before: Summary, said: str) -> None:
    assert greeting(spec, before, 2, 0, 0, []) == said


def test_the_first_message_says_what_was_recovered_and_extended(spec: SweepSpec) -> None:
    said = greeting(spec, summary(4), 2, 1, 2, ["x was 1..2, is 1..3"])
    recovered, retried = "1 trial of a dead controller recovered", "2 failed trials run again"
    assert said.endswith(f"multirun/study; {recovered}; {retried}; extended: x was 1..2, is 1..3")


def test_the_last_message_says_why_a_sweep_ended_short_of_its_budget(spec: SweepSpec) -> None:
    said = closing(spec, summary(4, 1, complete=1, failed=1), 61.0)
    assert said.startswith("study: 1 complete, 1 failed, in 1:01.\nStill running elsewhere: 1 trial.\n")
    assert "2 of 4 trials finished: there is no further point to try." in said
    said = closing(spec, replace(summary(4), stopped="interrupted"), 1.0)
    assert "Stopped: interrupted.\nTo resume: python app.py study=study" in said
    assert "No trial has a value." in said


def test_a_value_is_set_beside_the_best_so_far(spec: SweepSpec, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        Outcome(Status.COMPLETE, values=(2.0,), seconds=1.5),
        Outcome(Status.COMPLETE, values=(3.0,)),
        Outcome(Status.COMPLETE, values=(1.0,), constraints={"size": 1.0}),
        Outcome(Status.PRUNED),
        Outcome(Status.KILLED, "signal SIGKILL"),
    ]
    with ProgressTable(spec, summary(9)) as progress:
        for number, outcome in enumerate(outcomes):
            progress.started(active(number))
            progress.reported(active(number), 0.5, 7)
            progress.ended(active(number), outcome, counts=outcome.status is not Status.KILLED)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "#0  objective 2  (best so far)  1.5s  x=0",
        "#1  objective 3  (best 2, #0)  0.0s  x=1",
        "#2  objective 1  0.0s  x=2",  # it broke a constraint
        "#3  pruned at step 7, objective 0.5  0.0s  x=3",
        "#4  KILLED: signal SIGKILL  goes on later  0.0s  x=4",
    ]
    logged = (spec.folder / "sweep.log").read_text().splitlines()
    assert [line.partition("#")[2] for line in logged] == [line[1:] for line in lines]


def test_a_sweep_goes_on_when_nobody_reads_its_output(spec: SweepSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with ProgressTable(spec, summary(9)) as progress, os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        progress.print("first")
        progress.print("second")
    assert [line[-6:] for line in (spec.folder / "sweep.log").read_text().splitlines()] == [" first", "second"]


@pytest.mark.slow
def test_the_last_message_has_the_best_trial_its_folder_and_its_command(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("x=2,1", "name='two words'") == 0
    last = capsys.readouterr().out.partition("Best: ")[2]
    assert last.startswith("#1  objective 1")
    assert "multirun/study/1" in last
    command = shlex.split(last.partition("to run it again ")[2].splitlines()[0])
    assert command[2:] == ["x=1", "name='two words'"]


@pytest.mark.slow
def test_a_program_that_runs_a_folder_again_is_told_which(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    rerun = ("hydra.sweeper.rerun_key=rerun", "x=2,1")
    assert sweep(*rerun, task=app.records) == 0
    assert "to run it again python " in (said := capsys.readouterr().out)
    assert said.partition("to run it again ")[2].splitlines()[0].endswith(" rerun=multirun/study/1")
    assert sweep(*rerun, "study=repeats", "hydra.sweeper.repeats=2", task=app.records) == 0
    said = capsys.readouterr().out
    assert said.partition("to run it again ")[2].splitlines()[0].endswith(" rerun=multirun/repeats/1/0")
    assert sweep(*rerun, "study=foreign") == 0  # its trials are no runs
    assert capsys.readouterr().out.partition("to run it again ")[2].splitlines()[0].endswith(" x=1")


@pytest.mark.slow
def test_each_trial_is_a_line_of_the_log_and_failures_say_where_to_look(sweep: Sweep) -> None:
    assert sweep("x=1,2", "how=raises", "only=2") == 0
    lines = Path("multirun/study/sweep.log").read_text().splitlines()
    assert sum(" #0  objective 1  (best so far)" in line for line in lines) == 1
    assert sum("#1  FAILED: RuntimeError: no good  see multirun/study/1/output.log" in line for line in lines) == 1
