from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeplab.compare.comparison import Comparison, compare
from sweeplab.compare.table import Table
from sweeplab.compare.tables import summary
from sweeplab.records.study import Study
from tests.sweeplab.records.made_runs import make_run

STUDY = Study("parts", "python train.py -m sweep=ablation", [{"metric": "val/acc", "mode": "max"}], one_at_a_time=True)


def ablation(folder: Path, changes: Sequence[dict[str, Any]], failed: Sequence[tuple[int, int]] = ()) -> Comparison:
    """Compare a base and what each change makes of it, under three seeds each; some runs failed."""
    runs = [
        make_run(
            folder / str(number) / str(seed),
            {"seed": seed, "dropout": 0.0, "norm": "none", **change},
            acc=None if (number, seed) in failed else 0.5 + 0.1 * number + 0.01 * seed * (1 + number),
            status="failed" if (number, seed) in failed else "complete",
            trial={"study": "parts", "number": number, "repeat": seed, "params": change},
        )
        for number, change in enumerate(changes)
        for seed in range(3)
    ]
    return compare(runs)


def rows(table: Table) -> dict[str, dict[str, str]]:
    """The rows by their first cells, each by the columns of the table."""
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_each_change_of_an_ablation_is_set_against_the_base(tmp_path: Path) -> None:
    comparison = ablation(tmp_path, [{}, {"dropout": 0.5}, {"norm": "batch"}])
    (table,), sentence = summary(comparison, STUDY)
    assert table.title == "val/acc against the base: dropout=0 norm=none"
    assert [row[0] for row in table.rows] == ["(base)", "norm=batch", "dropout=0.5"]
    assert {row["verdict"] for change, row in rows(table).items() if change != "(base)"} == {"better"}
    assert "p is Holm's over 2 changes" in table.notes[0]
    assert sentence == ""


def test_a_change_is_compared_over_the_seeds_that_the_base_has(tmp_path: Path) -> None:
    (table,), _ = summary(ablation(tmp_path, [{}, {"dropout": 0.5}], failed=[(0, 0)]), STUDY)
    row = rows(table)["dropout=0.5"]
    assert (row["mean"], row["sd"], row["n"], row["difference"]) == ("0.6300", "0.0141", "2", "+0.115")
    assert "Of 6 runs 5 complete, 1 failed." in table.notes


def test_without_its_base_an_ablation_is_compared_over_seeds(tmp_path: Path) -> None:
    comparison = ablation(tmp_path, [{}, {"dropout": 0.5}], failed=[(0, 0), (0, 1), (0, 2)])
    (table,), sentence = summary(comparison, STUDY)
    assert table.title == "val/acc over seeds, 1 configuration"
    assert sentence == "No run of the base is complete."


def test_what_the_base_has_and_a_change_has_not_is_absent(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"{seed}", {"seed": seed, "clip": None}, acc=0.5 + seed / 9) for seed in range(2)]
    runs += [make_run(tmp_path / f"without{seed}", {"seed": seed}, acc=0.4 + seed / 8) for seed in range(2)]
    trial = {"study": "parts", "number": 0, "repeat": 0, "params": {}}
    runs[0] = make_run(tmp_path / "base", {"seed": 0, "clip": None}, acc=0.5, trial=trial)
    (table,), _ = summary(compare(runs), STUDY)
    assert table.title.endswith("clip=null")
    assert list(rows(table)) == ["(base)", "clip=absent"]


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_differences_that_are_all_the_same_are_no_evidence(tmp_path: Path, gap: float) -> None:
    runs = [
        make_run(
            tmp_path / f"{number}-{seed}",
            {"seed": seed, "norm": number},
            acc=0.5 + gap * number + 0.01 * seed,
            trial={"study": "parts", "number": number, "repeat": seed, "params": {"norm": number}},
        )
        for number in range(2)
        for seed in range(3)
    ]
    (table,), _ = summary(compare(runs), STUDY)
    assert rows(table)["norm=1"]["verdict"] == ("no spread to judge by" if gap else "the same")
