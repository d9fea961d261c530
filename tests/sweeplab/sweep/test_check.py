"""Mistakes that are told before the first trial, in one sentence, leaving nothing behind."""

from pathlib import Path

import pytest

from tests.sweeplab.sweep.conftest import Sweep

pytestmark = pytest.mark.slow

MISTAKES = {
    "x=1,2 hydra.sweeper.n_trials=0": "hydra.sweeper.n_trials=0 must be 1 or more",
    "x=1,2 hydra.sweeper.timeout=-1": "hydra.sweeper.timeout=-1.0 must be a number of seconds",
    "x=1,2 hydra.sweeper.max_failure_rate=2": "must be from 0 to 1",
    "x=1,2 hydra.sweeper.executor=locl": "executor=locl is not known; did you mean 'local'?",
    "x=1,2 hydra.sweeper.on_change=ignore": "there is refuse, extend",
    "x=1,2 hydra.sweeper.n_jobs=5000": "is more than",
    "x=1,2 hydra.sweeper.n_jobs=0": "must be auto, or a number from 1",
    "x=1,2 hydra.sweep.subdir=a": "hydra.sweep.subdir",
    "x=1,2 hydra.sweeper.direction=up": "there is minimize, maximize",
    "x=1,2 hydra.sweeper.check=no.such": "hydra.sweeper.check=no.such cannot be imported",
    "x=1,2 hydra.sweeper.custom_search_space=no.such": "custom_search_space=no.such cannot be imported",
    "x=1,2 hydra.sweeper.storage=no://where": "hydra.sweeper.storage=no://where cannot be opened",
    "z=1,2": "there is no key 'z'",
    "lyers=1,2": "did you mean 'layers'?",
    "opt=sgd,adamm": "opt=adamm is not a choice; did you mean 'adam'?",
    "opt.beta=1,2": "there is no key 'opt.beta'",
    "x=fast,slow": "x=fast is not a number, as the configuration has there (1.0)",
    "fast=1,2": "fast=1 is not true or false",
    "y=interval(1,8) hydra.sweeper.n_trials=3": "write int(interval(1,8)), or 2.0 in the configuration",
    "x=interval(0,1)": "has no end, and a grid needs one",
    "x=interval(0,1) hydra/sweeper/sampler=grid": "has no end, and a grid needs one",
    "x=interval(0,1) hydra/sweeper/sampler=tpe": "TPESampler never ends by itself",
    "x=1,2 hydra/sweeper/sampler=tpe +hydra.sweeper.sampler.startup=1 hydra.sweeper.n_trials=3": (
        "has no argument 'hydra.sweeper.sampler.startup'"
    ),
    "x=1,2 hydra/sweeper/sampler=tpe +hydra.sweeper.sampler.n_startup=1 hydra.sweeper.n_trials=3": (
        "did you mean 'n_startup_trials'?"
    ),
    "x=1,2 hydra.sweeper.pruner._target_=optuna.pruners.MedianPrunr": "did you mean 'optuna.pruners.MedianPruner'?",
    "x=1,2 hydra/sweeper/pruner=patient": "hydra.sweeper.pruner.patience has no value",
    "x=1,2 hydra/sweeper/pruner=threshold": "ThresholdPruner says:",
    "x=1,2 hydra/sweeper/pruner=median hydra.sweeper.direction=[minimize,maximize]": "one objective only",
    "x=1,2 hydra.sweeper.sampler.n_startup_trials=3": "sampler.n_startup_trials needs a sampler; choose one",
    "x=1,2 hydra.sweeper.storage=sqlite:////no/such/folder/q.db": "there is no folder /no/such/folder",
    "x=1,2 hydra.sweeper.repeats=3 seed=1,2": "seed is searched, and hydra.sweeper.repeats=3 sets it",
    "x=1,2 hydra.sweeper.repeats=3 hydra.sweeper.repeat_key=name": "repeat_key=name is no whole number",
    "x=1,2 hydra.sweeper.enqueue=[{x:3}]": "x=3 is not in 1,2",
    "x=1,2 hydra.sweeper.enqueue=[{xx:1}]": "xx is not searched",
    "x=1,2 hydra.sweeper.enqueue_defaults=true x=7,8": "x=1.0 is not in 7,8",
    "x=1,2 +hydra.sweeper.listeners.mine.target=1": "hydra.sweeper.listeners.mine has no _target_",
}


@pytest.mark.parametrize(("line", "said"), MISTAKES.items(), ids=list(MISTAKES))
def test_a_mistake_is_told_before_anything_is_written(sweep: Sweep, line: str, said: str) -> None:
    with pytest.raises(SystemExit) as error:
        sweep(*line.split())
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("multirun").exists()


def test_an_objective_block_gives_the_direction(sweep: Sweep) -> None:
    assert sweep("x=1,2,3", "+objective={metric: score, mode: max}") == 0
    assert "best_value: 3.0" in Path("multirun/study/optimization_results.yaml").read_text()


def test_a_direction_against_the_objective_block_is_refused(sweep: Sweep) -> None:
    with pytest.raises(SystemExit, match="is not what objective says"):
        sweep("x=1,2", "+objective={metric: score, mode: max}", "hydra.sweeper.direction=minimize")


def test_a_task_that_other_processes_cannot_find_is_refused(sweep: Sweep) -> None:
    def hidden(config: object) -> float:
        return 0.0

    with pytest.raises(SystemExit, match="no other process can find hidden"):
        sweep("x=1,2", task=hidden)


def test_whole_numbers_for_a_number_that_is_zero_in_the_configuration_may_have_fractions(sweep: Sweep) -> None:
    assert sweep("seed=interval(0,1)", "hydra.sweeper.n_trials=2") == 0
