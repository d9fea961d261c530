import csv
import io
from pathlib import Path
from typing import Any

import pytest

from sweeplab.records.spreadsheet import cells
from sweeplab.report.command import main as compare
from sweeplab.training.predictions import write_predictions
from tests.sweeplab.records.made_runs import make_run

FORMULA = '=HYPERLINK("http://evil.example", "click")'


@pytest.mark.parametrize("text", [FORMULA, "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "-x", "+key"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert cells([text]) == [f"'{text}"]


@pytest.mark.parametrize("cell", ["-1", "+1e-3", "-inf", "a=b", "", "x", -1, -0.5, None, True, "1-2"])
def test_numbers_and_other_texts_stay_what_they_are(cell: Any) -> None:
    assert cells([cell]) == [cell]


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_comparison_for_other_programs_runs_nothing(tmp_path: Path) -> None:
    for number in range(2):
        make_run(tmp_path / "=study" / str(number), {"lr": -number, "name": f"{FORMULA}{number}"}, acc=-0.5)
    compare("", [str(tmp_path), "--csv", str(tmp_path / "runs.csv")])
    header, *rows = read((tmp_path / "runs.csv").read_text())
    assert not any(cell.startswith("=") for row in rows for cell in row)
    assert {row[header.index("val/acc")] for row in rows} == {"-0.5"}


def test_predictions_run_nothing(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, {"said": ["=1+1", "no"], "-margin": [-1.5, 2.0]})
    assert read(path.read_text()) == [["sample", "said", "'-margin"], ["0", "'=1+1", "-1.5"], ["1", "no", "2"]]
