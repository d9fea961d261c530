"""Where two runs differ."""

from collections.abc import Iterator
from typing import Any

from sweeplab.compare.cells import number, text
from sweeplab.compare.table import Table
from sweeplab.records.columns import same
from sweeplab.records.run import Run

TARGET = "._target_"


def differences_table(one: Run, other: Run) -> Table:
    """Show where two runs differ: settings, what they came to, endings, code and versions."""
    rows = [*_settings(one, other), *_metrics(one, other), *_circumstances(one, other)]
    return Table("What differs", ["key", one.name, other.name], rows, [] if rows else ["Nothing differs."])


def _settings(one: Run, other: Run) -> Iterator[list[str]]:
    for key in dict.fromkeys([*one.settings, *other.settings]):
        values = [run.settings.get(key, "-") for run in (one, other)]
        if not same(*values) and not _follows(key, one, other):
            yield [key, *map(text, values)]


def _follows(key: str, one: Run, other: Run) -> bool:
    """Say whether a key is the class behind a choice, and the choice differs already."""
    group = key.removesuffix(TARGET)
    return key.endswith(TARGET) and one.choices.get(group) != other.choices.get(group)


def _metrics(one: Run, other: Run) -> Iterator[list[str]]:
    ours, theirs = one.values(), other.values()
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name) and not name.startswith("last/"):
            yield [name, number(ours.get(name)), number(theirs.get(name))]


def _circumstances(one: Run, other: Run) -> Iterator[list[str]]:
    ours, theirs = _facts(one), _facts(other)
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name):
            yield [name, str(ours.get(name, "-")), str(theirs.get(name, "-"))]


def _facts(run: Run) -> dict[str, Any]:
    git = run.facts.get("git") or {}
    commit = {"commit": git["commit"][:8] + (" and changes" if git.get("dirty") else "")} if git else {}
    threads = {"threads": run.facts["threads"]} if "threads" in run.facts else {}
    return {"status": run.status, **commit, **threads, **run.facts.get("versions", {})}
