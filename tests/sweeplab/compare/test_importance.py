import logging

import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeplab.compare.importance import TENTH, complete, shares, study_of

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def trials(count: int) -> list[FrozenTrial]:
    """Trials of which x alone decides the value."""
    return [
        create_trial(value=x, params={"x": x, "y": number * 7 % count / count}, distributions=SPACE)
        for number in range(count)
        for x in [number / count]
    ]


def test_what_decides_the_objective_comes_first() -> None:
    found = shares(trials(40), "maximize")
    assert list(found) == ["x", "y"]
    assert found["x"] > 0.8


def test_fewer_than_ten_complete_trials_say_nothing() -> None:
    failed = create_trial(state=TrialState.FAIL, params={"x": 0.5, "y": 0.5}, distributions=SPACE)
    made = [*trials(TENTH - 1), failed]
    assert complete(study_of(made, ["maximize"])) == TENTH - 1
    assert shares(made, "maximize") == {}


def test_equal_trials_say_nothing() -> None:
    alike = [create_trial(value=1.0, params={"x": 0.5, "y": 0.5}, distributions=SPACE) for _ in range(20)]
    assert shares(alike, "minimize") == {}


def test_a_study_in_memory_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        study_of(trials(2), ["minimize"])
    assert not caplog.records
