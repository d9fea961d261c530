import csv
import multiprocessing
import os
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeplab.sweep.study import suggestions
from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.suggestions import Suggestions
from tests.sweeplab.sweep.app import app, slow
from tests.sweeplab.sweep.conftest import Sweep, states, trials
from tests.sweeplab.sweep.specs import spec_of

pytestmark = pytest.mark.slow
# Trials of a tenth of a second, and suggestions that take two.
SEARCH = ("x=interval(0,1)", "steps=1", "sleep=0.1", "hydra.sweeper.n_trials=300", "hydra.sweeper.seed=0")


@pytest.fixture(autouse=True)
def heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any sampler be too slow for the controller, and any trial be short, however busy the machine is."""
    monkeypatch.setattr(suggestions, "HEAVY", 0.0)
    monkeypatch.setattr(suggestions, "SHORT", float("inf"))


def sampler(mode: str) -> tuple[str, ...]:
    own = {"controller": os.getpid(), "mode": mode}
    target = f"hydra.sweeper.sampler._target_={slow.__name__}.Slow"
    return (target, *(f"+hydra.sweeper.sampler.{key}={value}" for key, value in own.items()))


def test_a_slow_sampler_suggests_in_a_process_of_its_own(sweep: Sweep) -> None:
    sweep(*SEARCH, *sampler("suggests"))
    apart = [int(path.name.removeprefix("apart-")) for path in Path().glob("apart-*")]
    assert len(apart) >= slow.ENOUGH
    assert len(states()) < 300
    assert set(states()) - {"WAITING"} == {"COMPLETE"}
    assert len({trial.params["x"] for trial in trials()}) == len(states())
    assert len({trial.user_attrs["lease"]["controller"] for trial in trials()}) == 1
    rows = csv.DictReader(Path("multirun/study/trials.csv").read_text().splitlines())
    began = [trial for trial in trials() if trial.user_attrs.get("began")]
    assert {t.number for t in began} >= {t.number for t in trials() if t.number in apart and t.state.is_finished()}
    # A row tells when a trial ran, not when it was suggested, which was while its slot was taken.
    seconds = {int(row["number"]): float(row["seconds"]) for row in rows}
    for trial in began:
        assert trial.duration is not None
        assert seconds[trial.number] < trial.duration.total_seconds()


@pytest.mark.slow
def test_a_sampler_process_that_dies_costs_no_trial(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(*SEARCH, *sampler("dies"))
    assert "The sampler process has died; the sweep continues without it." in capsys.readouterr().out
    assert len(list(Path().glob("apart-*"))) >= slow.ENOUGH
    assert set(states()) - {"WAITING"} == {"COMPLETE"}


def test_what_the_sampler_raises_there_ends_the_sweep(sweep: Sweep) -> None:
    with pytest.raises(RuntimeError, match="ValueError: no luck"):
        sweep(*SEARCH, *sampler("raises"))
    assert "RUNNING" not in states()


def test_a_sweep_that_ends_in_the_middle_of_a_suggestion_leaves_nothing_begun(sweep: Sweep) -> None:
    assert sweep(*SEARCH, *sampler("goes on"), "hydra.sweeper.max_failures=0", task=app.breaks) == 1
    assert set(states()) <= {"COMPLETE", "FAIL", "WAITING"}
    begun = [trial.number for trial in trials() if trial.state is not TrialState.WAITING]
    assert sorted(int(path.name) for path in Path("multirun/study").glob("[0-9]*")) == begun
    assert not multiprocessing.active_children()


def test_what_was_suggested_ahead_is_for_other_controllers_when_none_may_start_here(
    clients: list[StudyClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestions, "HEAVY", float("inf"))
    first, second = clients
    spec, search = spec_of("x=interval(0,1)", "hydra.sweeper.n_trials=9")
    queue = Suggestions(spec, search, first, total=9, slots=2, has_begun=lambda number: False)
    queue.trial_ended(runs=1, seconds=0.1)
    ahead = queue.prefetch()
    queue.release()
    taken = second.ask(9, search.suggest, None)
    assert ahead is not None
    assert taken is not None
    assert (taken.number, taken.params) == (ahead.trial.number, ahead.trial.params)
