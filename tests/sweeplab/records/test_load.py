import csv
import re
from pathlib import Path

import numpy as np
import pytest

import sweeplab
from sweeplab.records.run import Run
from sweeplab.records.trials import Trials
from tests.conftest import ROOT, Compose
from tests.training import run


@pytest.fixture
def study(configured: Compose, tmp_path: Path) -> Path:
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
def test_load_gives_a_run_with_the_model_that_was_best_and_what_it_logged(study: Path) -> None:
    loaded = sweeplab.load(study / "0")
    assert isinstance(loaded, Run)
    assert not loaded.model.training
    said, labels = probabilities(loaded)
    assert (said.argmax(1) == labels).mean() == pytest.approx(loaded.facts["metrics"]["test/acc"])
    assert loaded.config.model._target_ == "lab.models.cnn.CNN"
    assert loaded.config.folder == str(study / "0")
    steps, values = loaded.curve("val/acc")
    with (study / "0" / "metrics.csv").open(newline="") as file:
        logged = [(int(row["step"]), float(row["val/acc"])) for row in csv.DictReader(file) if row["val/acc"]]
    assert list(zip(steps.tolist(), values.tolist(), strict=True)) == logged
    assert max(values) == loaded.objective

    study.rename(study.with_name("moved"))
    moved = sweeplab.load(study.with_name("moved"))
    assert isinstance(moved, Trials)
    assert moved.runs[0].config.folder == str(study.with_name("moved") / "0")
    assert moved.best.model is moved.best.model  # built once


@pytest.mark.slow
def test_the_snippet_of_the_page_on_notebooks_works(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (study.parent / "multirun").mkdir()
    study.rename(study.parent / "multirun" / "cnn")
    monkeypatch.chdir(study.parent)
    snippet, *_ = re.findall("```python\n(.*?)```", (ROOT / "docs" / "notebooks.md").read_text(), re.DOTALL)
    exec(snippet, {})
    said = capsys.readouterr().out
    assert re.findall(r"^cnn/\d complete 0\.\d+ ", said, re.MULTILINE)
    assert "reaches" in said
    assert said.count("tensor([") == 1
