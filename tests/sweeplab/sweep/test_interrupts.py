"""Sweeps that are stopped by signals, as a program sees them, and what the same command does next."""

import csv
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.sweeplab.sweep.conftest import Start, output, processes_in, states, trials

pytestmark = pytest.mark.slow

SEARCH = ("x=interval(0,1)", "steps=3", "sleep=0.1", "hydra.sweeper.n_trials=12")


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def folders() -> int:
    return len(list(Path("multirun/study").glob("[0-9]*")))


def wait_for_another_folder(process: "subprocess.Popen[str]") -> None:
    before = folders()
    wait_until(lambda: folders() > before or process.poll() is not None)


def assert_whole(folder: Path) -> None:
    """Twelve trials ended, each once and with a point of its own, whatever it was cut by."""
    counted = [trial for trial in trials() if not trial.user_attrs.get("not counted")]
    assert [trial.state for trial in counted] == [TrialState.COMPLETE] * 12
    assert "RUNNING" not in states()
    assert "WAITING" not in states()
    assert len({trial.params["x"] for trial in counted}) == 12
    wait_until(lambda: not processes_in(folder), 10)


def test_ctrl_c_lets_running_trials_end_and_the_same_command_goes_on(start: Start, folder: Path) -> None:
    process = start(*SEARCH)
    wait_until(lambda: folders() >= 4)
    process.send_signal(signal.SIGINT)
    text = output(process)
    assert process.returncode == 130
    assert "waiting for" in text
    assert set(states()) - {"WAITING"} == {"COMPLETE"}
    assert folders() == states().count("COMPLETE") < 12
    before = {trial.number: trial.datetime_complete for trial in trials() if trial.state is TrialState.COMPLETE}
    again = start(*SEARCH)
    assert f"{len(before)} of 12 trials finished" in output(again)
    assert again.returncode == 0
    assert {trial.number: trial.datetime_complete for trial in trials()[: len(before)]} == before
    assert_whole(folder)


@pytest.mark.slow
def test_ctrl_c_twice_kills_running_trials_and_an_extended_study_begins_them_anew(start: Start, folder: Path) -> None:
    process = start(*SEARCH, "sleep=30", "hydra.sweeper.on_change=extend")
    wait_until(lambda: folders() == 2 and len(list(Path("multirun/study").glob("*/output.log"))) == 2)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "Ctrl-C" in Path("multirun/study/sweep.log").read_text())
    process.send_signal(signal.SIGINT)
    output(process)
    assert process.returncode == 130
    assert states() == ["WAITING", "WAITING"]
    points = [trial.params for trial in trials()]
    assert output(again := start(*SEARCH, "hydra.sweeper.on_change=extend"))
    assert again.returncode == 0
    assert_whole(folder)
    assert states()[:2] == ["FAIL", "FAIL"]
    assert [trial.params for trial in trials() if "replaces" in trial.user_attrs] == points


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_everybody_interrupts_and_uses_up_no_retry(start: Start, folder: Path, number: int) -> None:
    """As a closing terminal, a job scheduler and a container's end send it."""
    process = start(*SEARCH, "sleep=30")
    wait_until(lambda: len(list(Path("multirun/study").glob("*/output.log"))) == 2)
    os.killpg(process.pid, number)
    output(process)
    assert process.returncode == 128 + number
    assert states() == ["WAITING", "WAITING"]
    cut = [attempt for trial in trials() for attempt in trial.user_attrs["attempts"]]
    assert [attempt["status"] for attempt in cut] == ["interrupted"] * 2
    rows = list(csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines()))
    assert [(row["number"], row["status"], row["counts"]) for row in rows] == [
        ("0", "interrupted", "False"),
        ("1", "interrupted", "False"),
    ]


@pytest.mark.slow
def test_what_nohup_ignores_stays_ignored(start: Start, folder: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start("x=1,2", "steps=1", "sleep=1")
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until(lambda: len(list(Path("multirun/study").glob("*/output.log"))) == 2)
    process.send_signal(signal.SIGHUP)
    output(process)
    assert process.returncode == 0
    assert states() == ["COMPLETE", "COMPLETE"]


def test_a_reader_who_goes_away_does_not_end_a_sweep(start: Start, folder: Path) -> None:
    process = start("x=range(6)", "steps=1", "sleep=0.2")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert states() == ["COMPLETE"] * 6


def test_sigterm_stops_at_once(start: Start, folder: Path) -> None:
    process = start(*SEARCH, "sleep=30")
    wait_until(lambda: len(list(Path("multirun/study").glob("*/output.log"))) == 2)
    process.send_signal(signal.SIGTERM)
    output(process)
    assert process.returncode == 143
    assert states() == ["WAITING", "WAITING"]
    wait_until(lambda: not processes_in(folder), 10)


@pytest.mark.slow
def test_a_sweep_that_is_killed_at_twenty_moments_comes_to_the_exact_count(start: Start, folder: Path) -> None:
    chance = random.Random(0)
    contents: dict[Path, str] = {}
    for _ in range(20):
        process = start(
            "x=interval(0,1)", "steps=3", "sleep=0.1", "hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=3"
        )
        wait_for_another_folder(process)
        time.sleep(chance.uniform(0.0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: not processes_in(folder), 10)
        for path, content in contents.items():
            assert path.read_text() == content, f"{path} was written twice"
        done = [trial.number for trial in trials() if trial.state.name == "COMPLETE"]
        contents = {p: p.read_text() for n in done for p in Path(f"multirun/study/{n}").rglob("*") if p.is_file()}
    final = start("x=interval(0,1)", "steps=3", "sleep=0.1", "hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=3")
    output(final)
    assert final.returncode == 0
    assert_whole(folder)
    assert len(trials()) == folders() == 12


def test_what_a_trial_had_come_to_survives_its_controller(start: Start, folder: Path) -> None:
    """The controller is stopped, so that it cannot note the outcome, and then killed."""
    process = start(*SEARCH)
    wait_until(lambda: len(list(Path("multirun/study").glob("[01]/output.log"))) == 2)
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: len(list(Path("multirun/study").glob("[01]/.outcome.json"))) == 2)
    assert states()[:2] == ["RUNNING", "RUNNING"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    known = {n: json.loads(Path(f"multirun/study/{n}/.outcome.json").read_text())["values"] for n in (0, 1)}
    again = start(*SEARCH)
    output(again)
    assert {n: trials()[n].values for n in (0, 1)} == known
    assert len(trials()) == 12


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_two_controllers_share_a_study_without_duplicates_or_overshoot(
    start: Start, folder: Path, storage: str
) -> None:
    where = ("hydra.sweeper.storage=sqlite:///study.db",) if storage == "sqlite" else ()
    url = "sqlite:///study.db" if storage == "sqlite" else None
    search = ("x=range(9)", "name=a,b,c", "steps=1", "sleep=0.3", *where)
    first, second = start(*search), start(*search)
    texts = [output(first), output(second)]
    assert [first.returncode, second.returncode] == [0, 0], texts
    counted = [trial for trial in trials(storage=url) if not trial.user_attrs.get("not counted")]
    points = [(trial.params["x"], trial.params["name"]) for trial in counted]
    assert sorted(points) == [(x, name) for x in range(9) for name in "abc"]
    assert states(storage=url).count("COMPLETE") == 27
    assert all("FAILED" not in text for text in texts)
    assert len({trial.user_attrs["lease"]["controller"] for trial in counted}) == 2


@pytest.mark.slow
def test_one_of_two_controllers_can_stop_without_harm_to_the_other(start: Start, folder: Path) -> None:
    search = ("x=range(10)", "name=a,b", "steps=1", "sleep=0.3")
    first, second = start(*search), start(*search)
    wait_until(lambda: folders() >= 6)
    first.send_signal(signal.SIGINT)
    texts = [output(first), output(second)]
    assert [first.returncode, second.returncode] == [130, 0], texts
    points = [(trial.params["x"], trial.params["name"]) for trial in trials()]
    assert sorted(points) == [(x, name) for x in range(10) for name in "ab"]
    assert states() == ["COMPLETE"] * 20


@pytest.mark.slow
def test_controllers_that_start_together_draw_other_points(start: Start, folder: Path) -> None:
    search = ("x=interval(0,1)", "hydra.sweeper.seed=1", "hydra.sweeper.n_trials=10", "steps=1", "sleep=0.2")
    first, second = start(*search), start(*search)
    for process in (first, second):
        output(process)
    assert len({trial.user_attrs["lease"]["controller"] for trial in trials()}) == 2
    assert len({trial.params["x"] for trial in trials()}) == 10


@pytest.mark.slow
def test_a_joining_controller_leaves_the_living_alone(start: Start, folder: Path) -> None:
    first = start(*SEARCH, "sleep=0.3")
    wait_until(lambda: folders() >= 2)
    second = start(*SEARCH, "sleep=0.3")
    texts = [output(first), output(second)]
    assert all("dead controller" not in text for text in texts)
    assert states() == ["COMPLETE"] * 12


def test_trials_die_with_a_killed_controller(start: Start, folder: Path) -> None:
    process: subprocess.Popen[str] = start("x=1,2", "steps=1", "sleep=100")
    wait_until(lambda: len(list(Path("multirun/study").glob("*/output.log"))) == 2)
    assert processes_in(folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not processes_in(folder), 10)
