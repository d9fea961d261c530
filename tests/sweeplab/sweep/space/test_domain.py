from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeplab.errors import UserError
from sweeplab.sweep.space.values import Value
from tests.sweeplab.sweep.space.spaces import nothing, one, parse


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


def test_an_interval_of_one_number_is_one_point() -> None:
    space = parse({"x": "interval(1, 1)", "y": "tag(log,interval(2.0,2.0))"})
    assert list(space.grid(nothing)) == [{"x": 1.0, "y": 2.0}]
    assert space.size(nothing) == 1
