import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.run import Run
from sweeplab.records.trials import Trials
from sweeplab.training.check import check_ensemble
from sweeplab.training.evaluate import evaluate
from tests.conftest import ROOT, Compose
from tests.training import run

PREDICTED = [f"p{number}" for number in range(10)]


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
def test_an_ensemble_is_judged_by_the_mean_of_its_members_probabilities(study: Path) -> None:
    trials = Trials.read(study)
    written = evaluate(study, [member.folder for member in trials.ranked])
    metrics = json.loads(written.read_text())
    said, (labels, *_) = zip(*(probabilities(member) for member in trials), strict=True)
    mean = np.mean(said, axis=0)
    assert metrics["test/acc"] == pytest.approx((mean.argmax(1) == labels).mean(), abs=1e-6)
    assert metrics["test/loss"] == pytest.approx(-np.log(mean[np.arange(len(labels)), labels]).mean(), rel=1e-5)
    assert list(metrics["members"]) == [member.folder.name for member in trials.ranked]
    for member in trials:
        known = {name: value for name, value in member.values().items() if name.startswith("test/")}
        assert metrics["members"][member.folder.name] == pytest.approx(known, rel=1e-5)
    assert written.is_relative_to(study / "eval")

    predicted = evaluate(study, [member.folder for member in trials.ranked], "predict")
    with predicted.open(newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([[float(row[name]) for name in PREDICTED] for row in rows], mean, atol=2e-6)
    assert [int(row["label"]) for row in rows] == labels.tolist()
    assert json.loads((predicted.parent / "members.json").read_text()) == list(metrics["members"])

    together = json.loads(evaluate(study, [trials.runs[0].folder], "validate").read_text())
    assert together["val/acc"] == pytest.approx(trials.runs[0].objective)
    assert not math.isnan(together["val/loss"])


def test_members_that_were_trained_on_other_samples_are_refused(configured: Compose, tmp_path: Path) -> None:
    for number in (0, 1):
        run(configured("model=linear", f"data.split_seed={number}", folder=str(number)))
    with pytest.raises(UserError, match=r"do not see the same samples: their data\.split_seed differs"):
        evaluate(tmp_path, [tmp_path / "0", tmp_path / "1"])
    # Told to see the same, they do, each scaled as its own training data was.
    written = evaluate(tmp_path, [tmp_path / "0", tmp_path / "1"], overrides=["data.split_seed=0"])
    assert json.loads(written.read_text())["test/acc"] > 0.3


def test_members_may_be_served_in_other_ways(configured: Compose, tmp_path: Path) -> None:
    for number in (0, 1):
        run(configured("model=linear", f"seed={number}", f"data.batch_size={32 << number}", folder=str(number)))
    assert len(check_ensemble([tmp_path / "0", tmp_path / "1"], "test", [], None)) == 2


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
