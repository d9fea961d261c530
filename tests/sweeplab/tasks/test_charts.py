import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_score, recall_score
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from sweeplab.sweep import trial
from sweeplab.tasks.charts import DRAWN, MATRIX, Charts, Outcome
from tests import wandb_log
from tests.conftest import Command, Compose, small
from tests.training import run

FILES = ["confusion.csv", "confusion.png", "curves.csv", "predictions.csv"]
CLASSES, SAMPLES = 4, 61


class Says(LightningModule):
    """A model whose test step returns what it is told to."""

    def __init__(self, answer: Callable[[Any], Any] = lambda batch: batch[0]) -> None:
        super().__init__()
        self.answer = answer

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        return self.answer(batch)


def look(folder: Path, logits: Tensor, labels: Tensor, model: LightningModule | None = None, **arguments: Any) -> Path:
    """Test a model on logits as inputs, with the callback."""
    trainer = quiet(Charts(str(folder), **arguments))
    trainer.test(model or Says(), DataLoader(TensorDataset(logits, labels), batch_size=7), verbose=False)
    return folder


def quiet(charts: Charts) -> Trainer:
    return Trainer(accelerator="cpu", callbacks=[charts], logger=False, enable_progress_bar=False, max_epochs=1)


def samples(classes: int = CLASSES, count: int = SAMPLES) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes, (count,), generator=generator)
    logits = torch.randn(count, classes, generator=generator)
    logits[torch.arange(count), labels] += 1.5
    return logits, labels


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_confusion_matrix_is_scikit_learns(tmp_path: Path) -> None:
    logits, labels = samples()
    rows = table(look(tmp_path, logits, labels) / "confusion.csv")
    counts = [[int(row[str(said)]) for said in range(CLASSES)] for row in rows]
    assert counts == confusion_matrix(labels, logits.argmax(1)).tolist()
    assert [row["label"] for row in rows] == ["0", "1", "2", "3"]
    with Image.open(tmp_path / "confusion.png") as picture:
        assert picture.size == (480, 480)
        assert len(picture.getcolors(10**6) or []) > CLASSES


def test_the_curves_are_scikit_learns_at_each_threshold(tmp_path: Path) -> None:
    logits, labels = samples()
    rows = table(look(tmp_path, logits, labels, thresholds=11) / "curves.csv")
    assert len(rows) == CLASSES * 11
    probabilities = logits.softmax(1)
    for row in rows:
        label, threshold = int(row["class"]), float(row["threshold"])
        is_it, is_said = (labels == label).numpy(), (probabilities[:, label] >= threshold).numpy()
        assert float(row["recall"]) == pytest.approx(recall_score(is_it, is_said), abs=1e-5)
        assert float(row["false_positive_rate"]) == pytest.approx(recall_score(~is_it, is_said), abs=1e-5)
        if is_said.any():
            assert float(row["precision"]) == pytest.approx(precision_score(is_it, is_said), abs=1e-5)
        else:
            assert row["precision"] == ""
    assert [row["threshold"] for row in rows[:11]] == sorted(row["threshold"] for row in rows[:11])


def test_the_table_has_surely_wrong_predictions_first(tmp_path: Path) -> None:
    logits, labels = samples()
    rows = table(look(tmp_path, logits, labels, count=30) / "predictions.csv")
    sure, predicted = logits.softmax(1).max(1)
    is_wrong = predicted != labels
    wrong = sorted(is_wrong.nonzero().flatten().tolist(), key=lambda sample: -float(sure[sample]))
    right = sorted((~is_wrong).nonzero().flatten().tolist(), key=lambda sample: float(sure[sample]))
    assert 0 < len(wrong) < 30
    assert [int(row["sample"]) for row in rows] == [*wrong, *right][:30]
    for row in rows:
        sample = int(row["sample"])
        assert (int(row["predicted"]), int(row["label"])) == (int(predicted[sample]), int(labels[sample]))
        assert float(row["probability"]) == pytest.approx(float(sure[sample]), abs=1e-5)


def test_few_samples_make_a_short_table(tmp_path: Path) -> None:
    logits, labels = samples(count=5)
    rows = table(look(tmp_path, logits, labels) / "predictions.csv")
    assert sorted(int(row["sample"]) for row in rows) == [0, 1, 2, 3, 4]


def test_a_second_test_counts_anew(tmp_path: Path) -> None:
    logits, labels = samples()
    trainer = quiet(Charts(str(tmp_path)))
    for _ in range(2):
        trainer.test(Says(), DataLoader(TensorDataset(logits, labels), batch_size=7), verbose=False)
    assert sum(int(row[str(k)]) for row in table(tmp_path / "confusion.csv") for k in range(CLASSES)) == SAMPLES


def test_labels_of_no_class_are_left_out(tmp_path: Path) -> None:
    logits, labels = samples()
    labels[:9] = -100
    folder = look(tmp_path, logits, labels)
    assert sum(int(row[str(k)]) for row in table(folder / "confusion.csv") for k in range(CLASSES)) == SAMPLES - 9
    assert min(int(row["sample"]) for row in table(folder / "predictions.csv")) == 9


@pytest.mark.parametrize(
    "answer",
    [
        lambda batch: None,
        lambda batch: batch[0].mean(),
        lambda batch: {"logits": batch[0]},
        lambda batch: batch[0][:, :1],
        lambda batch: batch[0][:3],
        lambda batch: batch[0].unsqueeze(-1),
    ],
)
def test_other_models_are_left_alone(tmp_path: Path, answer: Callable[[Any], Any]) -> None:
    look(tmp_path, *samples(), model=Says(answer))
    assert not list(tmp_path.iterdir())


def test_targets_that_are_no_classes_are_left_alone(tmp_path: Path) -> None:
    logits, labels = samples()
    look(tmp_path, logits, labels.float())
    assert not list(tmp_path.iterdir())


def test_half_precision_is_taken(tmp_path: Path) -> None:
    logits, labels = samples()
    look(tmp_path, logits, labels, model=Says(lambda batch: batch[0].bfloat16()))
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


def outcome(classes: int) -> Outcome:
    rates = torch.linspace(1, 0, 5).expand(classes, 5)
    precision = torch.linspace(0, 1, classes)[:, None].expand(classes, 5)
    return Outcome(
        torch.eye(classes, dtype=torch.long), torch.linspace(0, 1, 5), rates, rates, precision, [(0, 1, 0.5, 0)]
    )


def test_many_classes_are_not_all_drawn_but_all_written(tmp_path: Path) -> None:
    many = outcome(150)
    charts = many.for_wandb()
    assert "test/confusion" not in charts
    drawn = {row[0] for row in charts["test/roc"].table.data}
    assert drawn == {str(label) for label in range(DRAWN)}, "those with the least precision"
    many.write(tmp_path)
    assert len({row["class"] for row in table(tmp_path / "curves.csv")}) == 150
    many.draw(tmp_path)
    assert "test/confusion" in outcome(MATRIX).for_wandb()


TINY = ("model=linear", "trainer.max_epochs=1")


@pytest.mark.slow
def test_w_and_b_draws_them_by_itself(configured: Compose) -> None:
    config = configured(*TINY, "logger=wandb", "task.callbacks.charts.count=20")
    run(config)
    (recorded,) = wandb_log.offline_runs(Path(config.folder))
    summary = wandb_log.summary(recorded)["summary"]
    cells = "Custom Chart Tables/test/confusion_table"
    assert summary["test/predictions"]["nrows"] == 20
    assert summary[cells]["nrows"] == 100
    panels = {
        name.removeprefix("_wandb.visualize."): panel["panel_config"]["panelDefId"]
        for record in wandb_log.records(recorded, "config")
        for name, panel in record["update"].items()
        if name.startswith("_wandb.visualize.")
    }
    assert panels == {
        "test/confusion": "wandb/confusion_matrix/v1",
        "test/roc": "wandb/area-under-curve/v0",
        "test/precision_recall": "wandb/area-under-curve/v0",
    }
    content = json.loads((recorded / "files" / summary[cells]["path"]).read_text())
    rows = table(Path(config.folder) / "test" / "confusion.csv")
    assert content["data"] == [[row["label"], str(said), int(row[str(said)])] for row in rows for said in range(10)]


@pytest.mark.slow
@pytest.mark.parametrize("in_trials", [False, True])
def test_the_trials_of_a_sweep_write_numbers_alone_unless_asked(configured: Compose, in_trials: bool) -> None:
    config = configured(*TINY, "logger=wandb", f"task.callbacks.charts.in_trials={in_trials}")
    trial.enter(trial.Trial("study", 0, {}))
    try:
        run(config)
    finally:
        trial.enter(None)
    (recorded,) = wandb_log.offline_runs(Path(config.folder))
    assert ("test/predictions" in wandb_log.summary(recorded)["summary"]) == in_trials
    assert bool(wandb_log.records(recorded, "artifact")) == in_trials
    expected = [name for name in FILES if in_trials or name != "confusion.png"]
    assert sorted(path.name for path in (Path(config.folder) / "test").iterdir()) == expected


def test_tensorboard_has_the_matrix_and_a_curve_a_class(configured: Compose) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    config = configured(*TINY, "logger=tensorboard")
    run(config)
    events = EventAccumulator(str(Path(config.folder) / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    assert events.Tags()["images"] == ["test/confusion"]
    assert len(events.PluginTagToContent("pr_curves")) == 10
    (event,) = events.Tensors("test/precision_recall/3")
    hits, alarms, passed, missed, precision, recall = make_ndarray(event.tensor_proto)
    rows = [row for row in table(Path(config.folder) / "test" / "curves.csv") if row["class"] == "3"]
    assert recall == pytest.approx([float(row["recall"]) for row in rows], abs=1e-5)
    assert precision == pytest.approx([float(row["precision"] or 0) for row in rows], abs=1e-5)
    counts = table(Path(config.folder) / "test" / "confusion.csv")
    assert (hits + missed == sum(int(counts[3][str(said)]) for said in range(10))).all()
    assert (hits + alarms + passed + missed == 359).all()
    assert hits == pytest.approx((hits + alarms) * precision, abs=1e-3)


@pytest.mark.slow
def test_two_processes_find_together_what_one_finds_alone(command: Command, tmp_path: Path) -> None:
    devices = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    choices = small("model=linear", "hydra.run.dir=run")
    command("train.py", *[word for word in choices if word != "trainer=cpu"], *devices)
    command("eval.py", "run=run")
    (alone,) = (tmp_path / "run" / "eval").iterdir()
    assert sorted(path.name for path in alone.iterdir()) == ["metrics.json", "test"]
    assert sorted(path.name for path in (alone / "test").iterdir()) == sorted(FILES)
    for name in ("confusion.csv", "curves.csv", "predictions.csv"):
        assert table(tmp_path / "run" / "test" / name) == table(alone / "test" / name)
