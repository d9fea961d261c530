import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from sweeplab.errors import UserError
from sweeplab.records.record import read
from sweeplab.records.run import Run
from sweeplab.records.trials import Trials
from sweeplab.training.check import check_ensemble
from sweeplab.training.evaluate import evaluate as evaluate_together
from tests.conftest import ROOT, Compose
from tests.training import evaluate, run

PREDICTED = [f"p{number}" for number in range(10)]


@pytest.fixture
def trained(configured: Compose) -> Path:
    config = configured("model=cnn")
    run(config)
    return Path(config.folder)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_test_gives_the_number_that_training_gave(trained: Path) -> None:
    metrics = json.loads(evaluate(trained, "test").read_text())
    assert metrics == {name: value for name, value in read(trained)["metrics"].items() if name.startswith("test/")}


@pytest.mark.slow
def test_validation_gives_the_objective_even_from_a_folder_that_moved(trained: Path, tmp_path: Path) -> None:
    moved = trained.rename(tmp_path / "elsewhere")
    written = evaluate(moved, "validate", ["data.batch_size=7"])
    assert written.is_relative_to(moved)
    assert json.loads(written.read_text())["val/acc"] == pytest.approx(read(moved)["objective"]["value"])


def test_predictions_are_a_table_that_agrees_with_the_test(trained: Path) -> None:
    table = rows(evaluate(trained, "predict"))
    assert len(table) == 359
    right = np.mean([row["predicted"] == row["label"] for row in table])
    assert right == pytest.approx(read(trained)["metrics"]["test/acc"])
    for row in table[:20]:
        probabilities = [float(row[f"p{number}"]) for number in range(10)]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert float(row["probability"]) == max(probabilities)


@pytest.mark.slow
def test_a_run_that_was_cut_is_evaluated_with_its_best_checkpoint(trained: Path) -> None:
    record = trained / "run.json"
    record.write_text(record.read_text().replace('"checkpoints/best.ckpt"', "null"))
    (trained / "checkpoints" / "last.ckpt").write_text("not this one")
    assert json.loads(evaluate(trained).read_text())["test/acc"] == read(trained)["metrics"]["test/acc"]


@pytest.mark.slow
def test_two_evaluations_do_not_overwrite_each_other(trained: Path) -> None:
    assert len({evaluate(trained), evaluate(trained)}) == 2


@pytest.mark.slow
def test_new_data_is_scaled_as_the_training_data_was(configured: Compose, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(5, 2, size=(90, 12))
    y = (x.mean(1) > 5).astype(int)
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    np.savez(tmp_path / "new.npz", x_predict=x[:1])  # its own scale would make it zero
    config = configured("data=npz", f"data.path={tmp_path}/mine.npz", "model=linear", "trainer.max_epochs=30")
    run(config)
    known = rows(evaluate(Path(config.folder), "predict"))[0]
    new = rows(evaluate(Path(config.folder), "predict", [f"data.path={tmp_path}/new.npz"]))
    assert len(new) == 1
    assert "label" not in new[0]
    assert float(new[0]["p0"]) == pytest.approx(float(known["p0"]), abs=1e-5)


@pytest.mark.slow
def test_what_does_not_fit_is_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'validate'"):
        evaluate(trained, "validat")
    with pytest.raises(
        UserError, match=r"does not fit the model: in_shape was \[1, 8, 8\] in training, and is \[1, 40\]"
    ):
        evaluate(trained, "test", ["data=mnist1d", f"data.cache={tmp_path}"], ROOT / "conf")
    for checkpoint in (trained / "checkpoints").iterdir():
        checkpoint.unlink()
    with pytest.raises(UserError, match="has no checkpoint"):
        evaluate(trained)


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
    written = evaluate_together(study, [member.folder for member in trials.ranked])
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

    predicted = evaluate_together(study, [member.folder for member in trials.ranked], "predict")
    with predicted.open(newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([[float(row[name]) for name in PREDICTED] for row in rows], mean, atol=2e-6)
    assert [int(row["label"]) for row in rows] == labels.tolist()
    assert json.loads((predicted.parent / "members.json").read_text()) == list(metrics["members"])

    together = json.loads(evaluate_together(study, [trials.runs[0].folder], "validate").read_text())
    assert together["val/acc"] == pytest.approx(trials.runs[0].objective)
    assert not math.isnan(together["val/loss"])


def test_members_that_were_trained_on_other_samples_are_refused(configured: Compose, tmp_path: Path) -> None:
    for number in (0, 1):
        run(configured("model=linear", f"data.split_seed={number}", folder=str(number)))
    with pytest.raises(UserError, match=r"do not see the same samples: their data\.split_seed differs"):
        evaluate_together(tmp_path, [tmp_path / "0", tmp_path / "1"])
    # Told to see the same, they do, each scaled as its own training data was.
    written = evaluate_together(tmp_path, [tmp_path / "0", tmp_path / "1"], overrides=["data.split_seed=0"])
    assert json.loads(written.read_text())["test/acc"] > 0.3


def test_members_may_be_served_in_other_ways(configured: Compose, tmp_path: Path) -> None:
    for number in (0, 1):
        run(configured("model=linear", f"seed={number}", f"data.batch_size={32 << number}", folder=str(number)))
    assert len(check_ensemble([tmp_path / "0", tmp_path / "1"], "test", [], None)) == 2


def test_an_evaluation_that_leaves_before_its_end_has_failed(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.models.cnn import CNN

    monkeypatch.setattr(CNN, "forward", lambda self, x: sys.exit(0))
    with pytest.raises(UserError, match=r"the evaluation called sys\.exit\(0\) before it finished"):
        evaluate(trained, "validate")
