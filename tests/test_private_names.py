"""Private names of libraries: each that sweeplab uses is on the page on architecture, and is still there."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "architecture.md"
# `package.module: Class._name`, in the first cell of a row; also `package._module: name`.
ROWS = re.findall(r"^\| `([\w.]+): ([\w.]+)` \|", PAGE.read_text(), re.MULTILINE)
MODULES = sorted([*(ROOT / "src" / "sweeplab").rglob("*.py"), *(ROOT / "src" / "hydra_plugins").rglob("*.py")])
PUBLIC = {"_target_", "_exit", "_replace"}  # Hydra's, Python's: documented under these names


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


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
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("sweeplab"):
            parts = [part for part in node.module.split(".") if is_private(part)]
            names = [alias.name for alias in node.names]
            yield from names if parts else filter(is_private, names)


TREES = {path: ast.parse(path.read_text()) for path in MODULES}
OWN = {name for tree in TREES.values() for name in own_names(tree)}
LISTED = {part for _, name in ROWS for part in name.split(".")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_private_names_of_libraries_are_on_the_page(path: Path) -> None:
    assert sorted(set(used_names(TREES[path])) - OWN - LISTED) == []


@pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")  # W&B's workspaces, as they are imported
@pytest.mark.parametrize(("module", "name"), ROWS)
def test_what_is_on_the_page_is_still_there(module: str, name: str) -> None:
    source = inspect.getsource(importlib.import_module(module))
    assert all(re.search(rf"\b{part}\b", source) for part in name.split("."))


def test_the_page_names_nothing_that_nobody_uses() -> None:
    used = {name for tree in TREES.values() for name in used_names(tree)}
    assert [name for _, name in ROWS if name.rpartition(".")[2] not in used] == []
