import io
from pathlib import Path

import pytest
from rich.console import Console

from sweeplab.compare.table import Table, cell, number, setting
from tests.sweeplab.records.made_runs import make_run


def printed(table: Table, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table.rich(width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_has_no_room_is_named() -> None:
    table = Table("t", ["run", "a_long_column", "another_column"], [["0", "1", "2"]])
    assert "No room for another_column: --columns chooses, --csv has all." in " ".join(printed(table, 20).split())
    assert "No room" not in printed(table, 40)


def test_numbers_stand_right_and_words_left() -> None:
    table = Table("t", ["value", "model"], [["1.5e-3", "a"], ["10", "bcd"]])
    assert [line.rstrip() for line in printed(table, 40).splitlines()[1:]] == [
        " value  model",
        "1.5e-3  a",
        "    10  bcd",
    ]


def test_a_terminal_gets_no_commands() -> None:
    assert "\x1b" not in printed(Table("t", ["run"], [["\x1b[31mred"]]), 40)


def test_markdown_keeps_its_cells_whatever_stands_in_them() -> None:
    table = Table("t|t", ["a", "b"], [["x|y", "1"], ["two\nlines", "2"]], ["a note"])
    assert table.markdown().splitlines() == [
        "**t\\|t**",
        "",
        "| a | b |",
        "| --- | ---: |",
        "| x\\|y | 1 |",
        "| two lines | 2 |",
        "",
        "a note",
    ]


def test_a_cell_tells_null_from_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "0", {"clip": None, "seed": 3}, acc=0.5, seconds=75.2)
    fields = ["clip", "dropout", "seed", "val/acc", "seconds", "started", "status"]
    shown = [cell(field, run) for field in fields]
    assert shown == ["null", "", "3", "0.5000", "1:15", "2026-01-31 12:00", "complete"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.1235"), (1234.0, "1234"), (12345.678, "1.235e+04"), (1e-5, "1e-05"), (None, "")]
)
def test_measured_values_have_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (None, "null"), (1, "1"), (3.1e-4, "3.1e-4"), ("a", "a")])
def test_settings_are_written_as_in_yaml(value: object, text: str) -> None:
    assert setting(value) == text
