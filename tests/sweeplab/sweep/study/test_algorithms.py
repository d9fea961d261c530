import sys
from typing import Any

import pytest
from optuna.samplers import GridSampler, RandomSampler, TPESampler

from sweeplab.errors import UserError
from sweeplab.sweep.space.space import Space
from sweeplab.sweep.study.algorithms import build_pruner, build_sampler, default_sampler

SPACE, _ = Space.parse({"x": "1,2", "y": "range(3)"}, [], lambda group: [])
SAMPLER = "hydra.sweeper.sampler"


def sampler(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"optuna.samplers.{name}", **arguments}


def test_nobody_chose_a_sampler_where_there_is_no_target() -> None:
    assert build_sampler(None, SPACE) is None
    assert build_sampler({"_target_": None, "seed": 3}, SPACE) is None
    assert isinstance(default_sampler(3, ""), TPESampler)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"_target_": None, "n_startup_trials": 3}, rf"{SAMPLER}\.n_startup_trials needs a sampler; choose one"),
        (sampler("TPESamplr"), r"TPESamplr does not exist.*TPESampler"),
        (sampler("TPESampler", n_startup=3), r"has no argument 'hydra\.sweeper\.sampler\.n_startup'.*n_startup_trials"),
        (sampler("QMCSampler", qmc_type="nope"), rf"{SAMPLER}: QMCSampler says: "),
        ({"_target_": "optuna.pruners.NopPruner"}, r"optuna\.pruners\.NopPruner is not an Optuna sampler"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_sampler(config, SPACE)


@pytest.mark.parametrize(
    ("name", "package"), [("GPSampler", "torch"), ("GPSampler", "scipy"), ("CmaEsSampler", "cmaes")]
)
def test_a_sampler_whose_packages_are_not_installed_is_refused_before_it_suggests(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"^{SAMPLER}: {name} needs .*; run: pip install .*\b{package}\b"):
        build_sampler(sampler(name), SPACE)


def test_a_sampler_with_a_seed_suggests_other_points_when_it_is_resumed() -> None:
    def numbers(salt: str) -> list[float]:
        built = build_sampler(sampler("RandomSampler", seed=3), SPACE, salt)
        assert isinstance(built, RandomSampler)
        return list(built._rng.rng.random(3))

    assert numbers("") == numbers("") != numbers("4")
    assert numbers("4") == numbers("4") != numbers("5")


def test_optunas_grid_is_that_of_the_space() -> None:
    built = build_sampler(sampler("GridSampler", seed=None), SPACE)
    assert isinstance(built, GridSampler)
    assert built._search_space == {"x": [1, 2], "y": [0, 1, 2]}


def test_objects_may_be_nested_in_a_sampler() -> None:
    inner = {"_target_": "optuna.samplers.RandomSampler", "seed": 1}
    built: Any = build_sampler(sampler("PartialFixedSampler", fixed_params={"y": 3}, base_sampler=inner), SPACE)
    assert isinstance(built._base_sampler, RandomSampler)


@pytest.mark.parametrize(
    ("config", "objectives", "said"),
    [
        ({"_target_": "optuna.samplers.TPESampler"}, 1, "TPESampler is not an Optuna pruner"),
        ({"_target_": "optuna.pruners.MedianPruner"}, 2, "Optuna prunes by one objective only"),
        ({"_target_": "optuna.pruners.PatientPruner", "wrapped_pruner": None, "patience": "???"}, 1, "has no value"),
    ],
)
def test_a_pruner_that_cannot_be_is_refused(config: dict[str, Any], objectives: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_pruner(config, objectives)
