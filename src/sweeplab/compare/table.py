"""A table as text: for the terminal, and for Markdown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

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

    def _numeric(self) -> list[bool]:
        """Say of each column whether all that stands in it are numbers."""
        return [all(_NUMBER.fullmatch(row[place]) for row in self.rows) for place in range(len(self.columns))]

    def fitted(self, width: int) -> "Table":
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

    def rich(self, width: int) -> "RenderableType":
        """Return the table for a terminal of so many characters."""
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        fitted = self.fitted(width)
        table = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
        for name, numeric in zip(fitted.columns, fitted._numeric(), strict=True):
            table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
        for row in fitted.rows:
            table.add_row(*(Text(_printable(cell)) for cell in row))
        return Group(Text(fitted.title, style="bold"), table, *(Text(note, style="dim") for note in fitted.notes))


def _printable(text: str) -> str:
    """Return a text without what a terminal takes for a command."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def rest(count: int) -> list[str]:
    """Return a note that so many rows are not shown."""
    return [f"{count} more: --top 0 shows all."] if count > 0 else []


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
