"""Folders that are damaged, and folders that somebody made to do damage: each is named, and none spoils the others."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records import files
from sweeplab.records.curves import columns
from sweeplab.records.found import find
from sweeplab.records.record import read
from sweeplab.records.study import Study
from sweeplab.report.command import main as compare
from tests.sweeplab.records.made_runs import make_run

BOMB = "folder: x\na: &a {p: 1, q: 2}\n" + "\n".join(
    f"  {chr(98 + n)}: &{chr(98 + n)} {{" + ", ".join(f"k{i}: *{chr(97 + n)}" for i in range(9)) + "}"
    for n in range(12)
)


def broken_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(files.MAX_TEXT_BYTES + 1)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "latin": lambda path: path.write_bytes("name: gr\xfcn\n".encode("latin-1")),
    "list": lambda path: path.write_text("[1, 2]\n"),
    "number": lambda path: path.write_text("7\n"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "folder": lambda path: path.mkdir(),
    "fifo": lambda path: os.mkfifo(path),
    "device": broken_link,
    "huge": huge,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["run.json", "config.yaml"])
def test_a_damaged_run_is_named_below_the_table_of_the_others(
    tmp_path: Path, name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        make_run(tmp_path / "study" / str(number), {"lr": number}, acc=0.5)
    make_run(tmp_path / "study" / "2", {"lr": 2}, acc=0.9)
    (tmp_path / "study" / "2" / name).unlink()
    DAMAGE[damage](tmp_path / "study" / "2" / name)
    compare("", [str(tmp_path / "study")])
    said = capsys.readouterr().out
    assert "2 runs: 2 complete" in said
    (skipped,) = (line for line in said.splitlines() if line.startswith("Skipped"))
    assert str(tmp_path / "study" / "2") in skipped


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "huge"])
@pytest.mark.parametrize("name", ["metrics.csv", ".hydra/config.yaml", "../sweep.json"])
def test_other_files_that_are_damaged_leave_every_run_in_the_table(
    tmp_path: Path, name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        make_run(tmp_path / "study" / str(number), {"lr": number}, acc=0.5)
    path = tmp_path / "study" / "1" / name
    path.unlink(missing_ok=True)
    DAMAGE[damage](path)
    compare("", [str(tmp_path / "study"), "--html", str(tmp_path / "page.html")])
    said = capsys.readouterr().out
    assert "2 runs: 2 complete" in said
    assert ("Skipped" in said) == (name == "../sweep.json")


def test_a_few_lines_that_stand_for_billions_of_values_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        make_run(tmp_path / str(number), acc=0.5)
    (tmp_path / "1" / "config.yaml").write_text(
        "folder: x\nall:\n" + BOMB.partition("\n")[2].replace("a: ", "  a: ", 1)
    )
    compare("", [str(tmp_path)])
    assert "it holds too many values" in capsys.readouterr().out


@pytest.mark.parametrize(
    "facts",
    [
        {"status": ["complete"]},
        {"process": {"host": "h", "pid": "1", "started": 0}},
        {"process": {"host": "h", "pid": -1, "started": 0}},
        {"seconds": "long"},
        {"seconds": 10**400},
        {"ended": "yesterday"},
        {"objective": {"metric": "a", "value": 1, "also": 3}},
        {"trial": {"number": "seven"}},
        {"trial": {"constraints": {"a": "b"}}},
        {"attempts": [1]},
        {"test": "acc"},
        {"choices": [1]},
        {"versions": 3},
        {"git": {"commit": None}},
    ],
    ids=str,
)
def test_a_record_of_other_types_is_named(tmp_path: Path, facts: dict[str, object]) -> None:
    run = make_run(tmp_path / "0", acc=0.5)
    (run.folder / "run.json").write_text(json.dumps({**run.facts, **facts}))
    with pytest.raises(UserError, match=f"its {next(iter(facts))} is malformed"):
        read(run.folder)


@pytest.mark.parametrize(
    "facts",
    [
        {"axes": {"lr": {"low": "a"}}},
        {"axes": {"lr": {"choices": 3}}},
        {"objectives": [{"metric": "a"}]},
        {"name": 3},
    ],
    ids=str,
)
def test_a_study_of_other_types_is_broken(tmp_path: Path, facts: dict[str, object]) -> None:
    whole = {"name": "cnn", "command": "python train.py -m", "objectives": [], "axes": {}}
    (tmp_path / "sweep.json").write_text(json.dumps(whole | facts))
    with pytest.raises(UserError, match=r"sweep\.json is broken"):
        Study.read(tmp_path)


@pytest.mark.parametrize("step", ["nan", "inf", "1e300"])
def test_a_step_that_is_none_is_told(tmp_path: Path, step: str) -> None:
    (tmp_path / "metrics.csv").write_text(f"step,loss\n{step},1\n")
    with pytest.raises(UserError, match="a step is not a whole number"):
        columns(tmp_path)


def test_a_terminal_is_told_nothing_by_a_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        make_run(tmp_path / str(number), {"name": f"{number}\x1b]0;gotcha\x07\nline"}, acc=0.5)
    compare("", [str(tmp_path)])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is hidden from root")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    make_run(tmp_path / "0", acc=0.5)
    make_run(tmp_path / "1", acc=0.5).folder.chmod(0)
    assert [run.folder.name for run in find([tmp_path]).runs] == ["0"]
