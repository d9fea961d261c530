import shutil
from pathlib import Path

import pytest

from sweeplab.sweep.config.settings import PRUNERS, SAMPLERS
from tests.sweeplab.sweep.conftest import APP, Sweep, trials

pytestmark = pytest.mark.slow

ARGUMENTS = {
    "patient": ["hydra.sweeper.pruner.patience=1"],
    "threshold": ["hydra.sweeper.pruner.upper=100"],
    "wilcoxon": ["+hydra.sweeper.pruner.p_threshold=0.2"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("group", "names"), [("sampler", SAMPLERS), ("pruner", PRUNERS)])
def test_what_is_chosen_is_used(
    sweep: Sweep, capsys: pytest.CaptureFixture[str], group: str, names: dict[str, str | None]
) -> None:
    for name, kind in names.items():
        if name == "gp":
            continue  # it brings torch along
        chosen = [f"hydra/sweeper/{group}={name}", *(ARGUMENTS.get(name, []) if group == "pruner" else [])]
        assert sweep("x=1,2", "hydra.sweeper.n_trials=2", "hydra.sweeper.preview=true", *chosen) == 0
        assert f"{group}: {kind or 'the grid in order'}" in capsys.readouterr().out


def drawn(study: str) -> list[dict[str, object]]:
    return [trial.params for trial in trials(study)]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("auto", "grid", "bruteforce")])
def test_every_sampler_searches(sweep: Sweep, sampler: str) -> None:
    if sampler == "gp":
        pytest.importorskip("torch")
    budget = [f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=6"]
    if sampler in ("tpe", "gp", "cmaes"):
        budget += ["hydra.sweeper.sampler.n_startup_trials=3"]
    assert sweep("x=interval(0,1)", "y=range(1,9)", *budget) == 0
    assert len({str(params) for params in drawn("study")}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["auto", "grid", "bruteforce"])
def test_every_grid_is_gone_through_once(sweep: Sweep, sampler: str) -> None:
    assert sweep("x=1,2,3", "name=a,b", f"hydra/sweeper/sampler={sampler}") == 0
    points = [(params["x"], params["name"]) for params in drawn("study")]
    assert sorted(points) == [(x, name) for x in (1, 2, 3) for name in ("a", "b")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["hydra/sweeper/sampler=auto", "hydra/sweeper/sampler=grid", "hydra/sweeper/sampler=bruteforce"]
)
def test_values_that_differ_in_type_alone_are_different_points(sweep: Sweep, way: str) -> None:
    for _ in range(2):  # the second time there is nothing left to do
        assert sweep("name=1,1.0,true,'1','1.0','true'", "hydra.sweeper.n_jobs=1", way) == 0
        lines = [Path(f"multirun/study/{n}/.hydra/overrides.yaml").read_text() for n in range(len(trials()))]
        tried = sorted(line.partition("- ")[2].strip() for line in lines)
        assert tried == ["name='1'", "name='1.0'", "name='true'", "name=1", "name=1.0", "name=true"]


def test_one_factor_is_tried_at_values_that_differ_from_the_base_in_type_alone(sweep: Sweep) -> None:
    assert sweep("x=1.0,1,2", "hydra.sweeper.one_at_a_time=true") == 0
    lines = [Path(f"multirun/study/{n}/.hydra/overrides.yaml").read_text().strip() for n in range(len(trials()))]
    assert lines == ["- x=1.0", "- x=1", "- x=2"]


@pytest.mark.slow
@pytest.mark.parametrize("pruner", list(PRUNERS))
def test_every_pruner_can_be_chosen(sweep: Sweep, pruner: str) -> None:
    arguments = [f"hydra/sweeper/pruner={pruner}", *ARGUMENTS.get(pruner, [])]
    assert sweep("x=range(6)", "steps=3", *arguments) == 0
    assert trials()[0].state.name == "COMPLETE"


def test_what_does_worse_is_pruned(sweep: Sweep) -> None:
    halving = ("hydra/sweeper/pruner=asha", "hydra.sweeper.pruner.min_resource=1", "hydra.sweeper.n_jobs=1")
    assert sweep("x=0,1,2,3,4,5", "steps=3", *halving) == 0
    assert [trial.state.name for trial in trials()] == ["COMPLETE"] + ["PRUNED"] * 5


def test_samplers_and_pruners_can_be_named_by_their_class(sweep: Sweep) -> None:
    sampler = "{_target_: optuna.samplers.PartialFixedSampler, fixed_params: {y: 3},"
    sampler += " base_sampler: {_target_: optuna.samplers.RandomSampler, seed: 1}}"
    budget = (f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.pruner._target_=optuna.pruners.MedianPruner")
    assert sweep("x=interval(0,1)", "y=range(1,9)", *budget, "hydra.sweeper.n_trials=3") == 0
    assert [params["y"] for params in drawn("study")] == [3, 3, 3]


def test_the_same_seed_and_one_slot_give_the_same_trials(sweep: Sweep) -> None:
    search = ("x=interval(0,5)", "y=range(1,9)", "hydra/sweeper/sampler=tpe", "hydra.sweeper.n_jobs=1")
    for study, seed in (("a", 3), ("b", 3), ("c", 4)):
        budget = ("hydra.sweeper.sampler.n_startup_trials=3", "hydra.sweeper.n_trials=6", f"hydra.sweeper.seed={seed}")
        assert sweep(f"study={study}", *search, *budget) == 0
    assert drawn("a") == drawn("b")
    assert drawn("a") != drawn("c")


def test_a_resumed_sampler_does_not_repeat_itself(sweep: Sweep) -> None:
    for total in (4, 8):
        assert (
            sweep(
                "x=interval(0,1)",
                "hydra/sweeper/sampler=random",
                "hydra.sweeper.seed=1",
                f"hydra.sweeper.n_trials={total}",
            )
            == 0
        )
    assert len({params["x"] for params in drawn("study")}) == 8


def test_known_points_come_first_and_the_defaults_before_them(sweep: Sweep) -> None:
    first = ("hydra.sweeper.enqueue=[{x: 0.25, y: 7}, {x: 0.5}]", "hydra.sweeper.enqueue_defaults=true")
    for _ in range(2):
        assert sweep("x=interval(0,1)", "y=range(1,9)", *first, "hydra.sweeper.n_trials=5") == 0
    points = drawn("study")
    assert points[:2] == [{"x": 1.0, "y": 2}, {"x": 0.25, "y": 7}]
    assert points[2]["x"] == 0.5
    assert len(points) == 5


def test_conditions_decide_which_parameters_there_are(sweep: Sweep, folder: Path) -> None:
    shutil.copytree(APP / "conf", folder / "conf")
    config = folder / "conf" / "config.yaml"
    config.write_text(f"{config.read_text()}    params: {{when: {{opt=adam: {{opt.beta: '0.5,0.9'}}}}}}\n")
    assert sweep("opt=sgd,adam", conf=folder / "conf") == 0
    assert drawn("study") == [{"opt": "sgd"}, {"opt": "adam", "opt.beta": 0.5}, {"opt": "adam", "opt.beta": 0.9}]


def test_a_function_suggests_what_data_cannot_say(sweep: Sweep) -> None:
    hook = "hydra.sweeper.custom_search_space=tests.sweeplab.sweep.app.app.suggests"
    assert sweep("x=1,2", hook, "hydra.sweeper.n_trials=4") == 0
    assert all(params["opt.lr"] <= params["x"] for params in drawn("study"))  # type: ignore[operator]  # both are numbers
    assert "opt.lr=" in Path("multirun/study/0/.hydra/overrides.yaml").read_text()
