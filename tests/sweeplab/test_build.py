from fractions import Fraction
from typing import Any

import pytest

from sweeplab.build import build
from sweeplab.errors import UserError


class Base:
    def __init__(self, width: int = 1) -> None:
        self.width = width


class Layer(Base):
    def __init__(self, rate: float, name: str | None = None, **more: Any) -> None:
        super().__init__(**more)
        if rate < 0:
            raise ValueError("rate is below 0")
        self.rate, self.name = rate, name


HERE = f"{__name__}.Layer"


def test_arguments_reach_the_target_and_its_parent() -> None:
    layer = build({"_target_": HERE, "rate": 1, "width": 3}, "layer")
    assert (layer.rate, layer.name, layer.width) == (1, None, 3)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"rate": 1}, "layer has no _target_"),
        ({"_target_": f"{__name__}.Layr"}, "did you mean 'tests.sweeplab.test_build.Layer'"),
        ({"_target_": "nowhere.Layer"}, "layer._target_=nowhere.Layer cannot be imported"),
        ({"_target_": HERE, "rate": 1, "naem": "x"}, "no argument 'layer.naem'; did you mean 'name'"),
        ({"_target_": HERE, "rate": 1, "widht": 2}, "did you mean 'width'"),
        ({"_target_": HERE, "rate": "high"}, "layer.rate='high' is of the wrong type"),
        ({"_target_": HERE, "rate": 1, "width": True}, "layer.width=True is of the wrong type"),
        ({"_target_": HERE, "rate": "???"}, "layer.rate has no value"),
        ({"_target_": HERE, "rate": -1}, "layer: rate is below 0"),
    ],
)
def test_mistakes_are_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(config, "layer")


def test_an_error_inside_the_target_keeps_its_own_type() -> None:
    with pytest.raises(ZeroDivisionError):
        build({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 0}, "fraction")


def test_what_is_no_description_is_returned_as_it_is() -> None:
    half = Fraction(1, 2)
    assert build(half, "half") is half
