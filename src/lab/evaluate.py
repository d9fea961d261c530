"""A trained model, looked at again from its folder alone."""

import csv
import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
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
    with quiet():
        return _evaluate(config, run, stage, checkpoint)


def _evaluate(config: DictConfig, run: Path, stage: str, checkpoint: Path) -> Path:
    seed_everything(config.seed, workers=True, verbose=False)
    model = Classifier.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    data: ArrayData = build(config.data, "data")
    data.setup()
    _check_fit(model, data)
    # Several processes would each write a share of the samples, and none the whole.
    config.trainer = {key: value for key, value in config.trainer.items() if key not in ("strategy", "num_nodes")}
    OmegaConf.update(config, "trainer.devices", 1, force_add=True)
    config.callbacks = {name: entry for name, entry in config.callbacks.items() if name in ("progress", "charts")}
    folder = run / "eval" / f"{stage}-{datetime.now():%Y-%m-%d-%H-%M-%S-%f}"
    if config.callbacks.get("charts"):
        config.callbacks.charts.folder = str(folder)
    trainer = assemble_trainer(config, loggers=[])
    if stage == "predict":
        batches = trainer.predict(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        assert batches is not None
        path = folder / "predictions.csv"
        write_predictions(path, torch.cat([batch for batch in batches if isinstance(batch, Tensor)]), _labels(data))
    else:
        look = trainer.test if stage == "test" else trainer.validate
        metrics: Any = look(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)[0]
        path = folder / "metrics.json"
        write_text(path, json.dumps(dict(metrics), indent=2) + "\n")
    log.info("Written to %s", os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path)
    return path


def write_predictions(path: Path, probabilities: Tensor, labels: Tensor | None) -> None:
    """Write a line a sample: its number, the predicted class, how sure the model is, all probabilities, the truth."""
    sure, predicted = probabilities.max(dim=1)
    columns = ["sample", "predicted", "probability", *(f"p{number}" for number in range(probabilities.shape[1]))]
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, *(["label"] if labels is not None else [])])
        for sample in range(len(probabilities)):
            row = [sample, int(predicted[sample]), *(f"{p:.6f}" for p in (sure[sample], *probabilities[sample]))]
            writer.writerow([*row, *([int(labels[sample])] if labels is not None else [])])


def _labels(data: ArrayData) -> Tensor | None:
    return None if "predict" in data.parts else data.parts["test"][1]


def _check_fit(model: Classifier, data: ArrayData) -> None:
    network = model.hparams["network"]
    if tuple(network["in_shape"]) != data.in_shape:
        raise UserError(
            f"the model takes samples of shape {tuple(network['in_shape'])}, but this data has {data.in_shape}."
        )
    if data.num_classes > network["num_classes"]:
        raise UserError(f"the model knows {network['num_classes']} classes, but this data has {data.num_classes}.")
