import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.records.files import as_json, cells, read_json, write_new, write_text, written_whole
from sweeplab.report.command import main as compare
from sweeplab.training.predictions import write_predictions
from tests.sweeplab.records.made_runs import make_run

KILLED_WHILE_WRITING = """
import os, signal, sys
from collections.abc import Callable
from pathlib import Path
from sweeplab.records.files import written_whole
with written_whole(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "whole")
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=False)
    assert path.read_text() == "whole"


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path / "file"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_text, write_new])
def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None]
) -> None:
    path, synced = tmp_path / "file", list[bytes]()
    sync = os.fsync

    def look(handle: int) -> None:
        assert not path.exists()
        synced.append(os.pread(handle, 100, 0))
        sync(handle)

    monkeypatch.setattr(os, "fsync", look)
    write(path, "whole")
    assert synced == [b"whole"]
    assert path.read_text() == "whole"


FORMULA = '=HYPERLINK("http://evil.example", "click")'


@pytest.mark.parametrize("text", [FORMULA, "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "-x", "+key"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert cells([text]) == [f"'{text}"]


@pytest.mark.parametrize("cell", ["-1", "+1e-3", "-inf", "a=b", "", "x", -1, -0.5, None, True, "1-2"])
def test_numbers_and_other_texts_stay_what_they_are(cell: Any) -> None:
    assert cells([cell]) == [cell]


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_comparison_for_other_programs_runs_nothing(tmp_path: Path) -> None:
    for number in range(2):
        make_run(tmp_path / "=study" / str(number), {"lr": -number, "name": f"{FORMULA}{number}"}, acc=-0.5)
    compare("", [str(tmp_path), "--csv", str(tmp_path / "runs.csv")])
    header, *rows = rows_of((tmp_path / "runs.csv").read_text())
    assert not any(cell.startswith("=") for row in rows for cell in row)
    assert {row[header.index("val/acc")] for row in rows} == {"-0.5"}


def test_predictions_run_nothing(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, {"said": ["=1+1", "no"], "-margin": [-1.5, 2.0]})
    assert rows_of(path.read_text()) == [["sample", "said", "'-margin"], ["0", "'=1+1", "-1.5"], ["1", "no", "2"]]


def test_a_number_that_json_has_not_is_null(tmp_path: Path) -> None:
    text = as_json({"loss": float("nan"), "best": [float("inf"), 0.5]})
    assert json.loads(text) == {"loss": None, "best": [None, 0.5]}
    write_text(tmp_path / "file.json", text)
    assert read_json(tmp_path / "file.json") == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000], ids=["empty", "cut", "deep"])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(UserError, match=r"file\.json is broken"):
        read_json(tmp_path / "file.json")
