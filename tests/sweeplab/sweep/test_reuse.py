"""Trials that share a process, as far as the user allows."""

from pathlib import Path

import psutil
import pytest

from sweeplab.errors import UserError
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import Sweep, states, trials

ONE = "hydra.sweeper.n_jobs=1"


def left() -> list[psutil.Process]:
    """The processes of trials that still run: the children of the server that they are forked from."""
    return [child for server in psutil.Process().children() for child in server.children()]


@pytest.mark.parametrize("executor", ["local", "spawn"])
def test_a_process_runs_as_many_trials_as_the_user_says(sweep: Sweep, executor: str) -> None:
    assert sweep("x=range(7)", ONE, "hydra.sweeper.reuse=3", f"hydra.sweeper.executor={executor}", task=app.spoils) == 0
    before = [trial.value for trial in trials()]  # how many trials each process had run before
    assert max(value for value in before if value is not None) == 2
    assert before.count(0) in (3, 4)  # two processes take turns: the next trial waits in one while another runs
    assert not left()


def test_a_trial_that_fails_ends_its_process(sweep: Sweep) -> None:
    assert sweep("x=range(6)", ONE, "hydra.sweeper.reuse=100", "how=raises", "only=2") == 0
    assert states() == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("how", ["sigkill", "segfault", "exits", "leaves children", "leaves a thread"])
def test_a_crash_costs_one_trial(sweep: Sweep, how: str) -> None:
    limits = ("hydra.sweeper.reuse=100", "hydra.sweeper.retries=0", "hydra.sweeper.n_jobs=2")
    assert sweep("x=range(8)", f"how='{how}'", "only=3", *limits) == 0
    expected = "COMPLETE" if how.startswith("leaves") else "FAIL"
    assert [state for number, state in enumerate(states()) if number != 3] == ["COMPLETE"] * 7
    assert states()[3] == expected
    assert not left()


def test_a_trial_over_its_time_takes_no_other_with_it(sweep: Sweep) -> None:
    limits = ("hydra.sweeper.reuse=100", "hydra.sweeper.trial_timeout=2", ONE)
    assert sweep("x=range(4)", "how=hangs", "only=1", *limits) == 0
    assert states() == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_each_trial_writes_to_its_own_log(sweep: Sweep) -> None:
    assert sweep("x=range(4)", ONE, "hydra.sweeper.reuse=100") == 0
    logs = [Path(f"multirun/study/{number}/output.log").read_text() for number in range(4)]
    told = [[line for line in text.splitlines() if line.startswith("this is")] for text in logs]
    assert told == [[f"this is x={x}"] for x in range(4)]  # Hydra 1.4 warns there too


def test_less_than_one_trial_a_process_is_refused(sweep: Sweep) -> None:
    with pytest.raises((UserError, SystemExit), match="reuse=0 must be 1 or more"):
        sweep("x=1,2", "hydra.sweeper.reuse=0")


def test_a_process_stays_with_the_gpus_that_it_has_used(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # which need not be there: nothing touches them
    assert sweep("x=range(8)", "hydra.sweeper.reuse=8", task=app.sees_gpus) == 0
    values = [trial.value for trial in trials()]
    assert {value // 100 for value in values if value is not None} == {1}
    assert max(value % 100 for value in values if value is not None) > 1
