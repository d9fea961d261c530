"""Draw the rooms of sweeplab and who imports whom, as Mermaid text: `python -m tests.rooms`.

An arrow that follows from others is left out.
"""

import ast
import sys
from collections import defaultdict

from tests.test_layout import BETWEEN, FACES, MODULES, OF_THE_SWEEP, inner, module_of, room

TOGETHER = {
    **dict.fromkeys(FACES, ", ".join(face.rpartition(".")[2] for face in FACES)),
    **{f"sweeplab.sweep.{name}": "sweep: " + ", ".join(BETWEEN) for name in BETWEEN},
}


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


def drawing() -> str:
    """The drawing, a line an arrow."""
    found = arrows()
    lines = []
    for here, direct in sorted(found.items()):
        indirect = {name for other in direct if here not in reachable(found, other) for name in reachable(found, other)}
        lines += [f'    {_id(here)}["{here}"] --> {_id(there)}["{there}"]' for there in sorted(direct - indirect)]
    return "\n".join(["graph TD", *lines])


def _id(name: str) -> str:
    return "".join(letter for letter in name if letter.isalpha())


if __name__ == "__main__":
    sys.stdout.write(drawing() + "\n")
