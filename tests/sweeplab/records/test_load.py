from pathlib import Path

import pytest

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.load import chosen
from sweeplab.records.run import Run
from sweeplab.records.trials import Trials
from tests.sweeplab.records.made_runs import make_run


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for number, (acc, kept) in enumerate(((0.7, True), (0.9, True), (0.95, False), (0.8, True))):
        folder = make_run(tmp_path / "cnn" / str(number), acc=acc, checkpoints_removed=not kept).folder
        if kept:
            (folder / "checkpoints").mkdir()
            (folder / "checkpoints" / "best.ckpt").touch()
    return tmp_path / "cnn"


def test_a_trial_is_chosen_by_its_number_or_for_being_best(study: Path) -> None:
    assert chosen(study, trial="3") == [study / "3"]
    assert chosen(study, trial="best") == [study / "2"]
    assert chosen(study / "3") == [study / "3"]


def test_the_top_are_the_best_that_still_have_their_checkpoints(study: Path) -> None:
    assert chosen(study, top="2") == [study / "1", study / "3"]
    assert chosen(study, top="3") == [study / "1", study / "3", study / "0"]


@pytest.mark.parametrize(
    ("inner", "trial", "top", "sentence"),
    [
        (".", None, None, r"say which: trial=best, trial=<number>, or top=5"),
        (".", "7", None, "has no trial 7; there are 0 to 3"),
        (".", "bset", None, "trial=bset must be best or a number"),
        (".", "-1", None, "trial=-1 must be best or a number"),
        (".", None, "0", "top=0 must be a whole number from 1"),
        (".", None, "all", "top=all must be a whole number from 1"),
        (".", None, "4", "only 3 complete trials of .* still have their checkpoints; write top=3"),
        (".", "1", "2", "say one of them"),
        ("1", "best", None, "trial=best chooses from a study, but .* is the folder of a run"),
        ("../cn", "best", None, "does not exist; did you mean"),
    ],
)
def test_what_cannot_be_chosen_is_said(
    study: Path, inner: str, trial: str | None, top: str | None, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        chosen(study / inner, trial, top)


def test_load_takes_the_folder_of_a_run_or_of_a_study(tmp_path: Path) -> None:
    make_run(tmp_path / "cnn" / "0", acc=0.5)
    run, study = sweeplab.load(str(tmp_path / "cnn" / "0")), sweeplab.load(tmp_path / "cnn")
    assert isinstance(run, Run)
    assert isinstance(study, Trials)
    assert study.best.folder == run.folder


def test_load_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    make_run(tmp_path / "cnn" / "0", acc=0.5).folder.joinpath("run.json").write_text("{")
    with pytest.raises(UserError, match=r"0/run\.json is broken"):
        sweeplab.load(tmp_path / "cnn" / "0")
    with pytest.raises(UserError, match=r"run\.json is broken"):
        sweeplab.load(tmp_path / "cnn")
    with pytest.raises(UserError, match=r"cm does not exist; did you mean '.*cnn'"):
        sweeplab.load(tmp_path / "cm")
