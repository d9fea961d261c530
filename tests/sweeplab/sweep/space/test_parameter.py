import json
import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeplab.errors import UserError
from sweeplab.sweep.space.space import Space
from sweeplab.sweep.space.values import Value, index_of, override
from tests.sweeplab.sweep.space.spaces import nothing, one, study

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


@pytest.mark.parametrize("points", ["range(5)", "range(0,1,0.25)", "1,1.0,true,'1',nan,[1],null"])
@pytest.mark.parametrize("value", [0, 1, 1.0, 2.5, True, "1", float("nan"), float("inf"), [1], None, 0.75])
def test_a_value_is_found_among_the_points(points: str, value: Value) -> None:
    parameter = one(points)
    assert parameter.index(value) == index_of(value, parameter.points or ())


def test_a_value_is_found_among_more_points_than_can_be_looked_at() -> None:
    parameter = one("int(interval(1,1000000000000))")
    assert [parameter.index(value) for value in (7, 7.0, 7.5, 0, True)] == [6, 6, None, None, None]


def test_a_number_may_be_written_as_int_or_float() -> None:
    assert one("interval(0,2)").stored(1) == 1.0
    assert one("range(1,3)").stored(2.0) == 2
    assert one("1,2").stored(2.0) == 2
