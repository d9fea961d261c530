import io
import logging
import os
import re
import shlex
import sys
from collections import Counter, deque
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from optuna.trial import FixedTrial
from rich.console import Console

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


def active(number: int, values: dict[str, Any] | None = None) -> Active:
    trial: Any = FixedTrial({"x": number}, number)
    return Active(
        Suggestion(trial, values or {"x": number}), deque(), Reports(trial, mock.Mock(), mock.Mock(), prunes=False)
    )


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


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 9 lines."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120", "LINES": "9"}.items():
        monkeypatch.setenv(name, value)


def shown(progress: ProgressTable) -> list[str]:
    out = io.StringIO()
    Console(width=120, file=out, color_system=None, force_terminal=False).print(progress._live.get_renderable())
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_line_of_a_terminal_is_as_wide_as_it_and_the_log_has_all_of_it(
    spec: SweepSpec, terminal: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    searched, _ = spec_of("+model.width=1,2", "+other.width=0.123456789,1")
    reason = "a long reason that nobody would want to be cut"
    with ProgressTable(replace(spec, space=searched.space), summary(9)) as progress:
        for number, ending in enumerate((Outcome(Status.COMPLETE, values=(2.0,)), Outcome(Status.KILLED, reason))):
            running = active(number, {"model.width": 2, "other.width": 0.123456789})
            progress.started(running)
            progress.ended(running, ending, counts=True)
    printed = [line for line in capsys.readouterr().out.splitlines() if "#" in line and "trial" not in line]
    lines = [re.sub(r"\x1b\[[\d;?]*\w|\r", "", line).rstrip() for line in printed]
    assert "#0  objective 2  (best so far)  0.0s ..." in lines
    assert f"#1  KILLED: {reason}  0.0s" in lines
    logged = (spec.folder / "sweep.log").read_text().splitlines()
    assert [line.rpartition("0.0s  ")[2] for line in logged] == ["model_width=2  other_width=0.1235"] * 2


def test_what_others_log_does_not_cut_the_table(
    spec: SweepSpec, terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    handler, log = logging.StreamHandler(sys.stdout), logging.getLogger()
    log.addHandler(handler)
    try:
        with ProgressTable(spec, summary(9)) as progress:
            assert handler.stream is sys.stdout  # which is rich's now
            progress.started(active(0))
            log.warning("W&B says something")
        assert handler.stream is sys.stdout
        log.warning("and later, too")
    finally:
        log.removeHandler(handler)
    lines = [re.sub(r"\x1b\[[\d;?]*\w|\r", "", line) for line in capsys.readouterr().out.splitlines()]
    assert "W&B says something" in lines
    assert "and later, too" in lines


def test_the_table_says_on_which_nodes_trials_run(spec: SweepSpec, terminal: None) -> None:
    with ProgressTable(spec, summary(9)) as progress:
        for number in range(3):
            progress.started(active(number))
            progress.placed(active(number), f"gpu{number // 2}")
        progress.tick(4, 0.75, nodes=2)
        headline, names, *trials = shown(progress)
    assert headline == "study: 0 of 9 trials, 4 slots on 2 nodes 75% in use"
    assert names.split()[:3] == ["trial", "node", "step"]
    assert [line.split()[:2] for line in trials] == [["#0", "gpu0"], ["#1", "gpu0"], ["#2", "gpu1"]]


def test_the_table_on_one_machine_has_no_nodes(spec: SweepSpec, terminal: None) -> None:
    with ProgressTable(spec, summary(9)) as progress:
        progress.started(active(0))
        progress.placed(active(0), "")
        progress.tick(1, 1.0)
        headline, names, _ = shown(progress)
    assert headline == "study: 0 of 9 trials, 1 slot 100% in use"
    assert "node" not in names


def test_the_table_fits_the_terminal_however_many_trials_run(spec: SweepSpec, terminal: None) -> None:
    with ProgressTable(spec, summary(None)) as progress:
        for number in range(1000):
            progress.started(active(number))
        lines = shown(progress)
    assert len(lines) == 9
    assert lines[-1] == "and 994 more"
