import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

SRC = ROOT / "src"
MODULES = sorted(path for path in SRC.rglob("*.py") if path.stat().st_size > 0)
# From the ground up: a room imports from rooms before it, and from itself. A face gathers names of other rooms.
FACES = ("sweeplab.callbacks", "sweeplab.loggers", "sweeplab.listeners", "sweeplab.trainers")
FLOORS = (
    "sweeplab",
    "sweeplab.records",
    "sweeplab.schema",
    "sweeplab.new",
    "sweeplab.compare",
    "sweeplab.report",
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
# What the rooms of the sweep import of the sweep; between them lie the modules that they hand each other.
BETWEEN = ("trial", "job", "program", "spec")
OF_THE_SWEEP = {
    "space": ("space",),
    "config": ("space", "config"),
    **dict.fromkeys(BETWEEN, ("space", "config", *BETWEEN)),
    "study": ("space", "config", "study", *BETWEEN),
    "execute": ("config", "execute", *BETWEEN),
}
# Lines of Python that a room may have. A change that needs more says why; one that needs less lowers the number.
BUDGETS = {
    "lab": 600,
    "hydra_plugins": 200,
    "sweeplab": 995,
    "sweeplab.records": 3070,
    "sweeplab.schema": 375,
    "sweeplab.new": 420,
    "sweeplab.compare": 1110,
    "sweeplab.report": 790,
    "sweeplab.sweep": 10220,
    "sweeplab.training": 4215,
    "sweeplab.tracking": 2290,
    "sweeplab.tasks": 1360,
}
CLASSES = re.compile(r"num_classes|in_shape|Classifier|label_smoothing")


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str | None:
    """The room that a module lies in, None for somebody else's."""
    parts = module.split(".")
    if parts[0] in ("lab", "hydra_plugins"):
        return parts[0]
    if parts[0] != "sweeplab":
        return None
    name = ".".join(parts[:2])
    return name if name in FLOORS else "sweeplab"


def imports(code: str) -> Iterator[str]:
    """What is imported, a room by its own name also where it is taken from the package that it lies in."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "relative imports hide the room"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if room(name) in (name, "lab", "hydra_plugins") else str(node.module) for name in inner)


def qualified(code: str) -> Iterator[str]:
    """What is imported, by its full name."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(path: Path, code: str) -> list[str]:
    """What a module imports from a floor above its own, or from a neighbour."""
    here = room(module_of(path))
    assert here is not None
    if path == SRC / "sweeplab" / "__init__.py":  # names that are imported when they are asked for
        return [module for module in imports(code) if room(module) in ("lab", "hydra_plugins", "sweeplab.tasks")]
    others = [(module, there) for module in imports(code) if (there := room(module)) not in (None, here)]
    return [
        module
        for module, there in others
        if FLOORS.index(str(there)) > FLOORS.index(here) or there in NEIGHBOURS.get(here, ())
    ]


# What rooms above the sweep see of it: the trial that runs, and what a listener is told.
ABOVE_THE_SWEEP = ("sweeplab.training", "sweeplab.tracking", "sweeplab.tasks")
SEEN_OF_THE_SWEEP = ("sweeplab.sweep.trial", "sweeplab.sweep.listener")


def hidden_modules(path: Path, code: str) -> list[str]:
    """What a module in a room above the sweep imports of the sweep that is not meant for it."""
    if room(module_of(path)) not in ABOVE_THE_SWEEP:
        return []
    named = [name for name in qualified(code) if f"{name}.".startswith("sweeplab.sweep.")]
    return [name for name in named if not f"{name}.".startswith(tuple(f"{seen}." for seen in SEEN_OF_THE_SWEEP))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_rooms_above_the_sweep_see_trials_and_what_listeners_are_told(path: Path) -> None:
    assert hidden_modules(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("training/top_checkpoints.py", "from sweeplab.sweep.spec import SweepSpec"),
        ("training/top_checkpoints.py", "from sweeplab.sweep import results"),
        ("training/start.py", "import sweeplab.sweep.study.client"),
        ("tracking/view.py", "from sweeplab.sweep.space.parameter import Parameter"),
        ("tracking/view.py", "def f():\n    from sweeplab.sweep.listener_of_mine import Listener"),
        ("tracking/view.py", "from sweeplab import sweep"),
        ("tasks/charts.py", "from sweeplab.sweep.job import Job"),
    ],
)
def test_an_arrow_into_the_sweep_is_found(path: str, code: str) -> None:
    assert len(hidden_modules(SRC / "sweeplab" / path, code)) == 1


def test_no_room_outgrows_its_budget() -> None:
    lines = Counter[str]()
    for path in MODULES:
        here = room(module_of(path))
        lines["sweeplab" if here in FACES else str(here)] += len(path.read_text().splitlines())
    assert {here: count for here, count in lines.items() if count > BUDGETS[here]} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_rooms_import_downwards_only(path: Path) -> None:
    assert arrows(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("records/run.py", "from sweeplab.sweep.trial import current"),
        ("records/run.py", "from sweeplab import training"),
        ("records/run.py", "from sweeplab import loggers"),
        ("records/trials.py", "from sweeplab.compare.pareto import front"),
        ("compare/table.py", "from sweeplab.report import write_report"),
        ("report/page.py", "import sweeplab.sweep.trial"),
        ("errors.py", "import sweeplab.records.files"),
        ("sweep/loop.py", "def f():\n    from sweeplab.tracking.view import view"),
        ("training/run.py", "from sweeplab.tracking.wandb_run import WandbRun"),
        ("training/run.py", "from sweeplab.tasks import Classification"),
        ("tracking/view.py", "from sweeplab.training.loggers import closing_loggers"),
        ("tasks/charts.py", "from sweeplab.tracking import view"),
        ("callbacks.py", "from sweeplab import tasks"),
        ("loggers.py", "import sweeplab.listeners"),
        ("tasks/__init__.py", "import lab"),
        ("training/start.py", "from lab import train"),
        ("training/start.py", "from lab.train import train"),
        ("sweep/spec.py", "import hydra_plugins.sweeplab_sweeper.sweeper"),
        ("../lab/train.py", "import hydra_plugins.sweeplab_sweeper"),
        ("../hydra_plugins/sweeplab_sweeper/sweeper.py", "from lab.train import train"),
        ("__init__.py", "from sweeplab import tasks"),
    ],
)
def test_an_arrow_that_leads_upwards_is_found(path: str, code: str) -> None:
    assert len(arrows((SRC / "sweeplab" / path).resolve(), code)) == 1


def inner(module: str) -> str:
    """The room of the sweep that a module lies in, or its own name."""
    return [*module.split("."), "", ""][2]


def inner_arrows(path: Path, code: str) -> list[str]:
    """What a module in a room of the sweep imports from rooms that are none of its own."""
    allowed = OF_THE_SWEEP.get(inner(module_of(path)))
    there = [name for name in qualified(code) if name.startswith("sweeplab.sweep.")]
    return [name for name in there if allowed is not None and inner(name) not in allowed]


@pytest.mark.parametrize(
    "path", sorted((SRC / "sweeplab" / "sweep").rglob("*.py")), ids=lambda path: str(path.relative_to(SRC))
)
def test_rooms_of_the_sweep_import_downwards_only(path: Path) -> None:
    assert inner_arrows(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("space/space.py", "from sweeplab.sweep.config.settings import Settings"),
        ("config/snapshot.py", "from sweeplab.sweep.spec import SweepSpec"),
        ("spec.py", "from sweeplab.sweep.study.study import Study"),
        ("study/client.py", "from sweeplab.sweep.execute import slots"),
        ("execute/local.py", "from sweeplab.sweep import loop"),
        ("execute/local.py", "from sweeplab.sweep.study.client import StudyClient"),
    ],
)
def test_an_arrow_between_the_rooms_of_the_sweep_is_found(path: str, code: str) -> None:
    assert len(inner_arrows(SRC / "sweeplab" / "sweep" / path, code)) == 1


def test_names_of_the_package_itself_may_be_had_anywhere() -> None:
    assert arrows(SRC / "sweeplab" / "records" / "run.py", "from sweeplab import load_model\nimport sweeplab") == []


def test_nothing_outside_the_tasks_and_lab_knows_of_classes() -> None:
    texts = [path for path in (SRC / "sweeplab").rglob("*") if path.suffix in (".py", ".js", ".html", ".css", ".yaml")]
    rooms = [path for path in texts if not path.is_relative_to(SRC / "sweeplab" / "tasks")]
    knowing = [path.name for path in [*rooms, *ROOT.glob("*.py")] if CLASSES.search(path.read_text())]
    assert knowing == ["earlier.py"]  # the words of version 1


def test_no_room_is_a_junk_room() -> None:
    vague = {"utils", "util", "helpers", "common", "misc", "base"}
    assert not [path for path in MODULES if module_of(path).rpartition(".")[2].strip("_") in vague]


def test_each_source_room_with_code_has_tests() -> None:
    rooms = {path.parent.relative_to(SRC) for path in MODULES}
    assert not [str(room) for room in rooms if not list((ROOT / "tests" / room).glob("test_*.py"))]


def test_the_drawing_of_the_rooms_is_that_of_the_code() -> None:
    from tests.rooms import drawing  # which imports this module

    assert (ROOT / "docs" / "pictures" / "house.svg").read_text() == drawing()
