import pytest

from sweeplab.sweep.trial import Trial, current, enter


def test_a_single_run_is_no_trial() -> None:
    assert current() is None
    enter(trial := Trial("study", 3, {"x": 1}))
    try:
        assert current() is trial
    finally:
        enter(None)
    assert current() is None


def test_reports_are_numbers_at_steps_from_zero() -> None:
    reports: list[tuple[float, int]] = []

    def stop(value: float, step: int) -> bool:
        reports.append((value, step))
        return step > 0

    trial = Trial("study", 0, {}, _report=stop)
    assert [trial.report(1, 0), trial.report(2, 1)] == [False, True]
    assert reports == [(1.0, 0), (2.0, 1)]
    with pytest.raises(ValueError, match="steps are counted from 0"):
        trial.report(1.0, -1)


def test_a_constraint_is_a_number() -> None:
    trial = Trial("study", 0, {})
    trial.constrain("memory", 2)
    assert trial.constraints == {"memory": 2.0}
    with pytest.raises(ValueError, match="memory is not a number"):
        trial.constrain("memory", float("nan"))
