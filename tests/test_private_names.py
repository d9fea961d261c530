"""Private names of libraries: each that sweeplab uses is on a page, and is still there."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "private-names.md"
# `package.module: Class._name, _other`, in the first cell of a row; also `package._module: name`.
CELLS = re.findall(r"^\| `([\w.]+): ([\w., ]+)` \|", PAGE.read_text(), re.MULTILINE)
ROWS = [(module, name) for module, names in CELLS for name in names.split(", ")]
MODULES = sorted([*(ROOT / "src" / "sweeplab").rglob("*.py"), *(ROOT / "src" / "hydra_plugins").rglob("*.py")])
# Hydra's, Python's: documented under these names.
PUBLIC = {"_target_", "_args_", "_partial_", "_convert_", "_recursive_", "_self_", "_global_", "_group_"}
PUBLIC |= {"_exit", "_replace", "_fields"}
DOTTED = re.compile(r"\w+(\.\w+)*")
AFFIXES = ("startswith", "endswith", "removeprefix", "removesuffix")  # whose arguments are parts of names


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in {"_", *PUBLIC}


def own_names(tree: ast.AST) -> Iterator[str]:
    """Private names that a module defines: functions, classes, variables, attributes of its own objects."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def used_names(tree: ast.AST) -> Iterator[str]:
    """Private names that a module takes from objects and modules that may be somebody else's."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    affixes = {id(text) for call in calls if ast.unparse(call.func).endswith(AFFIXES) for text in call.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("sweeplab"):
            parts = [part for part in node.module.split(".") if is_private(part)]
            names = [alias.name for alias in node.names]
            yield from names if parts else filter(is_private, names)
        elif isinstance(node, ast.Constant) and id(node) not in affixes:
            yield from names_in_text(node.value)


def names_in_text(text: object) -> Iterator[str]:
    """Private names in a string, as `getattr(run, "_name")` and `import_module("package._module")` take them."""
    if isinstance(text, str) and DOTTED.fullmatch(text):
        *above, last = text.split(".")
        if is_private(last) or any(map(is_private, above)):
            yield last


TREES = {path: ast.parse(path.read_text()) for path in MODULES}
OWN = {name for tree in TREES.values() for name in own_names(tree) if is_private(name)}
LISTED = {part for _, name in ROWS for part in name.split(".")}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("run._interface", "_interface"),
        ("from wandb._module import public", "public"),
        ("from wandb.module import _private", "_private"),
        ("getattr(schedule, '_milestones', None)", "_milestones"),
        ("for name in ('_publish',): setattr(interface, name, None)", "_publish"),
        ("import_module('hydra._internal.execution_policy')", "execution_policy"),
    ],
)
def test_a_private_name_is_noticed_however_it_is_written(code: str, name: str) -> None:
    assert list(used_names(ast.parse(code))) == [name]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_private_names_of_libraries_are_on_the_page(path: Path) -> None:
    assert sorted(set(used_names(TREES[path])) - OWN - LISTED) == []


@pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")  # W&B's workspaces, as they are imported
@pytest.mark.parametrize(("module", "name"), ROWS)
def test_what_is_on_the_page_is_still_there(module: str, name: str) -> None:
    if name == "execution_policy" and version("hydra-core") < "1.4":
        pytest.skip("Hydra has it from 1.4 on")
    loaded = importlib.import_module(module)
    modules = [each.name for each in pkgutil.iter_modules(getattr(loaded, "__path__", []))]
    source = " ".join([inspect.getsource(loaded), *modules])
    assert all(re.search(rf"\b{part}\b", source) for part in name.split("."))


def test_the_page_names_nothing_that_nobody_uses() -> None:
    used = {name for tree in TREES.values() for name in used_names(tree)}
    assert [name for _, name in ROWS if name.rpartition(".")[2] not in used] == []
