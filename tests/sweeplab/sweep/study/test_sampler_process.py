import csv
import multiprocessing
import os
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeplab.sweep.study import suggestions
from tests.sweeplab.sweep.app import app, slow
from tests.sweeplab.sweep.conftest import Sweep, states, trials
from tests.sweeplab.sweep.programs import SWEEP, run, write

pytestmark = pytest.mark.slow
# Trials of a tenth of a second, and suggestions that take two.
SEARCH = ("x=interval(0,1)", "steps=1", "sleep=0.1", "hydra.sweeper.n_trials=300", "hydra.sweeper.seed=0")


@pytest.fixture(autouse=True)
def heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any sampler be too slow for the controller, and any trial be short, however busy the machine is."""
    monkeypatch.setattr(suggestions, "MAX_SAMPLER_SHARE", 0.0)
    monkeypatch.setattr(suggestions, "SHORT_TRIAL", float("inf"))


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


@pytest.mark.slow
def test_no_other_process_draws_for_what_only_a_fork_of_the_program_has(folder: Path) -> None:
    write(
        folder / "app.py",
        """
        import time
        from optuna.samplers import RandomSampler
        from sweeplab.sweep.study import suggestions
        ONE = 0
        class Slow(RandomSampler):
            def infer_relative_search_space(self, study, trial):
                time.sleep(0.3)
                return {}
        @main
        def app(config):
            assert ONE
            return config.x + config.y
        if __name__ == "__main__":
            ONE, suggestions.SamplerProcess = 1, None
            app()
        """,
    )
    sampler = ("hydra.sweeper.sampler={_target_: __main__.Slow}", "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=2")
    assert "8 complete" in run("app.py", *SWEEP[:-2], "x=interval(0,1)", *sampler)
