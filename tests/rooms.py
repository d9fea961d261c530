"""Draw the rooms of sweeplab and who imports whom: `python -m tests.rooms > docs/pictures/house.svg`.

An arrow that follows from others is left out.
"""

import ast
import sys
from collections import defaultdict
from html import escape
from typing import NamedTuple

from tests.test_layout import BETWEEN, FACES, MODULES, OF_THE_SWEEP, inner, module_of, room

TOGETHER = {
    **dict.fromkeys(FACES, ", ".join(face.rpartition(".")[2] for face in FACES)),
    **{f"sweeplab.sweep.{name}": "sweep: " + ", ".join(BETWEEN) for name in BETWEEN},
}


class Box(NamedTuple):
    """Where a room is drawn, of five columns; the colour of its group; what is in it."""

    column: float
    group: str
    about: str


BOXES = {
    "lab": Box(2, "yours", "yours: training function, models, data"),
    "tasks": Box(2, "training", "LightningModules for bare networks"),
    "callbacks, loggers, listeners, trainers": Box(3.3, "training", "public names for conf/"),
    "hydra_plugins": Box(0.7, "sweep", "what Hydra finds: the sweeper"),
    "training": Box(2, "training", "the life of a run"),
    "tracking": Box(3.3, "training", "Weights & Biases"),
    "sweep": Box(2, "sweep", "the engine: its loop"),
    "sweep/execute": Box(0.7, "sweep", "processes, nodes, clusters"),
    "sweep/study": Box(2, "sweep", "Optuna: storage, samplers, pruners"),
    "sweep: trial, job, program, spec": Box(1.35, "sweep", "what the sweep's rooms hand each other"),
    "sweep/config": Box(2, "sweep", "a trial's configuration"),
    "sweep/space": Box(0.7, "sweep", "search spaces: grammar, domains"),
    "new": Box(4.6, "records", "makes and updates projects"),
    "schema": Box(4.6, "records", "JSON schemas of conf/"),
    "report": Box(3.3, "records", "the page of a sweep"),
    "compare": Box(3.3, "records", "tables, statistics, significance"),
    "records": Box(2.65, "records", "what runs leave on disk"),
}
COLUMN, ROW, WIDTH, HEIGHT = 232, 96, 276, 54
STYLE = """
  svg { font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; text-anchor: middle }
  .name { fill: #1c2330; font-size: 14.5px; font-weight: 600 } .about { fill: #55606f; font-size: 12px }
  .paper { fill: #fff }
  path { fill: none; stroke: #98a2b1; stroke-width: 1.5 } marker path { fill: #98a2b1; stroke: none }
  .yours { fill: #e3f5e6; stroke: #4f9d62 } .training { fill: #fdf0dc; stroke: #d1913a }
  .sweep { fill: #e6eefc; stroke: #5b84d6 } .records { fill: #f1eaf8; stroke: #9672bd }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14161c } .name { fill: #e8ebf0 } .about { fill: #a4adba }
    path { stroke: #6d7786 } marker path { fill: #6d7786 }
    .yours { fill: #1b3122 } .training { fill: #35291a } .sweep { fill: #1c2842 } .records { fill: #2b2238 }
  }
"""


def place(module: str) -> str | None:
    """The box that a module lies in; None for what every room may import, and for other libraries."""
    there = room(module)
    if there in (None, "sweeplab"):
        return None
    for start, box in TOGETHER.items():
        if module == start or module.startswith(f"{start}."):
            return box
    if there == "sweeplab.sweep" and inner(module) in OF_THE_SWEEP:
        return f"sweep/{inner(module)}"
    return str(there).rpartition(".")[2]


def arrows() -> dict[str, set[str]]:
    """Who imports whom."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        here = place(module_of(path))
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        there = {place(f"{node.module}.{alias.name}") for node in nodes for alias in node.names}
        if here is not None:
            found[here] |= {other for other in there if other not in (None, here)}
    return dict(found)


def reachable(found: dict[str, set[str]], start: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """All rooms that a room imports, also by way of others."""
    direct = found.get(start, set()) - seen
    return direct | {name for other in direct for name in reachable(found, other, seen | direct | {start})}


def direct_arrows() -> dict[str, set[str]]:
    """Who imports whom, without what follows from other arrows; rooms without any are left out."""
    found = arrows()
    direct = {}
    for here, there in found.items():
        indirect = {name for other in there if here not in reachable(found, other) for name in reachable(found, other)}
        direct[here] = there - indirect
    drawn = {name for here, there in direct.items() if there for name in (here, *there)}
    return {here: direct.get(here, set()) for here in sorted(drawn)}


def floor(found: dict[str, set[str]], here: str) -> int:
    """How many floors a room lies above the ground."""
    return max((floor(found, there) + 1 for there in found[here]), default=0)


def drawing() -> str:
    """The drawing, an SVG picture for light and dark pages."""
    found = direct_arrows()
    floors = {name: floor(found, name) for name in found}
    top = max(floors.values())
    centre = {name: (COLUMN * BOXES[name].column, 46 + ROW * (top - floors[name])) for name in found}
    lines = []
    for here, there in found.items():
        for other in sorted(there):
            x, y = centre[here][0], centre[here][1] + HEIGHT / 2
            to_x, to_y = centre[other][0], centre[other][1] - HEIGHT / 2 - 5
            begin = f"{x:.0f} {y + 32:.0f}" if to_y - y < ROW else f"{to_x:.0f} {y + 8:.0f}"  # past the boxes between
            curve = f"M{x:.0f} {y:.0f}C{begin} {to_x:.0f} {to_y - 32:.0f} {to_x:.0f} {to_y:.0f}"
            lines.append(f'<path d="{curve}" marker-end="url(#end)"/>')
    for name, (x, y) in centre.items():
        left, up = x - WIDTH / 2, y - HEIGHT / 2
        lines += [
            f'<rect class="{BOXES[name].group}" x="{left:.0f}" y="{up:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="9"/>',
            f'<text class="name" x="{x:.0f}" y="{y - 4:.0f}">{name}</text>',
            f'<text class="about" x="{x:.0f}" y="{y + 15:.0f}">{escape(BOXES[name].about)}</text>',
        ]
    width, height = round(COLUMN * 5.3), ROW * top + 92
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">',
            f"<style>{STYLE}</style>",
            '<marker id="end" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z"/></marker>',
            '<rect class="paper" width="100%" height="100%" rx="12"/>',
            *lines,
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(drawing())
