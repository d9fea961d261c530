import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.runs.compare.command import main
from sweeplab.runs.study import Study
from tests.sweeplab.runs.made_runs import make_run

STUDIES = Path(__file__).parent.parent / "studies"
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


def test_an_ablation_is_told_against_its_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "parts"
    changes: list[dict[str, Any]] = [{}, {"dropout": 0.5}, {"norm": "batch"}]
    for number, change in enumerate(changes):
        for seed in range(3):
            settings = {"seed": seed, "dropout": 0.0, "norm": "none", **change}
            acc = 0.5 + 0.01 * seed + 0.1 * number + 0.001 * (seed * number) ** 2
            trial = {"study": "parts", "number": number, "repeat": seed, "params": change}
            make_run(study / str(number) / str(seed), settings, acc=acc, trial=trial)
    objective = [{"metric": "val/acc", "mode": "max"}]
    Study("parts", "python train.py -m sweep=ablation", objective, one_at_a_time=True).write(study)
    main("", [str(study)])
    out = capsys.readouterr().out
    assert "against the base: dropout=0 norm=none" in out
    changed = [line.split()[0] for line in out.splitlines() if "better" in line]
    assert changed == ["norm=batch", "dropout=0.5"]


def test_what_has_no_room_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        make_run(tmp_path / str(number), {f"a_rather_long_key_{i}": number for i in range(20)}, acc=0.5)
    main("", [str(tmp_path)])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 160
    assert all(f"a_rather_long_key_{i}" in out for i in range(20))


def test_runs_judged_by_something_else_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        make_run(tmp_path / str(number), {"seed": number}, acc=0.5 + number / 10)
    other = {"metric": "val/loss", "mode": "min", "value": 0.1}
    make_run(tmp_path / "3", {"seed": 3}, acc=0.1, objective=other)
    main("", [str(tmp_path)])
    assert "1 run had val/loss as objective." in capsys.readouterr().out


def test_the_front_of_several_objectives_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (acc, size) in enumerate([(0.9, 100.0), (0.8, 10.0), (0.7, 50.0)]):
        also = [{"metric": "model/parameters", "mode": "min", "value": size}]
        objective = {"metric": "val/acc", "mode": "max", "value": acc, "also": also}
        make_run(tmp_path / str(number), {"width": number}, acc=acc, objective=objective)
    main("", [str(tmp_path)])
    said = "".join(capsys.readouterr().out.split()).partition("Nootherrunbeats")[2]
    assert [number for number in "012" if f"/{number}" in said] == ["0", "1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nets", "--agianst", "x"], "did you mean '--against'"),
        (["nets", "--diff"], "--diff needs two runs"),
        (["nets", "--against", "elsewhere"], "none of the runs compared"),
        (["nets", "--against", "nets/6"], "failed"),
        (["nets", "--metric", "val/ac"], "did you mean 'val/acc'"),
        (["nets", "--by", "modle"], "did you mean 'model'"),
        (["nets", "--top", "few"], "--top"),
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
