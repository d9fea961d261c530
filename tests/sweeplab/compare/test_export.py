import csv
import json
from pathlib import Path

import pytest

from sweeplab.compare.comparison import Comparison, compare
from sweeplab.compare.export import as_csv, as_json, as_markdown
from sweeplab.compare.table import Table
from tests.sweeplab.records.made_runs import make_run

THIRD = 1 / 3


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    runs = [
        make_run(tmp_path / "0", {"optimizer": {"lr": 0.1}, "seed": 0}, acc=THIRD, metrics={"test/acc": 0.25}),
        make_run(tmp_path / "1", {"optimizer": {"lr": None}, "seed": 0}, status="failed"),
    ]
    return compare(runs)


def test_csv_has_all_metrics_unrounded_and_nothing_where_a_run_has_none(comparison: Comparison) -> None:
    first, second = csv.DictReader(as_csv(comparison).splitlines())
    assert list(first) == [
        *("folder", "status", "study", "number", "seconds", "started"),
        *("optimizer.lr", "test/acc", "val/acc"),
    ]
    assert float(first["val/acc"]) == THIRD
    assert (second["val/acc"], second["optimizer.lr"], second["status"]) == ("", "", "failed")


def test_json_keeps_types(comparison: Comparison) -> None:
    content = json.loads(as_json(comparison, [Table("t", ["a"], [["1"]])], "A sentence."))
    assert content["verdict"] == "A sentence."
    assert content["tables"] == [{"title": "t", "columns": ["a"], "rows": [["1"]], "notes": []}]
    assert [run["settings"] for run in content["runs"]] == [{"optimizer.lr": 0.1}, {"optimizer.lr": None}]
    assert content["runs"][0]["metrics"]["val/acc"] == THIRD
    (configuration,) = content["configurations"]
    assert (configuration["count"], configuration["mean"], configuration["sd"]) == (1, THIRD, None)


def test_markdown_ends_with_the_sentence(comparison: Comparison) -> None:
    assert as_markdown([Table("t", ["a"], [["1"]])], "A sentence.").endswith("| 1 |\n\nA sentence.\n")


def test_tags_are_a_column_where_there_are_any(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "0", acc=0.5, tags=["a", "b"]), make_run(tmp_path / "1", acc=0.4)]
    assert [row["tags"] for row in csv.DictReader(as_csv(compare(runs)).splitlines())] == ["a, b", ""]
    assert [run["tags"] for run in json.loads(as_json(compare(runs), [], ""))["runs"]] == [["a", "b"], []]
