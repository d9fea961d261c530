import sys

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "bench"))
from engines import ENGINES, Found, Search, Trial


@pytest.mark.parametrize("ends", [[1, 1, 3, 3, 5, 5, 7, 7], [0, 1, 2, 3, 4, 5, 6, 7]], ids=["in batches", "evenly"])
def test_what_a_trial_costs_does_not_depend_on_how_the_slots_are_in_step(ends: list[float]) -> None:
    found = Found([Trial(start=0.0, config={}, end=end) for end in ends], begin=0.0, finish=8.0)
    assert found.each(2) == 1000


def test_a_trial_that_was_cut_does_not_count() -> None:
    ends = [1.0, 2.0, 3.0, None]
    found = Found([Trial(start=0.0, config={}, end=end) for end in ends], begin=0.0, finish=8.0)
    assert found.each(2) == 1000


def test_a_search_that_takes_too_long_is_cut_and_leaves_what_it_came_to() -> None:
    found = ENGINES["optuna loop"].run(Search("sleep", 1000, mean=0.1), seconds=3.0)
    ended = [trial for trial in found.trials if trial.end is not None]
    assert found.error == ""
    assert 0 < len(ended) < 1000


def test_a_search_that_fails_says_why() -> None:
    found = ENGINES["bare loop"].run(Search("noop", 2, slots=0))
    assert (found.trials, found.error.strip().splitlines()[-1]) == (
        [],
        "ValueError: Number of processes must be at least 1",
    )
