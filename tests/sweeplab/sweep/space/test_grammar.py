from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.sweep.space.space import Space
from tests.sweeplab.sweep.space.spaces import nothing, options, parse


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


def test_a_condition_may_join_several_and_offer_alternatives() -> None:
    space = parse(
        {"model": "mlp,cnn,gru", "optimizer": "adam,sgd", "when": {"model=cnn,gru,optimizer=sgd": {"x": "1,2"}}}
    )
    with_x = {(point["model"], point["optimizer"]) for point in space.grid(nothing) if "x" in point}
    assert with_x == {("cnn", "sgd"), ("gru", "sgd")}
    assert {p.name for p in space.parameters} == {"model", "optimizer", "x"}
    assert space.describe()["x"] == "choice(1,2) when model=cnn,optimizer=sgd or model=gru,optimizer=sgd"


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
