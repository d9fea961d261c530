import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeplab.errors import UserError
from sweeplab.sweep.space.parameter import Parameter
from sweeplab.sweep.space.space import Endless, Space, differences
from sweeplab.sweep.space.values import Value, override, same

optuna.logging.set_verbosity(optuna.logging.WARNING)
GROUPS = {"model": ["cnn", "gru", "mlp"], "optimizer": ["adam", "sgd"]}
CONDITIONAL = {
    "model": "choice(mlp,cnn)",
    "when": {
        "model=cnn": {"model.channels": "8,16", "when": {"optimizer=sgd": {"optimizer.momentum": "0.0,0.9"}}},
        "model=mlp": {"model.width": "int(interval(1,3))"},
    },
    "optimizer": "adam,sgd",
}


def options(group: str) -> list[str]:
    return GROUPS.get(group, [])


def parse(params: Mapping[str, Any] | None = None, *arguments: str) -> Space:
    space, _ = Space.parse(params or {}, arguments, options)
    return space


def one(written: str) -> Parameter:
    (parameter,) = parse({}, f"x={written}").parameters
    return parameter


def nothing(key: str) -> Any:
    raise KeyError(key)


def knows(**values: Any) -> Callable[[str], Any]:
    return values.__getitem__


def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.mark.parametrize(
    ("written", "distribution"),
    [
        ("choice(a,b)", CategoricalDistribution(["a", "b"])),
        ("a,b", CategoricalDistribution(["a", "b"])),
        ("'1',\"b c\"", CategoricalDistribution(["1", "b c"])),
        ("1,0.5,null", CategoricalDistribution([1, 0.5, None])),
        ("interval(0,1)", FloatDistribution(0, 1)),
        ("tag(log, interval(1e-5, 1))", FloatDistribution(1e-5, 1, log=True)),
        ("int(interval(1, 8))", IntDistribution(1, 8)),
        ("tag(log, int(interval(8, 64)))", IntDistribution(8, 64, log=True)),
        ("int(tag(log, interval(8, 64)))", IntDistribution(8, 64, log=True)),
        ("range(1, 10)", IntDistribution(1, 9)),
        ("range(0, 10, 3)", IntDistribution(0, 9, step=3)),
        ("range(10, 0, -3)", IntDistribution(1, 10, step=3)),
        ("range(0, 1, 0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("range(1.5, 0, -0.5)", FloatDistribution(0.5, 1.5, step=0.5)),
        ("float(range(1, 4))", FloatDistribution(1, 3, step=1)),
        ("int(range(1.0, 4.0))", IntDistribution(1, 3)),
        ("tag(log, range(1, 9))", IntDistribution(1, 8, log=True)),
        ("shuffle(range(1, 10))", IntDistribution(1, 9)),
        ("sort(3,1,2)", CategoricalDistribution([1, 2, 3])),
        ("[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
        ("1,true,1.0", CategoricalDistribution(["1", "true", "1.0"])),
        ("[1],'[1]'", CategoricalDistribution(["[1]", "'[1]'"])),
    ],
)
def test_grammar_becomes_a_distribution(written: str, distribution: Any) -> None:
    found = one(written).distribution
    assert found == distribution
    assert repr(found) == repr(distribution)  # == alone takes 1 for true


def test_a_glob_takes_the_choices_of_its_group() -> None:
    (parameter,) = parse({"model": "glob([c*,m*], exclude=mlp)"}).parameters
    assert parameter.points == ["cnn"]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("range(0, 0.4, 0.1)", [0.0, 0.1, 0.2, 0.3]),
        (
            "range(0, 0.9, 0.3)",
            [0.0, 0.3, 0.6],
        ),  # 3 * 0.3 is less than 0.9 in binary; the stop is excluded all the same
        ("range(1, 0, -0.25)", [1.0, 0.75, 0.5, 0.25]),
        ("range(3)", [0, 1, 2]),
        ("range(5, 0, -2)", [5, 3, 1]),
        ("sort(range(0, 3), reverse=true)", [2, 1, 0]),
        ("int(interval(2, 4))", [2, 3, 4]),
        ("float(range(3))", [0.0, 1.0, 2.0]),
        ("choice(b, a)", ["b", "a"]),
        ("sort(b, a)", ["a", "b"]),
        ("[1],{a:2}", [[1], {"a": 2}]),
    ],
)
def test_values_come_in_the_order_of_the_user(written: str, values: list[Value]) -> None:
    found = one(written).points
    assert found is not None
    assert [(type(value), value) for value in found] == [(type(value), value) for value in values]


def test_an_interval_has_no_list_of_values() -> None:
    assert one("interval(0,1)").points is None


@pytest.mark.parametrize("written", ["shuffle(range(50))", "shuffle(choice(1,2,3,4,5,6,7,8,9,10,11,12))"])
def test_a_shuffle_is_the_same_when_a_sweep_resumes(written: str) -> None:
    values = one(written).points
    assert values is not None
    assert values == one(written).points
    assert values != sorted(values)  # type: ignore[type-var]  # they are all numbers
    assert one(written).distribution == one(written[len("shuffle(") : -1]).distribution


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("range(3,1)", "is empty"),
        ("range(1,1,0.5)", "is empty"),
        ("range(1,3,0)", "step of 0"),
        ("range(0,inf)", "no bounds"),
        ("interval(2,1)", "wrong way round"),
        ("interval(0,inf)", "no bounds"),
        ("tag(log,interval(0,1))", "0 or below"),
        ("tag(log,range(0,3))", "0 or below"),
        ("tag(log,range(1,9,2))", "steps of 1"),
        ("tag(lgo,interval(1,2))", "tag 'lgo'"),
        ("tag(log,choice(1,2))", "tag 'log'"),
        ("1,2,1", "has 1 twice"),
        ("glob(*)", "matches nothing"),
        ("intervall(1,2)", "Unknown function 'intervall'"),
        ("interval(1", "not in Hydra's override grammar"),
    ],
)
def test_what_cannot_be_searched_is_told_by_its_key(written: str, said: str) -> None:
    with pytest.raises(UserError, match=f"^a\\.x=.*{said}"):
        parse({"a.x": written})


scalars = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.floats(), st.text(max_size=5))
choices = st.lists(st.one_of(scalars, st.lists(scalars, max_size=2)), min_size=2, unique_by=lambda v: override("", v))


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=100)
@given(choices, st.data())
def test_a_choice_survives_the_way_through_optuna(values: list[Value], data: st.DataObject) -> None:
    parameter = one(",".join(override("", value)[1:] for value in values))
    value = data.draw(st.sampled_from(values))
    internal = json.loads(json.dumps(parameter.stored(value)))
    back = parameter.value(internal)
    assert type(back) is type(value)
    assert override("x", back) == override("x", value)
    line = OverridesParser.create().parse_override(parameter.override(back)).value()
    assert override("x", line) == override("x", value)  # type: ignore[arg-type]  # not a sweep any more


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(-50, 50), st.integers(-50, 50), st.sampled_from([-7, -2, -1, 1, 3]), st.sampled_from([1, 10, 1000]))
def test_a_range_has_the_values_that_decimals_have(start: int, stop: int, step: int, scale: int) -> None:
    exact = list(range(start, stop, step))
    line = f"range({start / scale!r}, {stop / scale!r}, {step / scale!r})"
    if not exact:
        with pytest.raises(UserError, match="is empty"):
            one(line)
        return
    parameter = one(line)
    values = list(parameter.points or ())
    assert values == [number / scale for number in exact]
    assert [parameter.value(parameter.stored(value)) for value in values] == values


@pytest.mark.parametrize("written", ["range(0, 1, 0.1)", "range(-1, 1, 0.07)", "int(interval(1, 5))", "1,0.5,x,null"])
def test_a_sampler_draws_the_values_of_the_grid_and_nothing_else(written: str) -> None:
    parameter = one(written)
    values = parameter.points or ()
    space, number = Space((parameter,)), study()
    drawn = [space.suggest(number.ask(), nothing)["x"] for _ in range(200)]
    assert {override("x", value) for value in drawn} == {override("x", value) for value in values}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("interval(0,1)", 1.5),
        ("interval(0,1)", "0.5"),
        ("interval(0,1)", True),
        ("interval(0,1)", math.nan),
        ("int(interval(1,8))", 2.5),
        ("range(0,10,2)", 3),
        ("range(0,1,0.25)", 0.3),
        ("a,b", "c"),
        ("1,2", True),
    ],
)
def test_a_value_that_is_not_searched_is_refused(written: str, value: Value) -> None:
    with pytest.raises(UserError) as error:
        one(written).stored(value)
    assert str(error.value).startswith(f"{override('x', value)} is not in {written}; ")


def test_a_number_may_be_written_as_int_or_float() -> None:
    assert one("interval(0,2)").stored(1) == 1.0
    assert one("range(1,3)").stored(2.0) == 2
    assert one("1,2").stored(2.0) == 2


def test_the_command_line_wins_over_params_whatever_the_prefix() -> None:
    params = {"a": "1,2", "b": "3", "+c": "interval(0,1)", "d": 4, "when": {"e=1": {"f": "1,2"}}}
    space, fixed = Space.parse(params, ["++c=5,6", "b=7,8", "a=0", "~d", "f=9", "+g=[1,2]"], options)
    assert [(p.prefix, p.key, p.points) for p in space.parameters] == [("", "b", [7, 8]), ("++", "c", [5, 6])]
    assert fixed == ["a=0", "~d", "f=9", "+g=[1,2]"]


def test_fixed_overrides_of_params_come_first_and_keep_their_words() -> None:
    params = {"a": 1, "b": "x y", "c": [1, "2"], "d": None, "e": {"f": 0.5, "g": "1,2"}, "h": "${a}", "~i": None}
    space, fixed = Space.parse(params, ["z='1'"], options)
    assert fixed == ["a=1", "b=x y", "c=[1,'2']", "d=null", "e.f=0.5", "h=${a}", "~i=null", "z='1'"]
    assert [p.key for p in space.parameters] == ["e.g"]


def test_a_fixed_shuffle_is_the_same_in_each_trial() -> None:
    _, (line,) = Space.parse({}, ["x=shuffle([1,2,3,4])"], options)
    assert sorted(OverridesParser.create().parse_override(line).value()) == [1, 2, 3, 4]  # type: ignore[arg-type]  # a list
    assert "shuffle" not in line


def test_params_may_be_a_config() -> None:
    config = OmegaConf.create({"n": "1,2", "params": {"a.b": "${n}", "when": {"a.b=1": {"c": "3,4"}}}})
    assert [p.key for p in parse(config.params).parameters] == ["a.b", "c"]


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


def test_a_condition_may_join_several_and_offer_alternatives() -> None:
    space = parse(
        {"model": "mlp,cnn,gru", "optimizer": "adam,sgd", "when": {"model=cnn,gru,optimizer=sgd": {"x": "1,2"}}}
    )
    with_x = {(point["model"], point["optimizer"]) for point in space.grid(nothing) if "x" in point}
    assert with_x == {("cnn", "sgd"), ("gru", "sgd")}
    assert {p.name for p in space.parameters} == {"model", "optimizer", "x"}
    assert space.describe()["x"] == "choice(1,2) when model=cnn,optimizer=sgd or model=gru,optimizer=sgd"


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


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"b=1": {"c": "1,2"}, "c=1": {"b": "1,2"}}, "the conditions of b and c depend on each other"),
        ({"a=1": {"a": "1,2"}}, "a is searched twice, everywhere and a=1"),
        ({"a=1": {"x": "1,2"}, "d=1": {"x": "3,4"}}, "x is searched twice, a=1 and d=1"),
        ({"a": {"x": "1,2"}}, "when: a is not a condition"),
        ({"a=range(3)": {"x": "1,2"}}, "is not a condition"),
        ({"a=1": "x"}, "when: a=1 holds 'x'"),
        ("a=1", "when holds 'a=1'"),
        ({"a=1": {"~x": None}}, "~x cannot be deleted under a condition"),
        ({"model=cnnn": {"x": "1,2"}}, "model=cnnn can never hold; did you mean 'cnn'"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(when: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse({"a": "1,2", "when": when})


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


def test_an_interval_of_one_number_is_one_point() -> None:
    space = parse({"x": "interval(1, 1)", "y": "tag(log,interval(2.0,2.0))"})
    assert list(space.grid(nothing)) == [{"x": 1.0, "y": 2.0}]
    assert space.size(nothing) == 1
