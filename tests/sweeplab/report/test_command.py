import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.report.command import main

STUDIES = Path(__file__).parent.parent / "records" / "studies"
TABLES = {
    "runs": ["nets"],
    "by": ["nets", "--by", "model"],
    "against": ["nets", "--against", "nets/3"],
    "diff": ["nets/0", "nets/3", "--diff"],
    "columns": ["nets", "--columns", "test/acc,seed,status", "--sort", "seed", "--top", "3"],
    "test": ["nets", "--metric", "test/acc", "--filter", "status=complete"],
}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_a_small_study(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(STUDIES)
    main("", TABLES[name])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == (STUDIES / "tables" / f"{name}.txt").read_text().splitlines()


def test_csv_and_json_hold_every_run_unrounded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(STUDIES)
    main("", ["nets", "--csv", str(tmp_path / "n.csv"), "--json", str(tmp_path / "n.json")])
    facts = json.loads((STUDIES / "nets" / "2" / "run.json").read_text())
    rows = list(csv.DictReader((tmp_path / "n.csv").read_text().splitlines()))
    assert len(rows) == 7
    assert float(rows[0]["val/acc"]) == facts["objective"]["value"]
    assert (rows[0]["model"], rows[0]["seed"], rows[0]["folder"]) == ("mlp", "2", "nets/2")
    content = json.loads((tmp_path / "n.json").read_text())
    assert content["runs"][0]["metrics"]["test/acc"] == facts["metrics"]["test/acc"]
    assert [found["count"] for found in content["configurations"]] == [3, 3]
    assert content["verdict"] in " ".join(capsys.readouterr().out.split())


def test_markdown_is_what_the_terminal_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(STUDIES)
    main("", ["nets", "--markdown", str(tmp_path / "n.md")])
    shown = capsys.readouterr().out.split()
    written = (tmp_path / "n.md").read_text().replace("|", " ").replace("**", " ").split()
    assert [word for word in written if set(word) - {"-", ":"}] == [word for word in shown if set(word) - {"-", ":"}]


def test_what_is_no_file_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        main("", [str(STUDIES / "nets" / "0"), "--csv", str(pipe)])
        assert os.read(reader, 6) == b"folder"
        assert pipe.is_fifo()
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nets", "--agianst", "x"], "did you mean '--against'"),
        (["nets", "--diff"], "--diff needs two runs"),
        (["nets", "--against", "elsewhere"], "none of the runs compared"),
        (["nets", "--filter", "model=cnn", "--against", "nets/6"], "none of the runs compared"),
        (["nets", "--metric", "val/ac"], "did you mean 'val/acc'"),
        (["nets", "--by", "modle"], "did you mean 'model'"),
        (["nets", "--top", "few"], "--top"),
        (["nets", "--top", "-1"], "--top -1"),
        (["nets", "--against", "nets"], "several configurations"),
        (["nets/0", "nets/3", "--diff", "--csv", "n.csv"], "--diff and --csv do not go together"),
        (["nets", "--by", "model", "--sort", "seed"], "--by and --sort do not go together"),
        (["nets", "--csv", "nets"], "is a folder"),
        (["--top", "3"], "place"),
    ],
)
def test_a_mistake_is_one_sentence(monkeypatch: pytest.MonkeyPatch, words: list[str], message: str) -> None:
    monkeypatch.chdir(STUDIES)
    with pytest.raises(UserError) as error:
        main("", words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_comparing_leaves_the_folders_as_they_are(tmp_path: Path) -> None:
    shutil.copytree(STUDIES / "nets", tmp_path / "nets")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    main("", [str(tmp_path / "nets"), "--top", "2"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
