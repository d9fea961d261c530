from search import Found, Trial
from trial import row


def found(milliseconds: float, error: str = "") -> Found:
    """A search whose two slots end a trial each, and then one after the other."""
    ends = [0.0, 0.0, *(milliseconds * (i + 1) / 1000 for i in range(4))]
    trials = [Trial(start=0.0, config={}, process=number % 2, end=end) for number, end in enumerate(ends)]
    return Found(trials, begin=0.0, finish=9.0, error=error)


def test_an_engine_is_measured_by_the_run_of_ours_beside_it() -> None:
    told = row("noop", "peer", [(found(100), found(50)), (found(90), found(30))])
    assert told["times sweeplab"] == "2.50 (2.00 to 3.00)"
    assert "note" not in told


def test_a_failure_of_ours_is_not_told_of_the_peer() -> None:
    told = row("noop", "peer", [(found(100), found(50, error="no luck")), (found(90), found(30))])
    assert (told["times sweeplab"], told["repeats"]) == ("3.00", 1)
    assert "note" not in told


def test_a_run_that_failed_is_told_and_the_others_count() -> None:
    told = row("noop", "peer", [(found(100, error="at length\nno luck"), found(50)), (found(90), found(30))])
    assert told["times sweeplab"] == "3.00"
    assert told["note"] == "1 of 2 did not run: no luck"


def test_an_engine_without_any_run_has_no_figures() -> None:
    told = row("noop", "peer", [(Found([], 0.0, 1.0, "no luck"), found(50))])
    assert told == {"task": "noop", "engine": "peer", "note": "1 of 1 did not run: no luck"}
