from pathlib import Path

import pytest

from sweeplab.compare.comparison import compare
from sweeplab.errors import UserError
from sweeplab.records.run import Run
from tests.sweeplab.records.made_runs import make_run


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return [
        make_run(
            tmp_path / "0", {"optimizer": {"lr": 0.001}, "seed": 0, "clip": None}, acc=0.9, choices={"model": "cnn"}
        ),
        make_run(
            tmp_path / "1", {"optimizer": {"lr": 0.01}, "seed": 1, "clip": 1.0}, acc=0.8, choices={"model": "mlp"}
        ),
        make_run(
            tmp_path / "2",
            {"optimizer": {"lr": 0.1}, "seed": 2, "clip": True},
            status="failed",
            choices={"model": "gru"},
        ),
    ]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("model=cnn", [0]),
        ("model=cnn,mlp", [0, 1]),
        ("model!=cnn", [1, 2]),
        ("optimizer.lr<0.01", [0]),
        ("lr <= 1e-2", [0, 1]),
        ("status=failed", [2]),
        ("val/acc>0.85", [0]),
        ("clip=null", [0]),
        ("clip=1", [1]),
        ("clip=true", [2]),
        ("seed=2", [2]),
    ],
)
def test_a_filter_keeps_the_runs_that_meet_it(runs: list[Run], condition: str, left: list[int]) -> None:
    kept = compare(runs, [condition]).runs
    assert sorted(runs.index(run) for run in kept) == left


def test_several_filters_must_all_be_met(runs: list[Run]) -> None:
    assert compare(runs, ["lr>1e-3", "status=complete"]).runs == [runs[1]]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("optimizer.lrr<1", "did you mean 'optimizer.lr'?"),
        ("lr<small", "needs one number"),
        ("lr", "is not a condition"),
        ("lr>100", "none of 3 runs meets"),
        ("model=cn", "no run has model=cn; did you mean 'cnn'?"),
        ("status=done", "no run has status=done; there is complete, failed."),
    ],
)
def test_a_filter_that_cannot_be_met_says_why(runs: list[Run], condition: str, words: str) -> None:
    with pytest.raises(UserError, match=words.replace("?", r"\?")):
        compare(runs, [condition])


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
