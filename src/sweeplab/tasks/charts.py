"""What a test shows beyond its numbers: which classes are taken for which, and which samples are mistaken."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassPrecisionRecallCurve, MulticlassROC

from sweeplab.records.files import cells, written_whole
from sweeplab.sweep.trial import current
from sweeplab.tasks.pictures import confusion_picture

COLUMNS: list[str | int] = ["sample", "predicted", "probability", "label"]
DRAWN = 20  # classes whose curves a dashboard draws: more lines than that nobody tells apart
MATRIX = 100  # classes up to which W&B draws a matrix: its charts take 10,000 rows


class Charts(Callback):
    """Confusion matrix, ROC and precision-recall curves, and a table of predictions, of each test.

    It takes models whose test step returns logits of shape (samples, classes), on batches of inputs and labels, and
    leaves others alone. `confusion.csv`, `curves.csv` and `predictions.csv` go to `folder`. The matrix is drawn there
    as well, and W&B and TensorBoard get charts that their pages draw by themselves; in the trials of a sweep, where
    each tenth of a second counts, only with `in_trials`.

    The table has `count` rows: first the wrong predictions, the surest at the top, then the right ones, the least sure
    first. The curves have so many `thresholds`; whatever is kept does not grow with the data.
    """

    def __init__(self, folder: str, count: int = 100, thresholds: int = 50, in_trials: bool = False) -> None:
        self.folder, self.count, self.thresholds, self.in_trials = Path(folder), count, thresholds, in_trials
        self._counts: _Counts | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._counts = None

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch of the first test set."""
        if dataloader_idx == 0 and _are_logits(outputs, batch):
            assert isinstance(outputs, Tensor)
            if self._counts is None:
                self._counts = _Counts(outputs.shape[1], self.thresholds, self.count, outputs.device)
            self._counts.update(outputs, batch[1])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put together what all processes counted; the first one writes it."""
        seen = self._counts.classes if self._counts else 0
        classes = int(trainer.strategy.reduce(torch.tensor(seen, device=pl_module.device), reduce_op="max"))
        if not classes:
            return
        # A process may have had no sample at all, and the others would wait for it.
        counts = self._counts or _Counts(classes, self.thresholds, self.count, pl_module.device)
        outcome = counts.gathered(trainer, pl_module)
        self._counts = None
        if trainer.is_global_zero:
            outcome.write(self.folder)
            if self.in_trials or current() is None:
                outcome.draw(self.folder)
                for logger in trainer.loggers:
                    if isinstance(logger, WandbLogger):
                        logger.log_metrics(outcome.for_wandb(), trainer.global_step)
                    elif isinstance(logger, TensorBoardLogger):
                        outcome.to_tensorboard(logger.experiment, trainer.global_step)


def _are_logits(outputs: object, batch: Any) -> bool:
    return (
        isinstance(outputs, Tensor)
        and outputs.dim() == 2
        and outputs.shape[1] > 1
        and isinstance(batch, Sequence)
        and len(batch) > 1
        and isinstance(batch[1], Tensor)
        and batch[1].shape == outputs.shape[:1]
        and not batch[1].is_floating_point()
    )


@dataclass
class Outcome:
    """What a test came to.

    `confusion` counts predictions by label and predicted class. The rates have a row a class and a column a threshold;
    the precision is not a number where nothing reaches the threshold. `rows` are predictions, as `COLUMNS` say.
    """

    confusion: Tensor
    thresholds: Tensor
    false_positives: Tensor
    recall: Tensor
    precision: Tensor
    rows: list[tuple[int, int, float, int]]

    def write(self, folder: Path) -> None:
        """Write all numbers."""
        classes = range(len(self.confusion))
        counts = zip(classes, self.confusion.tolist(), strict=True)
        _write_csv(folder / "confusion.csv", ["label", *classes], ([label, *row] for label, row in counts))
        curves = ["class", "threshold", "false_positive_rate", "recall", "precision"]
        _write_csv(folder / "curves.csv", curves, self._points(classes))
        _write_csv(folder / "predictions.csv", COLUMNS, self.rows)

    def draw(self, folder: Path) -> None:
        """Draw the matrix, which takes longer than the rest."""
        with written_whole(folder / "confusion.png") as temporary:
            confusion_picture(self.confusion.numpy()).save(temporary, "PNG", compress_level=1)

    def for_wandb(self) -> dict[str, Any]:
        """Return charts and a table under the names that W&B shows."""
        import wandb

        points = list(self._points(self._worst()))
        charts = {
            "test/predictions": wandb.Table(COLUMNS, [list(row) for row in self.rows]),
            "test/roc": _curve("ROC", ("False positive rate", "Recall"), ((p[0], p[2], p[3]) for p in points)),
            "test/precision_recall": _curve(
                "Precision and recall", ("Recall", "Precision"), ((p[0], p[3], p[4]) for p in points if p[4] != "")
            ),
        }
        if len(self.confusion) <= MATRIX:
            named = enumerate(self.confusion.tolist())
            cells = [[str(label), str(predicted), count] for label, row in named for predicted, count in enumerate(row)]
            columns: list[str | int] = ["Actual", "Predicted", "nPredictions"]
            # What wandb.plot.confusion_matrix makes of all predictions, made of their counts.
            charts["test/confusion"] = wandb.plot_table(
                "wandb/confusion_matrix/v1",
                wandb.Table(columns, cells),
                {str(column): str(column) for column in columns},
                {"title": "Confusion matrix"},
                split_table=True,
            )
        return charts

    def to_tensorboard(self, writer: Any, step: int) -> None:
        """Add the picture of the matrix, and the curves to the page of PR curves."""
        picture = np.asarray(confusion_picture(self.confusion.numpy()))
        writer.add_image("test/confusion", picture, step, dataformats="HWC")
        positives = self.confusion.sum(1)
        negatives = positives.sum() - positives
        for label in self._worst():
            hits, alarms = self.recall[label] * positives[label], self.false_positives[label] * negatives[label]
            counts = (hits, alarms, negatives[label] - alarms, positives[label] - hits)
            rates = (self.precision[label].nan_to_num(0.0), self.recall[label])
            name = f"test/precision_recall/{label}"
            writer.add_pr_curve_raw(name, *(p.numpy() for p in (*counts, *rates)), step, len(self.thresholds))

    def _worst(self) -> list[int]:
        """Return the classes to draw: all, or of many those with the least area under precision and recall."""
        area = (self.precision.nan_to_num(1.0)[:, :-1] * -self.recall.diff(dim=1)).sum(1)
        return sorted(area.argsort()[:DRAWN].tolist())

    def _points(self, classes: Iterable[int]) -> Iterable[list[Any]]:
        for label in classes:
            rates = (self.false_positives[label], self.recall[label], self.precision[label])
            for threshold, *point in zip(self.thresholds.tolist(), *(rate.tolist() for rate in rates), strict=True):
                yield [label, round(threshold, 6), *("" if rate != rate else round(rate, 6) for rate in point)]


class _Counts:
    """Counts over the batches that one process saw."""

    def __init__(self, classes: int, thresholds: int, count: int, device: torch.device) -> None:
        self.classes, self._count, self._seen = classes, count, 0
        self._confusion = MulticlassConfusionMatrix(classes, validate_args=False).to(device)
        curves: dict[str, Metric | MetricCollection] = {
            "roc": MulticlassROC(classes, thresholds=thresholds, validate_args=False),
            "precision_recall": MulticlassPrecisionRecallCurve(classes, thresholds=thresholds, validate_args=False),
        }
        self._curves = MetricCollection(curves, compute_groups=[list(curves)]).to(device)  # they count the same
        numbers = torch.zeros(count, dtype=torch.long, device=device)
        nothing = torch.full((count,), -2.0, device=device)
        # How much a prediction is worth being looked at, its probability, and sample, predicted class and label.
        self._rows: tuple[Tensor, ...] = (nothing, nothing, numbers, numbers, numbers)

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch; labels of no class, which a loss may be told to ignore, are left out."""
        samples = torch.arange(self._seen, self._seen + len(labels), device=logits.device)
        self._seen += len(labels)
        has_class = (labels >= 0) & (labels < self.classes)
        probabilities, labels, samples = logits.float().softmax(1)[has_class], labels[has_class], samples[has_class]
        if not len(labels):
            return
        self._confusion.update(probabilities, labels)
        self._curves.update(probabilities, labels)
        sure, predicted = probabilities.max(1)
        worth = torch.where(predicted == labels, -sure, sure)
        batch = (worth, sure, samples, predicted, labels)
        self._rows = _top(self._count, *(torch.cat(parts) for parts in zip(self._rows, batch, strict=True)))

    def gathered(self, trainer: Trainer, module: LightningModule) -> Outcome:
        """Return what all processes counted; each of them must call it."""
        worth, sure, samples, predicted, labels = self._rows
        # As the samples were dealt out: one to each process in turn.
        samples = samples * trainer.world_size + trainer.global_rank
        columns = module.all_gather((worth, sure, samples, predicted, labels))
        worth, *rows = _top(self._count, *(part.flatten().cpu() for part in columns))
        sure, samples, predicted, labels = (part[worth >= -1] for part in rows)
        confusion, curves = self._confusion.compute(), self._curves.compute()
        (false_positives, recall, thresholds), precision = curves["roc"], curves["precision_recall"][0]
        return Outcome(
            confusion.cpu(),
            thresholds.flip(0).cpu(),
            false_positives.flip(1).cpu(),
            recall.flip(1).cpu(),
            precision[:, :-1].cpu(),  # without the point that closes the curve
            [(s, p, round(q, 6), y) for s, p, q, y in _lists(samples, predicted, sure, labels)],
        )


def _top(count: int, worth: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
    """Return the rows that are most worth being looked at."""
    worth, rows = worth.topk(min(count, len(worth)))
    return (worth, *(part[rows] for part in rest))


def _lists(*columns: Tensor) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _write_csv(path: Path, header: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(map(cells, [header, *rows]))


def _curve(title: str, axes: tuple[str, str], points: Iterable[tuple[Any, ...]]) -> Any:
    import wandb

    return wandb.plot_table(
        "wandb/area-under-curve/v0",  # what wandb.plot.roc_curve draws with
        wandb.Table(["class", *axes], [[str(label), x, y] for label, x, y in points]),
        {"class": "class", "x": axes[0], "y": axes[1]},
        {"title": title, "x-axis-title": axes[0], "y-axis-title": axes[1]},
        split_table=True,
    )
