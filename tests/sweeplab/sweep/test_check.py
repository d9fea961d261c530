"""Mistakes that are told before the first trial, in one sentence, leaving nothing behind."""

import shutil
from pathlib import Path

import pytest
from hydra.errors import HydraException

from tests.sweeplab.sweep.conftest import APP, IS_1_3, Sweep, trials

pytestmark = pytest.mark.slow

MISTAKES = {
    "x=1,2 hydra.sweeper.n_trials=0": "hydra.sweeper.n_trials=0 must be 1 or more",
    "x=1,2 hydra.sweeper.timeout=-1": "hydra.sweeper.timeout=-1.0 must be a number of seconds",
    "x=1,2 hydra.sweeper.max_failure_rate=2": "must be from 0 to 1",
    "x=1,2 hydra.sweeper.executor=locl": "executor=locl is not known; did you mean 'local'?",
    "x=1,2 hydra.sweeper.on_change=ignore": "choose from refuse, extend",
    "x=1,2 hydra.sweeper.n_jobs=5000": "is too many for",
    "x=1,2 hydra.sweeper.sampler=3": "hydra.sweeper.sampler=3 is not a description",
    "x=1,2 hydra.sweeper.pruner=3": "it has no _target_; write hydra/sweeper/pruner=3.",
    "x=1,2 +hydra.sweeper.listeners.mine=3": "hydra.sweeper.listeners.mine=3 is not a description",
    "x=1,2 hydra.sweeper.enqueue=[3]": "hydra.sweeper.enqueue[0]=3 is not a point",
    "x=1,2 hydra.sweeper.storage=3": "hydra.sweeper.storage=3 is not a URL",
    "x=1,2 hydra.sweeper.n_jobs=0": "must be auto, or a number from 1",
    "x=1,2 hydra.sweeper.direction=up": "choose from minimize, maximize",
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
    "x=interval(0,1)": "is infinite, and a grid must be finite",
    "x=interval(0,1) hydra/sweeper/sampler=grid": "is infinite, and a grid must be finite",
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
    "x=1,2 hydra.sweeper.repeats=3 hydra.sweeper.repeat_key=name": "repeat_key=name is not a whole number",
    "x=1,2 hydra.sweeper.enqueue=[{x:3}]": "x=3 is not in 1,2",
    "x=1,2 hydra.sweeper.enqueue=[{xx:1}]": "xx is not searched",
    "hydra.sweeper.enqueue_defaults=true x=7,8": "x=1.0 is not in 7,8",
    "x=1,2 +hydra.sweeper.listeners.mine.target=1": "hydra.sweeper.listeners.mine has no _target_",
    "+objective.mode=min,max +objective.metric=a": "objective.mode cannot be searched",
    "+objective={metric:a,mode:max},{metric:b,mode:max}": "objective cannot be searched",
    "study=a,b": "study cannot be searched: it belongs to the sweep",
    "hydra/sweeper/sampler=tpe hydra.sweeper.n_trials=5": "nothing is searched, which makes 5 equal trials",
    "hydra/sweeper/sampler=random hydra.sweeper.timeout=5 x=choice(3) y=range(1,2)": "nothing is searched",
    "x=1,2 x=3": "x is given twice",
    "x=3 x=1,2": "x is given twice",
    "x=1,2 ++x=3,4": "x is given twice",
    "opt=adam opt=sgd,adam": "opt is given twice",
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

    with pytest.raises(SystemExit, match="no other process can import hidden"):
        sweep("x=1,2", "hydra.sweeper.executor=spawn", task=hidden)


def test_whole_numbers_for_a_number_that_is_zero_in_the_configuration_may_have_fractions(sweep: Sweep) -> None:
    assert sweep("seed=interval(0,1)", "hydra.sweeper.n_trials=2") == 0


@pytest.fixture
def conf(folder: Path) -> Path:
    """A configuration of the test's own."""
    return Path(shutil.copytree(APP / "conf", folder / "conf"))


def choice(conf: Path, name: str, text: str) -> None:
    """Write a choice of the group `experiment`, which no run needs."""
    (conf / "experiment").mkdir(exist_ok=True)
    (conf / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objective: {metric: loss, mode: min}", "objective is loss (min), and in other trials acc (max)"),
        ("objective: {metric: acc, mode: min}", "objective is acc (min), and in other trials acc (max)"),
        (
            "objective: {also: [{metric: size, mode: min}]}",
            "objective is acc (max) and size (min), and in other trials acc",
        ),
        ("hydra: {sweeper: {params: {y: 'choice(1,2)'}}}", "sets hydra.sweeper.params.y, which belongs to the sweep"),
        ("hydra: {sweeper: {n_trials: 3}}", "sets hydra.sweeper.n_trials"),
        ("defaults: [{override /hydra/sweeper/sampler: tpe}]", "sets hydra.sweeper.sampler._target_"),
        ("study: another", "sets hydra.sweep.dir=multirun/another"),
    ],
)
@pytest.mark.parametrize("order", ["plain,odd", "odd,plain"])
def test_a_choice_that_changes_the_sweep_is_refused(sweep: Sweep, conf: Path, text: str, said: str, order: str) -> None:
    config = conf / "config.yaml"
    config.write_text(
        config.read_text().replace("  - opt: sgd\n", "  - opt: sgd\n  - experiment: null\n")
        + "objective: {metric: acc, mode: max, also: []}\n"
    )
    choice(conf, "plain", "y: 3")
    choice(conf, "odd", text)
    with pytest.raises(SystemExit) as error:
        sweep(f"experiment={order}", conf=conf)
    if not IS_1_3 and said.startswith("sets hydra.sweeper"):
        said = "'hydra.sweeper' must be configured before the sweep starts"  # Hydra's own word, since 1.4
    if order == "plain,odd" or "objective" not in text:
        assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("multirun").exists()


def test_choices_with_one_objective_of_their_own_share_it(sweep: Sweep, conf: Path) -> None:
    config = conf / "config.yaml"
    config.write_text(config.read_text().replace("  - opt: sgd\n", "  - opt: sgd\n  - experiment: null\n"))
    for name, x in (("low", 1), ("high", 2)):
        choice(conf, name, f"objective: {{metric: acc, mode: max}}\nx: {x}")
    assert sweep("experiment=low,high", conf=conf) == 0
    assert "best_value: 2.0" in Path("multirun/study/optimization_results.yaml").read_text()


def test_what_only_the_search_gives_is_not_missing(sweep: Sweep, conf: Path) -> None:
    config = conf / "config.yaml"
    config.write_text(
        config.read_text().replace("  - opt: sgd\n", "  - opt: ???\n").replace("x: 1.0", "x: ???")
        + "    params: {opt.beta: 0.7}\n"
    )
    (conf / "opt" / "sgd.yaml").write_text("lr: 0.0\nbeta: 0.5\n")
    assert sweep("opt=sgd,adam", "x=1,2", conf=conf) == 0
    assert [trial.params for trial in trials()] == [{"opt": opt, "x": x} for opt in ("sgd", "adam") for x in (1, 2)]
    with pytest.raises(HydraException, match="You must specify 'opt'"):
        sweep("study=missing", "x=1,2", conf=conf)


def test_a_key_that_only_searched_choices_have_is_set_as_the_hint_says(sweep: Sweep, conf: Path) -> None:
    (conf / "opt" / "rms.yaml").write_text("lr: 0.2\nbeta: 0.5\n")
    assert sweep("opt=adam,rms", "++opt.beta=0.7", conf=conf) == 0
    assert all("beta: 0.7" in Path(f"multirun/study/{n}/.hydra/config.yaml").read_text() for n in (0, 1))


def test_a_space_that_searches_the_sweep_itself_is_refused(sweep: Sweep, conf: Path) -> None:
    config = conf / "config.yaml"
    config.write_text(config.read_text() + "    params: {hydra.sweeper.n_jobs: '1,2'}\n")
    with pytest.raises(SystemExit, match=r"hydra\.sweeper\.n_jobs cannot be searched"):
        sweep(conf=conf)


def test_of_two_single_values_of_a_key_the_last_counts_as_in_a_single_run(sweep: Sweep) -> None:
    assert sweep("x=1", "x=2", "y=1,2") == 0
    assert [trial.value for trial in trials()] == [2.0, 2.0]


def test_a_function_that_suggests_what_the_sweep_is_made_of_is_refused(sweep: Sweep) -> None:
    where = "hydra.sweeper.custom_search_space=tests.sweeplab.sweep.app.app.suggests_the_study"
    with pytest.raises(SystemExit, match="study cannot be searched"):
        sweep("x=1,2", where, "hydra.sweeper.n_trials=2", "hydra.sweeper.preview=true")
