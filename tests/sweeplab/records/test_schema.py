from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Required, TypedDict

import pytest

from sweeplab.records.schema import Time, misfit


@dataclass
class Part:
    low: float | None = None


class Whole(TypedDict, total=False):
    name: Required[str]
    started: Time
    parts: Mapping[str, Part]
    numbers: Sequence[float] | None
    anything: Any


GOOD = {"name": "cnn", "started": "2026-01-31T12:00:00+00:00", "parts": {"a": {"low": 1}, "b": {}}, "numbers": [1, 0.5]}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({}, None),
        ({"numbers": None, "parts": {}, "anything": [{}], "unknown": 3}, None),
        ({"name": None}, "name"),
        ({"started": "2026-01-31T12:00:00"}, "started"),
        ({"parts": {"a": {"low": "1"}}}, "parts"),
        ({"parts": {"a": 1}}, "parts"),
        ({"numbers": [1, None]}, "numbers"),
        ({"numbers": [True]}, "numbers"),
        ({"numbers": 1}, "numbers"),
    ],
    ids=str,
)
def test_the_first_key_whose_value_is_of_another_type_is_named(change: dict[str, Any], key: str | None) -> None:
    assert misfit({**GOOD, **change}, Whole) == key


def test_what_is_required_may_only_be_missing_from_a_part() -> None:
    assert misfit({"numbers": []}, Whole) == "name"
    assert misfit({"numbers": []}, Whole, is_whole=False) is None
