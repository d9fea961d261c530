from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.records.study import Axis, Study
from sweeplab.sweep.space.one_at_a_time import around_base, variants
from sweeplab.sweep.space.space import Endless, Space
from tests.sweeplab.sweep.conftest import Sweep, trials

BASE: dict[str, Any] = {"x": 1, "name": "a", "seed": 0, "net": "mlp", "depth": 3, "off": None, "layers": [1, 2]}
WALK = "hydra.sweeper.one_at_a_time=true"


def walk(*arguments: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    space, _ = Space.parse(params or {}, arguments, lambda group: [])
    around = around_base(space, BASE.get, "seed")
    points = list(variants(around, BASE.get, "seed"))
    for point in points:  # Optuna has them all
        assert around.values(around.stored(point, BASE.get)) == point
    return points


def test_the_base_comes_first_then_each_other_value_alone() -> None:
    assert walk("x=2,1,3", "name=a,b") == [
        {"x": 1, "name": "a"},
        {"x": 2, "name": "a"},
        {"x": 3, "name": "a"},
        {"x": 1, "name": "b"},
    ]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("x=2,3", [1, 2, 3]),
        ("x=range(4,10,2)", [1, 4, 6, 8]),
        ("x=range(0,3)", [1, 0, 2]),
        ("x=0.5,1.0", [1, 0.5]),
        ("off=1,2", [None, 1, 2]),
        ("layers=[3],[4]", [[1, 2], [3], [4]]),
    ],
)
def test_the_base_is_tried_also_if_nobody_listed_it(written: str, values: list[Any]) -> None:
    assert [next(iter(point.values())) for point in walk(written)] == values


def test_every_variant_is_tried_under_every_seed_that_is_searched() -> None:
    points = walk("x=1,2", "seed=4,5")
    assert points == [{"x": 1, "seed": 4}, {"x": 1, "seed": 5}, {"x": 2, "seed": 4}, {"x": 2, "seed": 5}]


def test_a_parameter_without_meaning_is_left_out() -> None:
    params = {
        "net": "choice(mlp,cnn)",
        "when": {"net=mlp": {"depth": "choice(3,4)"}, "net=cnn": {"channels": "choice(8,16)"}},
    }
    assert walk(params=params) == [{"net": "mlp", "depth": 3}, {"net": "cnn"}, {"net": "mlp", "depth": 4}]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("x=interval(0,1)", r"x=interval\(0,1\) is infinite, and one_at_a_time tries every value; list them"),
        ("+more=1,2", "more=1 has no base value, and one_at_a_time needs one; give more a value"),
    ],
)
def test_what_has_no_end_or_no_base_is_refused(written: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        walk(written)
    assert error.type is not Endless


@pytest.mark.slow
def test_a_walk_goes_on_where_it_was_and_ends_by_itself(sweep: Sweep) -> None:
    factors = ("x=2,3", "opt=sgd,adam", WALK, "hydra.sweeper.n_jobs=1")
    assert sweep(*factors, "hydra.sweeper.n_trials=2") == 0
    assert sweep(*factors) == 0
    base = {"x": 1.0, "opt": "sgd"}
    assert [trial.params for trial in trials()] == [base, {**base, "x": 2}, {**base, "x": 3}, {**base, "opt": "adam"}]
    study = Study.read(Path("multirun/study"))
    assert study.one_at_a_time
    assert study.n_trials == 4
    assert study.axes["x"] == Axis(choices=[1.0, 2, 3])


@pytest.mark.slow
def test_a_walk_may_be_repeated_over_seeds(sweep: Sweep) -> None:
    assert sweep("x=1,2", WALK, "hydra.sweeper.repeats=2") == 0
    assert [trial.params["x"] for trial in trials()] == [1.0, 2]
    assert sorted(path.parent.parent.name for path in Path("multirun/study").glob("*/1/.hydra")) == ["0", "1"]


@pytest.mark.slow
def test_a_preview_shows_the_walk(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("x=2,3", "y=1,2", WALK, "hydra.sweeper.preview=true") == 0
    said = capsys.readouterr().out
    assert "x: choice(1.0,2,3)" in said
    assert "4 points in all" in said
    assert [line.split()[2:] for line in said.splitlines() if "python" in line] == [
        ["x=1.0", "y=2"],
        ["x=2", "y=2"],
        ["x=3", "y=2"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "other", ["hydra/sweeper/sampler=tpe", "hydra.sweeper.custom_search_space=a.b", "hydra.sweeper.enqueue=[{x: 1}]"]
)
def test_a_walk_has_no_other_way_to_choose_trials(sweep: Sweep, other: str) -> None:
    with pytest.raises(SystemExit, match=f"remove {other.partition('=')[0]}"):
        sweep("x=1,2", WALK, other)
    assert not Path("multirun").exists()


@pytest.mark.slow
def test_a_study_does_not_become_another_kind_of_walk(sweep: Sweep) -> None:
    assert sweep("x=1.0,2", "y=1,2") == 0
    with pytest.raises(SystemExit, match="one_at_a_time is new"):
        sweep("x=1.0,2", "y=1,2", WALK)
