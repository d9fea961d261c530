from pathlib import Path

import pytest

from sweeplab.compare.comparison import compare
from sweeplab.errors import UserError
from sweeplab.records.run import Run
from tests.sweeplab.records.made_runs import make_run


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
        ("status=done", "no run has status=done; choose from complete, failed."),
    ],
)
def test_a_filter_that_cannot_be_met_says_why(runs: list[Run], condition: str, words: str) -> None:
    with pytest.raises(UserError, match=words.replace("?", r"\?")):
        compare(runs, [condition])


@pytest.fixture
def tagged(tmp_path: Path) -> list[Run]:
    tags = (["mnist", "first"], ["first", "2026"], None)
    return [make_run(tmp_path / str(n), acc=0.1 * n, tags=each) for n, each in enumerate(tags)]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("tags=first", [0, 1]),
        ("tags=mnist,2026", [0, 1]),
        ("tags=2026", [1]),
        ("tags!=mnist", [1, 2]),
        ("tags=null", [2]),
    ],
)
def test_of_the_tags_of_a_run_one_is_enough(tagged: list[Run], condition: str, left: list[int]) -> None:
    kept = compare(tagged, [condition]).runs
    assert sorted(tagged.index(run) for run in kept) == left


def test_a_tag_that_no_run_has_is_told_with_the_nearest(tagged: list[Run]) -> None:
    with pytest.raises(UserError, match=r"no run has tags=mnst; did you mean 'mnist'\?"):
        compare(tagged, ["tags=mnst"])
