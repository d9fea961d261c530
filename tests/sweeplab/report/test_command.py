import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.records.study import Study
from sweeplab.report.command import main
from tests.sweeplab.records.made_runs import make_run

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


@pytest.mark.parametrize("failed", [{(0, 0)}, {(0, 0), (0, 1), (0, 2)}])
def test_an_ablation_whose_base_failed_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failed: set[tuple[int, int]]
) -> None:
    study = tmp_path / "parts"
    for number, rate in enumerate((0.0, 0.5)):
        for seed in range(3):
            ending = "failed" if (number, seed) in failed else "complete"
            acc = None if ending == "failed" else 0.5 + 0.1 * number + 0.01 * seed * (1 + number)
            trial = {"study": "parts", "number": number, "repeat": seed, "params": {"dropout": rate}}
            make_run(
                study / str(number) / str(seed), {"seed": seed, "dropout": rate}, acc=acc, status=ending, trial=trial
            )
    objective = [{"metric": "val/acc", "mode": "max"}]
    Study("parts", "python train.py -m sweep=ablation", objective, one_at_a_time=True).write(study)
    main("", [str(study)])
    out = capsys.readouterr().out
    assert f"3 complete, {len(failed)} failed" in out or f"{6 - len(failed)} complete, {len(failed)} failed" in out
    if len(failed) == 1:  # seeds 1 and 2 are compared, and their mean is shown
        (row,) = [line.split() for line in out.splitlines() if line.startswith("dropout=0.5")]
        assert row[1:5] == ["0.6300", "0.0141", "2", "+0.115"]
    else:
        assert "No run of the base is complete." in out


def test_runs_of_one_seed_are_one_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run and its exact repetition say no more than the run alone."""
    for place, (model, acc) in enumerate([("a", 0.9), ("a", 0.9), ("b", 0.8), ("b", 0.8)]):
        make_run(tmp_path / str(place), {"seed": 0, "model": model}, acc=acc)
    main("", [str(tmp_path)])
    out = capsys.readouterr().out
    assert "over seeds" not in out
    assert "One seed each" in out


def test_directions_are_not_mixed_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, mode in enumerate(("max", "max", "min")):
        objective = {"metric": "val/acc", "mode": mode, "value": 0.5 + number / 10}
        make_run(tmp_path / str(number), {"seed": number}, acc=0.5, objective=objective)
    main("", [str(tmp_path)])
    assert "1 run had val/acc (min) as objective." in capsys.readouterr().out


def test_a_group_says_only_what_differs_within_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        make_run(tmp_path / str(number), {"lr": number // 2, "width": number // 2, "seed": number % 2}, acc=0.5)
    main("", [str(tmp_path), "--by", "lr"])
    assert "differ in" not in capsys.readouterr().out
    make_run(tmp_path / "4", {"lr": 0, "width": 9, "seed": 5}, acc=0.5)
    main("", [str(tmp_path), "--by", "lr"])
    assert "Runs of a group differ in width too." in capsys.readouterr().out


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


def test_new_seeds_are_not_the_one_that_chose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        command = f"python train.py lr={number} seed=2"
        make_run(tmp_path / str(number), {"lr": number, "seed": 2}, acc=0.1 * number, command=command)
    main("", [str(tmp_path)])
    assert "python train.py -m lr=1 seed=0,1,3,4,5" in capsys.readouterr().out


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
    assert "1 run had val/loss (min) as objective." in capsys.readouterr().out


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
