import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SRC = ROOT / "src"
MODULES = sorted(path for path in SRC.rglob("*.py") if path.name != "__init__.py")
# From the ground up: a room imports from rooms before it, and from itself. A face gathers names of other rooms.
FACES = ("sweeplab.callbacks", "sweeplab.loggers", "sweeplab.listeners")
FLOORS = (
    "sweeplab",
    "sweeplab.runs",
    "sweeplab.sweep",
    "sweeplab.training",
    "sweeplab.tracking",
    "sweeplab.tasks",
    *FACES,
    "hydra_plugins",
    "lab",
)
NEIGHBOURS = {
    "lab": {"hydra_plugins"},
    "sweeplab.training": {"sweeplab.tracking"},
    "sweeplab.tracking": {"sweeplab.training"},
    "sweeplab.tasks": {"sweeplab.tracking"},
    **{face: {"sweeplab.tasks", *FACES} - {face} for face in FACES},
}
CLASSES = re.compile(r"num_classes|in_shape|Classifier|label_smoothing")


def room(module: str) -> str | None:
    """The room that a module lies in, None for somebody else's."""
    parts = module.split(".")
    if parts[0] in ("lab", "hydra_plugins"):
        return parts[0]
    if parts[0] != "sweeplab":
        return None
    name = ".".join(parts[:2])
    return name if name in FLOORS else "sweeplab"


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: relative imports hide the room"
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_rooms_import_downwards_only(path: Path) -> None:
    here = room(".".join(path.relative_to(SRC).with_suffix("").parts))
    assert here is not None
    for module in imports(path):
        there = room(module)
        if there is not None and there != here:
            assert FLOORS.index(there) < FLOORS.index(here), f"{here} imports {module}"
            assert there not in NEIGHBOURS.get(here, ()), f"{here} imports {module}"


def test_nothing_outside_the_tasks_and_lab_knows_of_classes() -> None:
    rooms = [path for path in MODULES if path.is_relative_to(SRC / "sweeplab") and path.parent.name != "tasks"]
    entries = list(ROOT.glob("*.py"))
    knowing = [path.name for path in [*rooms, *entries] if CLASSES.search(path.read_text())]
    assert knowing == ["earlier.py"]  # the words of version 1


def test_no_room_is_a_junk_room() -> None:
    vague = {"utils", "util", "helpers", "common", "misc", "base"}
    assert not [path for path in MODULES if path.stem.strip("_") in vague]


def test_each_source_room_with_code_has_tests() -> None:
    rooms = {path.parent.relative_to(SRC) for path in MODULES}
    assert not [str(room) for room in rooms if not list((ROOT / "tests" / room).glob("test_*.py"))]
