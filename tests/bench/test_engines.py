import psutil
import pytest
from engines import ENGINES
from search import Found, Search, Trial


def found(*trials: tuple[int, float | None]) -> Found:
    """A search whose trials ended in these processes at these seconds."""
    return Found([Trial(start=0.0, config={}, process=pid, end=end) for pid, end in trials], begin=0.0, finish=99.0)


@pytest.mark.parametrize("ends", [[1, 1, 3, 3, 5, 5], [0, 1, 2, 3, 4, 5]], ids=["in batches", "evenly"])
def test_what_a_trial_costs_does_not_depend_on_whether_slots_are_in_step(ends: list[float]) -> None:
    assert found(*((number % 2, end) for number, end in enumerate(ends))).each(2) == 1000


def test_what_a_process_imports_for_its_first_trial_does_not_count() -> None:
    soon, late = [(1, 1.0), (1, 2.0), (1, 3.0)], [(2, 9.0), (1, 10.0), (2, 11.0), (1, 12.0)]
    assert found(*soon, *late).each(2) == 1000


def test_a_process_for_each_trial_counts_from_the_first_ones_on() -> None:
    assert found((1, 5.0), (2, 6.0), (3, 7.0), (4, 8.0)).each(2) == 1000


def test_a_trial_that_was_cut_does_not_count() -> None:
    assert found((1, 1.0), (2, 2.0), (1, 3.0), (2, None)).each(2) == 1000


@pytest.mark.slow
def test_a_search_that_takes_too_long_is_cut_and_leaves_nothing_behind() -> None:
    searched = ENGINES["optuna loop"].run(Search("sleep", 2, mean=3600.0), seconds=3.0)
    assert searched.error == ""
    assert [trial for trial in searched.trials if trial.end is not None] == []
    lines = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if "optuna_loop/search.py" in line] == []


@pytest.mark.slow
def test_a_search_that_fails_says_why() -> None:
    searched = ENGINES["bare loop"].run(Search("noop", 2, slots=0))
    assert (searched.trials, searched.said) == ([], "ValueError: Number of processes must be at least 1")


def test_a_trial_that_raises_makes_its_search_an_error() -> None:
    searched = ENGINES["bare loop"].run(Search("sleep", 2))  # its trials have no such lengths
    assert searched.error == "KeyError: 'lengths'"


def test_fewer_trials_than_asked_for_are_an_error() -> None:
    searched = ENGINES["bare loop"].run(Search("noop", 3), asked=4)
    assert searched.error == "3 of 4 trials ended"
