from pathlib import Path

import pytest

from sweeplab.compare.comparison import compare
from tests.sweeplab.records.made_runs import make_run


def test_a_setting_that_is_null_and_one_that_is_not_there_are_two_configurations(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"null{seed}", {"seed": seed, "clip": None}, acc=0.9) for seed in range(2)]
    runs += [make_run(tmp_path / f"absent{seed}", {"seed": seed}, acc=0.1) for seed in range(2)]
    assert [each.settings for each in compare(runs).configurations] == [{"clip": None}, {}]


def test_runs_that_did_not_complete_are_no_evidence(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(seed), {"seed": seed}, acc=0.5) for seed in range(2)]
    runs.append(make_run(tmp_path / "pruned", {"seed": 2}, acc=0.1, status="pruned"))
    (only,) = compare(runs).configurations
    assert only.spread.count == 2


def test_repeats_of_one_seed_are_averaged_before_they_are_paired(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{model}{place}", {"seed": seed, "model": model}, acc=acc)
        for model, listed in {"a": [(0, 0.4), (0, 0.6), (1, 0.7)], "b": [(0, 0.3), (1, 0.5)]}.items()
        for place, (seed, acc) in enumerate(listed)
    ]
    first, second = compare(runs).configurations
    difference = first.against(second)
    assert difference.count == 2
    assert difference.mean == pytest.approx(0.2)


def test_a_run_that_breaks_a_constraint_is_never_the_best(tmp_path: Path) -> None:
    broken = {"study": "s", "number": 0, "repeat": 0, "params": {}, "constraints": {"size": 1.0}}
    runs = [make_run(tmp_path / "0", {"lr": 1}, acc=0.9, trial=broken), make_run(tmp_path / "1", {"lr": 2}, acc=0.1)]
    comparison = compare(runs)
    assert comparison.runs[0] is runs[1]
    assert [each.runs for each in comparison.configurations] == [[runs[1]]]
