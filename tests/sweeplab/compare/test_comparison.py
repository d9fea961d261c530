from pathlib import Path

import pytest

from sweeplab.compare.comparison import compare
from sweeplab.errors import UserError
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
