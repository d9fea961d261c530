from pathlib import Path

import pytest

from sweeplab.compare.comparison import compare
from sweeplab.errors import UserError
from sweeplab.records.objective import Objective
from sweeplab.records.run import Run
from tests.sweeplab.records.made_runs import make_run


def test_runs_without_a_value_come_last_both_ways(runs: list[Run]) -> None:
    assert list(compare(runs, sort="val/acc").runs) == [runs[1], runs[0], runs[2]]
    assert list(compare(runs, sort="val/acc", reverse=True).runs) == [runs[0], runs[1], runs[2]]


def test_the_best_run_comes_first_unless_it_is_said_otherwise(runs: list[Run]) -> None:
    assert list(compare(runs).runs) == [runs[0], runs[1], runs[2]]
    assert list(compare(runs, sort="seed", reverse=True).runs) == [runs[2], runs[1], runs[0]]


def test_a_metric_of_the_test_goes_where_the_objective_goes(tmp_path: Path) -> None:
    made = [
        make_run(tmp_path / str(n), {"seed": n}, acc=0.5, metrics={"test/acc": 0.1 * n, "test/time": 3.0})
        for n in range(3)
    ]
    assert compare(made, metric="test/acc").runs[0] is made[2]
    with pytest.raises(UserError, match="--mode"):
        compare(made, metric="test/time")


def test_runs_are_compared_by_the_objective_of_most(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(n), {"seed": n}, acc=0.5) for n in range(2)]
    objective = {"metric": "val/loss", "mode": "min", "value": 0.1}
    runs.append(make_run(tmp_path / "other", {"seed": 9}, objective=objective))
    comparison = compare(runs)
    assert comparison.objective == Objective("val/acc", "max")
    assert comparison.other_objectives == {"val/loss (min)": 1}


def test_runs_without_any_value_can_be_compared(tmp_path: Path) -> None:
    comparison = compare([make_run(tmp_path / str(n), {"lr": n}, status="failed") for n in range(2)])
    assert (comparison.endings, comparison.configurations, comparison.has_repeats) == ("2 failed", [], False)


@pytest.mark.parametrize(("metric", "mode"), [("test/loss", "min"), ("test/acc", "max"), ("test_acc", "max")])
def test_where_a_metric_should_go_is_taken_from_its_name(metric: str, mode: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "0", {}, acc=0.5, metrics={metric: 0.1}, test=[metric])
    assert compare([run], metric=metric).objective.mode == mode
    assert compare([run], metric=metric, mode="min").objective.mode == "min"


def test_only_runs_with_every_objective_are_on_the_front(tmp_path: Path) -> None:
    runs = []
    for number, size in enumerate([3.0, 2.0, None]):
        also = [{"metric": "size", "mode": "min", "value": size}]
        objective = {"metric": "val/acc", "mode": "max", "value": 0.9, "also": also}
        runs.append(make_run(tmp_path / str(number), {"x": number}, acc=0.9, objective=objective))
    comparison = compare(runs)
    assert [objective.metric for objective in comparison.objectives] == ["val/acc", "size"]
    assert comparison.front() == [runs[1]]
