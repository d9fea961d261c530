import pytest
from optuna.study import StudyDirection

from sweeplab.errors import UserError
from sweeplab.records.objective import Objective
from sweeplab.sweep.config.objectives import directions, objectives

BLOCK = {"metric": "val/acc", "mode": "max"}
ALSO = {"metric": "model/parameters", "mode": "min"}


def test_the_block_of_the_configuration_names_all_objectives() -> None:
    found = objectives({"objective": {**BLOCK, "also": [ALSO]}}, None)
    assert found == (Objective("val/acc", "max"), Objective("model/parameters", "min"))
    assert directions(found) == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]


def test_without_a_block_the_direction_alone_says_what_is_wanted() -> None:
    assert objectives({}, "maximize") == (Objective("objective", "max"),)
    two = objectives({"objective": "something else"}, ["minimize", "maximize"])
    assert two == (Objective("objective0", "min"), Objective("objective1", "max"))


def test_without_either_a_number_is_minimized() -> None:
    assert objectives({}, None) == (Objective("objective", "min"),)
    assert objectives({"objective": {"metric": "score"}}, None) == (Objective("score", "min"),)


def test_a_direction_beside_a_block_must_say_the_same() -> None:
    assert objectives({"objective": BLOCK}, "maximize") == (Objective("val/acc", "max"),)
    for direction in ("minimize", ["maximize", "minimize"]):
        with pytest.raises(UserError, match=r"is not what objective says \(max\); remove direction"):
            objectives({"objective": BLOCK}, direction)


def test_a_direction_that_does_not_exist_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="direction=maximise is not known; did you mean 'maximize'"):
        objectives({}, "maximise")
