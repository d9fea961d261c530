import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.records.record import Status
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.job import Outcome
from sweeplab.sweep.limits import Limits, check_limits
from sweeplab.sweep.spec import SweepSpec
from tests.sweeplab.sweep.specs import spec_of

GOOD = Outcome(Status.COMPLETE, values=(1.0,))
BAD = Outcome(Status.FAILED, "RuntimeError: no good", traceback="Traceback of it")


@pytest.fixture
def spec(folder: Path) -> SweepSpec:
    return spec_of("x=1,2,3")[0]


def after(spec: SweepSpec, outcomes: list[Outcome], counts: bool = True, **settings: Any) -> Limits:
    limits = Limits(replace(spec.settings, **settings), None)
    for number, outcome in enumerate(outcomes):
        limits.ended(spec, number, {"x": number}, outcome, counts)
    return limits


def test_failures_end_a_sweep_by_number_rate_or_want_of_any_success(spec: SweepSpec) -> None:
    assert not after(spec, [GOOD, *[BAD] * 9]).stopped
    assert not after(spec, [BAD] * 4).stopped
    assert "5 of 5 trials failed" in after(spec, [BAD] * 5).stopped
    assert "1 of 2 trials failed" in after(spec, [GOOD, BAD], fail_fast=True).stopped
    assert not after(spec, [GOOD, BAD, BAD], max_failures=2).stopped
    assert after(spec, [GOOD, BAD, BAD, BAD], max_failures=2).stopped
    assert not after(spec, [GOOD] * 5 + [BAD] * 5, max_failure_rate=0.5).stopped
    assert after(spec, [GOOD] * 5 + [BAD] * 6, max_failure_rate=0.5).stopped


def test_the_reason_names_the_trial_and_the_first_traceback_is_kept(spec: SweepSpec) -> None:
    limits = after(spec, [BAD, replace(BAD, reason="OSError: full", traceback="another")], max_failures=1)
    assert "the last was #1 (x=1): OSError: full" in limits.stopped
    assert limits.first == "Traceback of it"
    assert not limits.may_start()


def test_what_is_queued_again_is_no_failure(spec: SweepSpec) -> None:
    assert not after(spec, [Outcome(Status.KILLED, "signal SIGKILL")] * 9, counts=False).stopped


def test_a_mistake_that_all_trials_share_ends_a_sweep_without_a_success(spec: SweepSpec) -> None:
    shared = replace(BAD, is_shared=True)
    assert "every trial would fail as #0 did" in after(spec, [shared]).stopped
    assert not after(spec, [GOOD, shared]).stopped


def test_nothing_starts_when_the_time_is_over(spec: SweepSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = after(spec, [], timeout=60.0)
    assert limits.may_start()
    in_time = limits.over
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not limits.may_start()
    assert (in_time, limits.over) == ("", "the timeout of 60 s was reached")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trials": 0}, "n_trials=0 must be 1 or more"),
        ({"retries": -1}, "retries=-1 must be 0 or more"),
        ({"timeout": 0}, "timeout=0 must be a number of seconds above 0"),
        ({"max_failure_rate": 1.5}, "max_failure_rate=1.5 must be from 0 to 1"),
        ({"executor": "locale"}, "did you mean 'local'"),
        ({"on_change": "extent"}, "did you mean 'extend'"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_limits(Settings(**settings))
