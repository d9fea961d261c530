"""A table as text, for the terminal and for Markdown, and how its cells are written."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sweeplab.compare.fields import FACTS, Fields
from sweeplab.compare.statistics import LEVEL, Spread
from sweeplab.records.names import clock, short_value
from sweeplab.records.run import Run

if TYPE_CHECKING:
    from rich.console import RenderableType

INTERVAL = f"{LEVEL:.0%} interval"
GAP = 2  # spaces between columns on a terminal
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?( s| to .*)?|[\d:]+|null|-|")


@dataclass(frozen=True)
class Table:
    """Rows of text below a title; `notes` stand behind it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the table for a page of Markdown."""
        lines = [_line(self.columns), _line("---:" if numeric else "---" for numeric in self._numeric())]
        lines += [_line(row) for row in self.rows]
        return "\n\n".join([f"**{_escaped(self.title)}**", "\n".join(lines), *map(_escaped, self.notes)])

    def rich(self, width: int) -> "RenderableType":
        """Return the table for a terminal of so many characters."""
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        fitted = self._fitted(width)
        table = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
        for name, numeric in zip(fitted.columns, fitted._numeric(), strict=True):
            table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
        for row in fitted.rows:
            table.add_row(*(Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", cell)) for cell in row))
        return Group(Text(fitted.title, style="bold"), table, *(Text(note, style="dim") for note in fitted.notes))

    def _numeric(self) -> list[bool]:
        """Say of each column whether all that stands in it are numbers."""
        return [all(_NUMBER.fullmatch(row[index]) for row in self.rows) for index in range(len(self.columns))]

    def _fitted(self, width: int) -> "Table":
        """Return the table without the columns that `width` characters have no room for, and a note that names them."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        kept = len(widths)
        while kept > 1 and sum(widths[:kept]) + GAP * (kept - 1) > width:
            kept -= 1
        if kept == len(widths):
            return self
        note = f"No room for {', '.join(self.columns[kept:])}: --columns chooses, --csv has all."
        rows = [row[:kept] for row in self.rows]
        return Table(self.title, self.columns[:kept], rows, [*self.notes, note])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def cell(field: str, run: Run) -> str:
    """Return what a table shows of a run's field: nothing where it has none, `null` where it is set to that."""
    value = Fields.value(run, field)
    if value is None:
        return "null" if field in run.settings else ""
    if field == "seconds":
        return f"{value:.1f} s" if value < 60 else clock(value)
    if field == "started":
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M}"
    if field == "tags":
        return ", ".join(value)
    return setting(value) if field in FACTS or field in run.settings else number(value)


def setting(value: Any) -> str:
    """Return a setting in few characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return short_value(value)


def number(value: float | None) -> str:
    """Return a measured value: four places behind the point where it is small, counts as they are."""
    if value is None:
        return ""
    if 1e-3 <= abs(value) < 10:
        return f"{value:.4f}"
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def interval(spread: Spread) -> str:
    """Return an interval; nothing where there is none."""
    return "" if spread.low is None else f"{number(spread.low)} to {number(spread.high)}"


def plural(count: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
