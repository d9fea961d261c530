import json
from collections.abc import Callable
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from sweeplab.errors import UserError
from sweeplab.sweep.space.space import Endless, differences
from sweeplab.sweep.space.values import Value, same
from tests.sweeplab.sweep.space.spaces import knows, nothing, parse, study

CONDITIONAL = {
    "model": "choice(mlp,cnn)",
    "when": {
        "model=cnn": {"model.channels": "8,16", "when": {"optimizer=sgd": {"optimizer.momentum": "0.0,0.9"}}},
        "model=mlp": {"model.width": "int(interval(1,3))"},
    },
    "optimizer": "adam,sgd",
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["a=1,2", "b=x,y,z", "c=range(3)"],
        ["a=range(3,0,-1)", "+b='x y','1',null", "c=[1,2],[3]"],
        ["a=range(0,1,0.25)", "model=cnn,mlp"],
    ],
)
def test_the_grid_has_hydras_order(arguments: list[str]) -> None:
    space = parse({}, *arguments)
    parser = OverridesParser.create()
    (hydras,) = BasicSweeper.split_arguments(parser.parse_overrides(arguments), None)
    ours = [space.overrides(point) for point in space.grid(nothing)]
    assert len(ours) == space.size(nothing) == len(hydras)

    def read(lines: list[str]) -> list[Any]:
        return [(parsed.get_key_element(), parsed.value()) for parsed in parser.parse_overrides(lines)]

    assert [read(point) for point in ours] == [read(point) for point in hydras]


def test_the_grid_knows_conditions_and_has_no_duplicates() -> None:
    space = parse(CONDITIONAL)
    points = list(space.grid(nothing))
    assert points == [
        *({"model": "mlp", "model.width": w, "optimizer": o} for w in (1, 2, 3) for o in ("adam", "sgd")),
        {"model": "cnn", "model.channels": 8, "optimizer": "adam"},
        {"model": "cnn", "model.channels": 8, "optimizer": "sgd", "optimizer.momentum": 0.0},
        {"model": "cnn", "model.channels": 8, "optimizer": "sgd", "optimizer.momentum": 0.9},
        {"model": "cnn", "model.channels": 16, "optimizer": "adam"},
        {"model": "cnn", "model.channels": 16, "optimizer": "sgd", "optimizer.momentum": 0.0},
        {"model": "cnn", "model.channels": 16, "optimizer": "sgd", "optimizer.momentum": 0.9},
    ]
    assert space.size(nothing) == len(points)


def test_the_size_of_a_huge_grid_is_known_without_walking_it() -> None:
    space = parse({f"x{i}": "range(1000)" for i in range(50)} | {"when": {"y=1": {"z": "range(7)"}}, "y": "1,2"})
    assert space.size(nothing) == 1000**50 * (7 + 1)


def test_a_grid_of_an_interval_is_refused_at_once() -> None:
    space = parse({"a": "1,2", "optimizer.lr": "tag(log,interval(1e-5,1))"})
    assert space.size(nothing) is None
    with pytest.raises(Endless, match=r"^optimizer\.lr=tag\(log,interval\(1e-5,1\)\) is infinite.*n_trials"):
        space.grid(nothing)


def test_an_interval_that_cannot_be_reached_is_no_hindrance() -> None:
    params = {"model": "cnn,mlp", "when": {"model=gru": {"lr": "interval(0,1)"}, "seed=1": {"b": "interval(0,1)"}}}
    space = parse(params)
    assert space.size(knows(seed=0)) == 2
    assert list(space.grid(knows(seed=0))) == [{"model": "cnn"}, {"model": "mlp"}]
    assert space.size(knows(seed=1)) is None


def test_nothing_searched_is_one_point() -> None:
    assert list(parse().grid(nothing)) == [{}]
    assert parse().size(nothing) == 1


def test_a_sampler_draws_only_what_the_conditions_let_it() -> None:
    space, seen = parse(CONDITIONAL), study()
    points = []
    for _ in range(100):
        trial = seen.ask()
        values = space.suggest(trial, nothing)
        points.append(values)
        assert space.values(trial.params) == values
        assert [p.key for p in space.active(values, nothing)] == list(values)
        seen.tell(trial, 0.0)
    possible = [sorted(point.items()) for point in space.grid(nothing)]
    assert all(sorted(point.items()) in possible for point in points)
    assert {len(point) for point in points} == {3, 4}


def test_a_condition_may_name_a_fixed_key() -> None:
    space = parse({"when": {"model=cnn": {"model.channels": "8,16"}}})
    assert space.size(knows(model="cnn")) == 2
    assert space.size(knows(model="mlp")) == 1


@pytest.mark.parametrize("choices", ["1,1.0,2", "1.0,1,2"])
def test_a_condition_tells_choices_of_different_types_apart(choices: str) -> None:
    space = parse({"x": choices, "when": {"x=1": {"a": "1,2"}, "x=1.0": {"b": "3,4"}}})
    assert [sorted(point.items()) for point in space.grid(nothing)][-1] == [("x", 2)]
    keys = {(type(point["x"]), key) for point in space.grid(nothing) for key in point if key != "x"}
    assert keys == {(int, "a"), (float, "b")}
    assert space.size(nothing) == 2 + 2 + 1
    one_key = parse({"x": choices, "when": {"x=1": {"a": "1,2"}, "x=1.0": {"a": "3,4"}}})
    assert [point["a"] for point in one_key.grid(knows(x=1)) if "a" in point] in ([1, 2, 3, 4], [3, 4, 1, 2])


def test_a_condition_may_write_a_number_as_int_or_float_where_only_one_is_meant() -> None:
    when = {"when": {"x=1": {"a": "1,2"}, "y=0": {"b": "1,2"}, "z=2.0": {"c": "1,2"}}}
    points = list(parse({"x": "0.5,1.0", **when}).grid(knows(y=0.0, z=2)))
    assert [sorted(point) for point in points[:: len(points) - 1]] == [["b", "c", "x"], ["a", "b", "c", "x"]]


def test_a_value_fixed_under_a_condition_is_set_only_there() -> None:
    space = parse({"model": "mlp,cnn", "when": {"model=cnn": {"optimizer.lr": 0.01}}})
    assert [space.overrides(point) for point in space.grid(nothing)] == [
        ["model=mlp"],
        ["model=cnn", "optimizer.lr=0.01"],
    ]


def test_one_key_may_have_other_ranges_under_other_conditions() -> None:
    lr = {"model=mlp": {"lr": "interval(0,1)"}, "model=cnn": {"lr": "interval(2,3)"}}
    space = parse({"model": "mlp,cnn", "when": lr})
    assert [p.name for p in space.parameters] == ["model", "lr[model=mlp]", "lr[model=cnn]"]
    seen = study()
    for _ in range(20):
        trial = seen.ask()
        values = space.suggest(trial, nothing)
        assert (values["lr"] > 1) == (values["model"] == "cnn")  # type: ignore[operator]  # lr is a float
        assert space.values(trial.params) == values


def test_a_condition_may_stand_before_what_it_names() -> None:
    space = parse({"when": {"b=1": {"c": "1,2"}, "a=1": {"b": "1,2"}}, "a": "1,2"})
    assert [p.key for p in space.parameters] == ["a", "b", "c"]
    assert space.size(knows(b=0)) == 4


@pytest.mark.parametrize("known", [nothing, lambda key: None])
def test_a_condition_on_an_unknown_key_is_refused_with_the_nearest(known: Callable[[str], Any]) -> None:
    space = parse({"optimizer.lr": "1,2", "when": {"optimizer.lrr=1": {"x": "1,2"}}})
    with pytest.raises(UserError, match=r"optimizer\.lrr is not set; did you mean 'optimizer\.lr'"):
        space.size(known)


def test_an_enqueued_point_is_the_point_that_is_tried() -> None:
    space, seen = parse(CONDITIONAL | {"lr": "interval(0,1)", "n": "[1,2],[3]"}), study()
    wanted: dict[str, Value] = {"model": "cnn", "model.channels": 16, "lr": 0.25, "n": [3]}
    seen.enqueue_trial(space.stored(wanted, nothing))
    values = space.suggest(seen.ask(), nothing)
    assert {key: values[key] for key in wanted} == wanted
    assert "optimizer" in values  # left open, so the sampler chose


def test_a_point_may_leave_open_what_its_conditions_name() -> None:
    assert parse(CONDITIONAL).stored({"model.channels": 16}, nothing) == {"model.channels": 16}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"optimiser": "sgd"}, "optimiser is not searched; did you mean 'optimizer'"),
        ({"optimizer": "adamw"}, "optimizer=adamw is not in adam,sgd"),
        ({"model": "mlp", "model.channels": 8}, "model.channels is searched only under model=cnn"),
    ],
)
def test_an_impossible_point_is_refused(values: dict[str, Value], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse(CONDITIONAL).stored(values, nothing)


def test_what_a_hook_suggests_beyond_the_space_is_kept() -> None:
    space = parse({"a": "1,2"})
    assert space.values({"a": 1, "+b": 0.5}) == {"a": 1, "+b": 0.5}
    assert space.overrides({"a": 1, "+b": 0.5}) == ["a=1", "+b=0.5"]


def test_overrides_are_read_by_hydra_as_the_values_were() -> None:
    space = parse({"+a": "'x, y','1'", "++b": "[1],{c:d}"})
    for point in space.grid(nothing):
        parsed = OverridesParser.create().parse_overrides(space.overrides(point))
        assert [p.get_key_element() for p in parsed] == ["+a", "++b"]
        assert all(same(p.value(), v) for p, v in zip(parsed, point.values(), strict=True))  # type: ignore[arg-type]  # plain


def test_a_space_is_described_the_same_however_it_was_written() -> None:
    written = {"lr": "tag(log, interval(1e-5, 0.1))", "n": "range(5,0,-2)", "m": "choice(a, b)", "k": "interval(0, 1)"}
    again = {"lr": "tag(log,interval(0.00001,1e-1))", "n": "range(1,6,2)", "m": "a,b", "k": "interval(0.0,1.0)"}
    described = parse(written).describe()
    assert described == {"lr": "log 1e-05..0.1", "n": "int 1..5 step 2", "m": "choice(a,b)", "k": "0..1"}
    assert parse(again).describe() == described
    assert json.loads(json.dumps(described)) == described


def test_differences_are_told_by_name() -> None:
    old = parse({"optimizer.lr": "tag(log,interval(1e-5,0.1))", "a": "1,2", "same": "1,2"}).describe()
    new = parse({"optimizer.lr": "tag(log,interval(1e-5,1))", "b": "x,y", "same": "1,2"}).describe()
    assert differences(old, new) == [
        "a was choice(1,2), is gone",
        "b is new: choice(x,y)",
        "optimizer.lr was log 1e-05..0.1, is log 1e-05..1",
    ]
    assert differences(old, old) == []
