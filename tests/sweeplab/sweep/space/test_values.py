import string
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeplab.errors import UserError
from sweeplab.sweep.space.values import Value, override, same, text, typed

PARSER = OverridesParser.create()

# Characters that the grammar gives a meaning come up more often than chance would have it.
strings = st.one_of(st.text(), st.text("'\"\\ab1${}[](),:= \t\n.-_~+#", max_size=12))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), strings)
names = st.from_regex(r"[a-z_][a-z0-9_-]*", fullmatch=True).filter(lambda name: name not in ("null", "true", "false"))
keys = st.one_of(
    st.text(string.ascii_letters + string.digits + "\\()[]{}:=, \t/.-+$%*@?|", min_size=1), st.integers(), names
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names.filter(lambda n: n not in ("inf", "nan")), inner),
    max_leaves=10,
)


def read(line: str) -> Value:
    parsed = PARSER.parse_override(line)
    assert not parsed.is_sweep_override()
    value: Value = parsed.value()  # type: ignore[assignment]  # no sweep, as was just seen
    return value


def exactly(value: Value) -> object:
    """The value with all its types, comparable where it holds nan."""
    if isinstance(value, list):
        return [exactly(item) for item in value]
    if isinstance(value, dict):
        return {(type(key), key): exactly(item) for key, item in value.items()}
    return type(value), repr(value)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=150)
@given(values)
def test_hydra_reads_back_the_same_value_of_the_same_type(value: Value) -> None:
    assert exactly(read(override("a.b", value))) == exactly(value)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(keys)
def test_a_dict_key_is_read_back_or_refused(key: str) -> None:
    try:
        line = override("a", {key: 1})
    except UserError:
        return
    assert exactly(read(line)) == exactly({key: 1})


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("cnn", "a=cnn"),
        ("resnet-18/v2.1", "a=resnet-18/v2.1"),
        (1e-5, "a=1e-05"),
        (0.1, "a=0.1"),
        (-3, "a=-3"),
        (True, "a=true"),
        (None, "a=null"),
        ([1, "b", [0.5]], "a=[1,b,[0.5]]"),
        ({"b": {"c d": "e"}}, "a={b:{c\\ d:e}}"),
    ],
)
def test_what_needs_no_quotes_gets_none(value: Value, written: str) -> None:
    assert override("a", value) == written


@pytest.mark.parametrize("value", ["1", "1e-5", "null", "True", "nan", "", " a", "a,b", "it's", 'say "x"', "a\nb", "é"])
def test_strings_stay_strings(value: str) -> None:
    assert read(override("a", value)) == value


def test_an_interpolation_stays_one() -> None:
    assert read(override("a", "${b.c}")) == "${b.c}"


@pytest.mark.parametrize("value", [{"é": 1}, {"": 1}, {"1": 1}, {"true": 1}, {"it's": 1}])
def test_dict_keys_that_hydra_cannot_read_are_refused(value: Value) -> None:
    with pytest.raises(UserError, match=r"the dict key .* cannot be written"):
        override("a", value)


def test_what_is_no_plain_value_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be written as an override"):
        override("a", object())  # type: ignore[arg-type]  # that is the mistake


def test_values_are_the_same_as_a_user_sees_it() -> None:
    assert same(1, 1.0)
    assert same(float("nan"), float("nan"))
    assert same([1, "a"], [1, "a"])
    assert not same(1, True)
    assert not same("1", 1)
    assert not same(None, "null")
    assert text("null") != text(None)


@pytest.mark.parametrize(
    "word", ["u:v", "'q r'", '"z"', "3x", "[a,'b',true]", "{z:true}", "${y:1}", "a b", "10%", "null"]
)
def test_an_element_is_written_as_it_was_typed(word: str) -> None:
    sweep: Any = OverridesParser.create().parse_override(f"key={word},other").value()
    assert typed(sweep.list[0]) == word
