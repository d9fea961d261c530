import math
from pathlib import Path
from typing import Any

import pytest

from sweeplab.records.objective import Objective
from tests.sweeplab.records.made_runs import make_run

ACCURACY, LOSS = Objective("val/acc", "max"), Objective("val/loss", "min")


def test_an_objective_is_what_the_configuration_says() -> None:
    also = [{"metric": "val/loss", "mode": "min"}]
    assert Objective.of({"metric": "val/acc", "mode": "max", "also": also}) == Objective("val/acc", "max", (LOSS,))
    assert Objective.of({"metric": "val/acc", "mode": "max", "also": None}) == ACCURACY
    assert Objective.of({"metric": "val/acc", "mode": "max"}) == ACCURACY


def test_the_direction_is_in_the_words_of_sweepers() -> None:
    assert (ACCURACY.direction, LOSS.direction) == ("maximize", "minimize")


@pytest.mark.parametrize(("objective", "good", "bad"), [(ACCURACY, 0.9, 0.1), (LOSS, 0.1, 0.9)])
def test_better_is_higher_or_lower_as_the_mode_says(objective: Objective, good: float, bad: float) -> None:
    assert objective.better(good, bad)
    assert not objective.better(bad, good)
    assert not objective.better(good, good)
    assert objective.better(bad, objective.worst)
    assert sorted([bad, good], key=objective.rank) == [good, bad]


@pytest.mark.parametrize("objective", [ACCURACY, LOSS])
def test_what_is_not_a_number_beats_nothing(objective: Objective) -> None:
    assert not objective.better(math.nan, 0.5)
    assert not objective.better(math.nan, objective.worst)


def test_a_value_that_is_not_finite_is_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", acc=0.5, best={"val/acc": 0.5, "val/loss": math.inf})
    assert (ACCURACY.value(run), LOSS.value(run), Objective("val/f1", "max").value(run)) == (0.5, None, None)


def test_runs_that_can_be_best_come_first_and_those_without_a_value_last(tmp_path: Path) -> None:
    made: dict[str, dict[str, Any]] = {
        "broken": {"status": "failed"},
        "pruned": {"acc": 0.99, "status": "pruned"},
        "fair": {"acc": 0.5},
        "unfit": {"acc": 0.98, "trial": {"constraints": {"size": 1.0}}},
        "good": {"acc": 0.9, "trial": {"constraints": {"size": -1.0}}},
    }
    runs = [make_run(tmp_path / name, **facts) for name, facts in made.items()]
    ordered = [run.folder.name for run in sorted(runs, key=ACCURACY.order)]
    assert ordered == ["good", "fair", "unfit", "pruned", "broken"]
    assert [run.folder.name for run in runs if ACCURACY.counts(run)] == ["fair", "good"]
