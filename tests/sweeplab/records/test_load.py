import csv
import re
from pathlib import Path

import numpy as np
import pytest

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.load import chosen
from sweeplab.records.run import Run
from sweeplab.records.trials import Trials
from tests.conftest import ROOT, Compose
from tests.sweeplab.records.made_runs import make_run
from tests.training import run


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
        (".", None, None, r"choose trial=best, trial=<number>, or top=5"),
        (".", "7", None, "has no trial 7; there are 0 to 3"),
        (".", "bset", None, "trial=bset must be best or a number"),
        (".", "-1", None, "trial=-1 must be best or a number"),
        (".", None, "0", "top=0 must be a whole number from 1"),
        (".", None, "all", "top=all must be a whole number from 1"),
        (".", None, "4", "only 3 complete trials of .* still have their checkpoints; write top=3"),
        (".", "1", "2", "give one of them"),
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
    one, study = sweeplab.load(str(tmp_path / "cnn" / "0")), sweeplab.load(tmp_path / "cnn")
    assert isinstance(one, Run)
    assert isinstance(study, Trials)
    assert study.best.folder == one.folder


def test_load_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    make_run(tmp_path / "cnn" / "0", acc=0.5).folder.joinpath("run.json").write_text("{")
    with pytest.raises(UserError, match=r"0/run\.json is broken"):
        sweeplab.load(tmp_path / "cnn" / "0")
    with pytest.raises(UserError, match=r"run\.json is broken"):
        sweeplab.load(tmp_path / "cnn")
    with pytest.raises(UserError, match=r"cm does not exist; did you mean '.*cnn'"):
        sweeplab.load(tmp_path / "cm")


@pytest.fixture
def trained(configured: Compose, tmp_path: Path) -> Path:
    for number, words in enumerate((("model=cnn", "seed=3"), ("model=mlp",), ("model=linear", "data.batch_size=32"))):
        run(configured(*words, folder=f"study/{number}"))
    return tmp_path / "study"


def probabilities(member: Run) -> tuple[np.ndarray, np.ndarray]:
    """What a member says of the test part, without the code under test, and the truth."""
    from sweeplab.build import build

    data = build(member.config.data, "data")
    data.setup()
    x, labels = data.parts["test"]
    return member.model.probabilities(x).double().numpy(), labels.numpy()


@pytest.mark.slow
def test_load_gives_a_run_with_the_model_that_was_best_and_what_it_logged(trained: Path) -> None:
    loaded = sweeplab.load(trained / "0")
    assert isinstance(loaded, Run)
    assert not loaded.model.training
    said, labels = probabilities(loaded)
    assert (said.argmax(1) == labels).mean() == pytest.approx(loaded.facts["metrics"]["test/acc"])
    assert loaded.config.model._target_ == "lab.models.cnn.CNN"
    assert loaded.config.folder == str(trained / "0")
    steps, values = loaded.curve("val/acc")
    with (trained / "0" / "metrics.csv").open(newline="") as file:
        logged = [(int(row["step"]), float(row["val/acc"])) for row in csv.DictReader(file) if row["val/acc"]]
    assert list(zip(steps.tolist(), values.tolist(), strict=True)) == logged
    assert max(values) == loaded.objective

    trained.rename(trained.with_name("moved"))
    moved = sweeplab.load(trained.with_name("moved"))
    assert isinstance(moved, Trials)
    assert moved.runs[0].config.folder == str(trained.with_name("moved") / "0")
    assert moved.best.model is moved.best.model  # built once


@pytest.mark.slow
def test_the_snippet_of_the_page_on_notebooks_works(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained.parent / "multirun").mkdir()
    trained.rename(trained.parent / "multirun" / "cnn")
    monkeypatch.chdir(trained.parent)
    snippet, *_ = re.findall("```python\n(.*?)```", (ROOT / "docs" / "notebooks.md").read_text(), re.DOTALL)
    exec(snippet, {})
    said = capsys.readouterr().out
    assert re.findall(r"^cnn/\d complete 0\.\d+ ", said, re.MULTILINE)
    assert "reaches" in said
    assert said.count("tensor([") == 1
