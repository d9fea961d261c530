import sys
from fractions import Fraction
from pathlib import Path
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


class Files:
    def __init__(self, folder: Path, other: Path | None = None) -> None:
        self.folder, self.other = Path(folder), other


def test_text_is_a_path() -> None:
    assert build({"_target_": f"{__name__}.Files", "folder": "data", "other": "more"}, "data").folder == Path("data")
    with pytest.raises(UserError, match=r"data\.folder=3 is of the wrong type"):
        build({"_target_": f"{__name__}.Files", "folder": 3}, "data")


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


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import torch\nclass Net(\n", r"broken\.py, line 2: SyntaxError: '\(' was never closed"),
        (
            "import os\nimport not_installed.layers\n",
            r"broken\.py, line 2: ModuleNotFoundError: No module named 'not_in",
        ),
        ("from os import nothing\n", r"broken\.py, line 1: ImportError: cannot import name 'nothing'"),
        ("import json\n\njson.loads('')\n", r"broken\.py, line 3: JSONDecodeError: Expecting value"),
        ("import sys\nsys.exit(0)\n", r"broken\.py, line 2: SystemExit: 0"),
        ("def __getattr__(name):\n    import not_installed\n", r"broken\.py, line 2: ModuleNotFoundError"),
    ],
    ids=["syntax", "package", "name", "top", "exit", "late"],
)
def test_a_module_that_cannot_be_imported_is_told_by_its_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / "somebodys").mkdir()
    (tmp_path / "somebodys" / "__init__.py").touch()
    (tmp_path / "somebodys" / "broken.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("somebodys")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UserError, match=r"model\._target_=somebodys\.broken\.Net cannot be imported: .*" + words):
        build({"_target_": "somebodys.broken.Net"}, "model")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("tests.sweeplab.nothing.Net", "does not exist: tests.sweeplab has no 'nothing'"),
        ("nowhere", "cannot be imported: there is no module 'nowhere'"),
        ("tests..Net", "is not the name of a class or function"),
        ("tests.sweeplab", "is a module, not a class or function"),
        (f"{__name__}.HERE", "is a str, not a class or function"),
    ],
)
def test_what_a_name_leads_to_is_said(target: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build({"_target_": target}, "model")


def test_an_error_inside_the_target_keeps_its_own_type() -> None:
    with pytest.raises(ZeroDivisionError):
        build({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 0}, "fraction")


def test_what_is_no_description_is_returned_as_it_is() -> None:
    half = Fraction(1, 2)
    assert build(half, "half") is half
