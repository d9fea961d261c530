from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft7Validator
from torch import nn

from sweeplab.schema.target import schema_of


class Colour(Enum):
    RED = "red"


class Base:
    """What is built on.

    Args:
        rate: How fast,
            in steps.
    """

    def __init__(self, rate: float = 0.5) -> None: ...


class Layer(Base):
    def __init__(  # type: ignore[no-untyped-def]  # an argument has no type, as users write it
        self,
        width: int,
        depth: int | None = None,
        kind: Literal["a", "b"] = "a",
        sizes: list[int] | tuple[int, ...] = (),
        names: Sequence[str] = (),
        table: Mapping[str, int] | None = None,
        colour: Colour = Colour.RED,
        folder: Path = Path(),
        make: Callable[[], nn.Module] | None = None,
        net: nn.Module | None = None,
        anything: Any = None,
        untyped=None,
        **more: Any,
    ) -> None: ...


def validator() -> Draft7Validator:
    return Draft7Validator(schema_of("Layer", Layer))


@pytest.mark.parametrize(
    "values",
    [
        {"width": 3, "rate": 1, "depth": None, "kind": "b", "sizes": [1, 2], "names": ["x"], "table": {"x": 1}},
        {"width": "${data:width}", "depth": "???", "kind": "${kind}", "sizes": ["${a}", 1], "table": "${table}"},
        {"colour": "RED", "folder": "data", "make": {"_target_": "x.Y", "_partial_": True}, "anything": [1, {}]},
        {"net": {"_target_": "torch.nn.Linear"}, "width": {"_target_": "x.width"}, "untyped": 3, "make": "x.y"},
        {"_target_": "Layer", "_args_": [3], "_convert_": "all", "_recursive_": False, "defaults": ["other"]},
    ],
)
def test_what_a_class_takes_is_valid(values: dict[str, Any]) -> None:
    assert not list(validator().iter_errors(values))


@pytest.mark.parametrize(
    "values",
    [
        {"width": None},
        {"width": 1.5},
        {"width": True},
        {"width": "wide"},
        {"width": [1]},
        {"depth": "deep"},
        {"kind": "c"},
        {"sizes": 3},
        {"sizes": ["x"]},
        {"names": "x"},
        {"table": [1]},
        {"colour": "blue"},
        {"rate": "fast"},
        {"widht": 3},
    ],
)
def test_what_a_class_does_not_take_is_not(values: dict[str, Any]) -> None:
    assert len(list(validator().iter_errors(values))) == 1


def test_a_class_that_takes_others_too_lets_them_through() -> None:
    assert not list(Draft7Validator(schema_of("Open", partial)).iter_errors({"other": 1}))


def test_an_editor_can_show_types_defaults_and_docstrings() -> None:
    schema = schema_of("Layer", Layer)
    assert schema["properties"]["rate"] | {"anyOf": []} == {
        "title": "float",
        "description": "How fast, in steps. Default: 0.5",
        "default": 0.5,
        "anyOf": [],
    }
    assert schema["properties"]["depth"]["title"] == "int or null"
    assert schema["properties"]["depth"]["description"] == "Default: null"
    assert "description" not in schema["properties"]["width"]
    assert "self" not in schema["properties"]
