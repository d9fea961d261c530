"""A trained model, looked at again from its folder alone."""

import copy
import csv
import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from lab.assemble import assemble_trainer
from lab.check import check_evaluation
from lab.data.arrays import ArrayData
from lab.models.classifier import Classifier
from sweeplab.errors import UserError
from sweeplab.runs.files import write_text, written_whole
from sweeplab.training.build import build
from sweeplab.training.quiet import quiet

log = logging.getLogger(__name__)


def evaluate(run: Path, stage: str = "test", overrides: Sequence[str] = (), conf: Path | None = None) -> Path:
    """Test, validate or predict with the best checkpoint of a run; return the file that was written.

    Overrides change the run's configuration, say the data or the batch size. The results go to a new folder below
    `<run>/eval`: `metrics.json`, for a test with what the callback `charts` finds, or `predictions.csv` with a line a
    sample.

    Raises:
        UserError: there is no such run, stage or checkpoint, or the data does not fit the model.
    """
    run = run.resolve()
    config, checkpoint = check_evaluation(run, stage, overrides, conf)
    log.info("%s with %s", stage, checkpoint.relative_to(run))
    folder = new_folder(run, stage)
    with quiet():
        model = load_classifier(checkpoint)
        data = load_data(config, model)
        if stage == "predict":
            return write_predictions(folder, predict(config, model, data, checkpoint), data)
        return write_metrics(folder, measure(config, model, data, stage, checkpoint, charts=folder))


def new_folder(owner: Path, stage: str) -> Path:
    """Return a folder for what an evaluation of a run, or of a study, finds."""
    return owner / "eval" / f"{stage}-{datetime.now():%Y-%m-%d-%H-%M-%S-%f}"


def load_classifier(checkpoint: Path) -> Classifier:
    """Return the model of a checkpoint, on the CPU."""
    return Classifier.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)


def load_data(config: DictConfig, model: Classifier) -> ArrayData:
    """Return the data of a run, split as it was, and scaled as the model wants it.

    Raises:
        UserError: the model cannot take it.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    data: ArrayData = build(config.data, "data")
    data.setup()
    _check_fit(model, data)
    if model.scale is not None:
        shape = (1, -1, *[1] * (len(data.in_shape) - 1))
        mean, deviation = (torch.tensor(part).view(shape) for part in model.scale)
        data.scale = (mean, deviation)
    return data


def measure(
    config: DictConfig,
    model: Classifier,
    data: ArrayData,
    stage: str,
    checkpoint: Path | None = None,
    charts: Path | None = None,
) -> dict[str, float]:
    """Return the metrics of a test or a validation; the charts of a test are drawn in the folder `charts`.

    Where a checkpoint is named, its weights are taken.
    """
    trainer = _trainer(config, charts)
    look = trainer.test if stage == "test" else trainer.validate
    return dict(look(model, datamodule=data, ckpt_path=checkpoint, weights_only=True, verbose=charts is not None)[0])


def predict(config: DictConfig, model: Classifier, data: ArrayData, checkpoint: Path | None = None) -> Tensor:
    """Return the probabilities of all classes for the samples to predict, of shape (samples, classes)."""
    batches = _trainer(config).predict(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    assert batches is not None
    return torch.cat([batch for batch in batches if isinstance(batch, Tensor)])


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> Path:
    """Write `metrics.json`."""
    path = folder / "metrics.json"
    write_text(path, json.dumps(metrics, indent=2) + "\n")
    return _said(path)


def write_predictions(folder: Path, probabilities: Tensor, data: ArrayData) -> Path:
    """Write `predictions.csv`, a line a sample: its number, the predicted class, how sure it is, all probabilities.

    Where the truth is known, it stands at the end.
    """
    labels = None if "predict" in data.parts else data.parts["test"][1]
    sure, predicted = probabilities.max(dim=1)
    columns = ["sample", "predicted", "probability", *(f"p{number}" for number in range(probabilities.shape[1]))]
    path = folder / "predictions.csv"
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, *(["label"] if labels is not None else [])])
        for sample in range(len(probabilities)):
            row = [sample, int(predicted[sample]), *(f"{p:.6f}" for p in (sure[sample], *probabilities[sample]))]
            writer.writerow([*row, *([int(labels[sample])] if labels is not None else [])])
    return _said(path)


def _trainer(config: DictConfig, charts: Path | None = None) -> Trainer:
    config = copy.deepcopy(config)
    # Several processes would each write a share of the samples, and none the whole.
    config.trainer = {key: value for key, value in config.trainer.items() if key not in ("strategy", "num_nodes")}
    OmegaConf.update(config, "trainer.devices", 1, force_add=True)
    wanted = ("progress", "charts") if charts else ("progress",)
    config.callbacks = {name: entry for name, entry in config.callbacks.items() if name in wanted}
    if config.callbacks.get("charts"):
        config.callbacks.charts.folder = str(charts)
    return assemble_trainer(config, loggers=[])


def _said(path: Path) -> Path:
    log.info("Written to %s", os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path)
    return path


def _check_fit(model: Classifier, data: ArrayData) -> None:
    network = model.hparams["network"]
    if tuple(network["in_shape"]) != data.in_shape:
        raise UserError(
            f"the model takes samples of shape {tuple(network['in_shape'])}, but this data has {data.in_shape}."
        )
    if data.num_classes > network["num_classes"]:
        raise UserError(f"the model knows {network['num_classes']} classes, but this data has {data.num_classes}.")
