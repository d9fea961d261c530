from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeplab.compare.comparison import Comparison, compare
from sweeplab.compare.table import Table
from sweeplab.compare.tables import configurations_table, differences_table, groups_table, runs_table, summary
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


def test_runs_of_one_seed_are_one_sample(tmp_path: Path) -> None:
    """A run and its exact repetition say no more than the run alone."""
    runs = [
        make_run(tmp_path / str(number), {"seed": 0, "model": model}, acc=acc)
        for number, (model, acc) in enumerate([("a", 0.9), ("a", 0.9), ("b", 0.8), ("b", 0.8)])
    ]
    tables, sentence = summary(compare(runs), None)
    assert tables == []
    assert sentence.startswith("One seed each")


def test_directions_are_not_mixed_in_silence(tmp_path: Path) -> None:
    runs = [
        make_run(
            tmp_path / str(number),
            {"seed": number},
            objective={"metric": "val/acc", "mode": mode, "value": number / 10},
        )
        for number, mode in enumerate(("max", "max", "min"))
    ]
    assert "1 run had val/acc (min) as objective." in runs_table(compare(runs), None).notes


def test_runs_with_another_objective_are_counted(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(number), {"seed": number}, acc=0.5 + number / 10) for number in range(3)]
    other = {"metric": "val/loss", "mode": "min", "value": 0.1}
    runs.append(make_run(tmp_path / "3", {"seed": 3}, acc=0.1, objective=other))
    assert "1 run had val/loss (min) as objective." in runs_table(compare(runs), None).notes


def test_the_front_of_several_objectives_is_named(tmp_path: Path) -> None:
    runs = []
    for number, (acc, size) in enumerate([(0.9, 100.0), (0.8, 10.0), (0.7, 50.0)]):
        also = [{"metric": "model/parameters", "mode": "min", "value": size}]
        objective = {"metric": "val/acc", "mode": "max", "value": acc, "also": also}
        runs.append(make_run(tmp_path / str(number), {"width": number}, acc=acc, objective=objective))
    (note,) = runs_table(compare(runs), None).notes
    assert note == f"Pareto front of val/acc, model/parameters: {tmp_path / '0'}, {tmp_path / '1'}."


def test_runs_that_break_a_constraint_are_counted(tmp_path: Path) -> None:
    trial = {"study": "s", "number": 0, "repeat": 0, "params": {}, "constraints": {"size": 1.0}}
    runs = [make_run(tmp_path / "0", {"lr": 1}, acc=0.9, trial=trial), make_run(tmp_path / "1", {"lr": 2}, acc=0.1)]
    assert runs_table(compare(runs), None).notes == ["1 run broke a constraint, and cannot be the best."]


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{lr}-{seed}", {"lr": lr, "seed": seed}, acc=lr + seed / 10)
        for lr in range(3)
        for seed in range(2)
    ]
    comparison = compare(runs)
    assert runs_table(comparison, 2).notes == ["4 more: --top 0 shows all."]
    assert configurations_table(comparison, 2).notes == ["1 more: --top 0 shows all."]
    assert groups_table(comparison, ["lr"], 2).notes == ["1 more: --top 0 shows all."]


def test_a_group_says_only_what_differs_within_it(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / str(number), {"lr": number // 2, "width": number // 2, "seed": number % 2}, acc=number / 9)
        for number in range(4)
    ]
    table = groups_table(compare(runs), ["lr"], None)
    assert table.notes == []
    assert all(row[table.columns.index("95% interval")] for row in table.rows)
    runs.append(make_run(tmp_path / "4", {"lr": 0, "width": 9, "seed": 5}, acc=0.5))
    table = groups_table(compare(runs), ["lr"], None)
    assert table.notes == ["Runs of a group differ in width too."]
    assert not any(row[table.columns.index("95% interval")] for row in table.rows)


def test_groups_without_a_complete_run_are_none(tmp_path: Path) -> None:
    table = groups_table(compare([make_run(tmp_path / "0", {"lr": 1}, status="failed")]), ["lr"], None)
    assert (table.rows, table.notes) == ([], ["No run is complete with a value."])


def test_two_runs_differ_in_what_is_set_measured_and_installed(tmp_path: Path) -> None:
    one = make_run(tmp_path / "0", {"lr": 1, "clip": None}, acc=0.5, versions={"torch": "2.6"})
    other = make_run(
        tmp_path / "1", {"lr": True}, acc=0.25, status="failed", git={"commit": "0123456789", "dirty": True}
    )
    rows = differences_table(one, other).rows
    assert rows == [
        ["lr", "1", "true"],
        ["clip", "null", "-"],
        ["val/acc", "0.5000", "0.2500"],
        ["status", "complete", "failed"],
        ["torch", "2.6", "-"],
        ["commit", "-", "01234567 and changes"],
    ]


def test_equal_runs_differ_in_nothing(tmp_path: Path) -> None:
    one, other = (make_run(tmp_path / name, {"lr": 1}, acc=0.5) for name in "ab")
    assert differences_table(one, other).notes == ["Nothing differs."]


def test_tags_are_shown_where_runs_differ_by_them_and_make_no_other_configuration(tmp_path: Path) -> None:
    tags = (["a", "b"], ["a"])
    runs = [make_run(tmp_path / str(n), {"tags": each, "seed": n}, acc=0.5, tags=each) for n, each in enumerate(tags)]
    comparison = compare(runs)
    assert len(comparison.configurations) == 1
    table = runs_table(comparison, None)
    assert [row[table.columns.index("tags")] for row in table.rows] == ["a, b", "a"]
    assert ["tags", "a, b", "a"] in differences_table(*runs).rows
    assert "tags" not in runs_table(compare(runs[:1]), None).columns
