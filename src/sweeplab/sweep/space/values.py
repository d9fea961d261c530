"""Values as Hydra's overrides write them."""

import contextlib
import functools
import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString, Transformer
from hydra.errors import HydraException

from sweeplab.errors import UserError

Value = bool | int | float | str | list[Any] | dict[str, Any] | None

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_NOT_WORDS = {"null", "true", "false", "inf", "nan"}
_ESCAPED = re.compile(r"[\\()\[\]{}:=, \t]")


def override(key: str, value: Value) -> str:
    """Return `key=value` as Hydra reads it back: the same value, of the same type.

    Raises:
        UserError: Hydra's grammar has no words for the value.
    """
    return f"{key}={text(value)}"


def text(value: Value) -> str:
    """Return a value as it stands behind the `=` of an override."""
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) and value.lower() not in _NOT_WORDS else _quoted(value)
    if isinstance(value, list):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_dict_key(key)}:{text(item)}' for key, item in value.items())}}}"
    return _bare(value)


def typed(element: Any) -> str:
    """Return an element that Hydra's parser read as the user typed it; a number or a boolean as we write it."""
    if isinstance(element, QuotedString):
        return element.with_quotes()
    if isinstance(element, list):
        return f"[{','.join(map(typed, element))}]"
    for word in (element, Transformer.str(element)) if isinstance(element, str) else ():
        with contextlib.suppress(HydraException):
            if parser().parse_override(f"key={word}").value() == element:
                return word
    return text(plain(element))


def same(one: Value, other: Value) -> bool:
    """Say whether two values are the same to a user: 1 is 1.0, nan is nan, but true is not 1."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isinstance(one, bool) == isinstance(other, bool) and (one == other or text(one) == text(other))
    return type(one) is type(other) and text(one) == text(other)


def same_type(one: Value, other: Value) -> bool:
    """Say whether two values are the same, and of the same type: 1 is not 1.0."""
    return text(one) == text(other)


def index_of(value: Value, points: Sequence[Value]) -> int | None:
    """Return which of the points a value is: the one of its own type, else one that is the `same`; None if none is."""
    alike = [number for number, point in enumerate(points) if same(point, value)]
    return next((number for number in alike if same_type(points[number], value)), alike[0] if alike else None)


def plain(element: Any) -> Value:
    """Return what Hydra's parser read, without its marks of quoting."""
    if isinstance(element, QuotedString):
        return element.text
    if isinstance(element, list):
        return [plain(item) for item in element]
    if isinstance(element, dict):
        return {key: plain(item) for key, item in element.items()}
    return element  # type: ignore[no-any-return]  # the grammar has no other elements


def _bare(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)  # numpy's own repr is not a number
    raise UserError(
        f"{value!r} cannot be written as an override; use numbers, strings, booleans, null, lists or dicts."
    )


def _quoted(string: str) -> str:
    quote = Quote.double if "'" in string and '"' not in string else Quote.single
    return QuotedString(string, quote).with_quotes()


def _dict_key(key: Any) -> str:
    """Write a dict's key, which the grammar does not let us quote."""
    written = _ESCAPED.sub(r"\\\g<0>", key) if isinstance(key, str) else _bare(key)
    try:
        read = parser().parse_rule(written, "dictKey")
    except HydraException:
        read = None
    if type(read) is not type(key) or not same(read, key):
        raise UserError(f"the dict key {key!r} cannot be written as an override; use a name such as 'a_b' for it.")
    return written


@functools.cache
def parser() -> OverridesParser:
    """Return Hydra's parser of overrides, made once."""
    return OverridesParser.create()
