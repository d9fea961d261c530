"""Trained models that answer together: the mean of their probabilities."""

import json
import logging
from collections.abc import Sequence
from math import log as logarithm
from pathlib import Path

import torch
from torch import Tensor, nn

from lab.check import check_ensemble
from lab.evaluate import load_classifier, load_data, measure, new_folder, predict, write_metrics, write_predictions
from lab.models.classifier import Classifier
from sweeplab.errors import UserError
from sweeplab.runs.files import write_text
from sweeplab.training.quiet import quiet

log = logging.getLogger(__name__)


class Average(nn.Module):
    """Networks as one: its logits are the logarithms of their mean probabilities."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, classes)."""
        logs = torch.stack([network(x).log_softmax(dim=1) for network in self.networks])
        return logs.logsumexp(dim=0) - logarithm(len(self.networks))


def evaluate_ensemble(
    study: Path, runs: Sequence[Path], stage: str = "test", overrides: Sequence[str] = (), conf: Path | None = None
) -> Path:
    """Test, validate or predict with the mean probabilities of several runs; return the file that was written.

    The results go to a new folder below `<study>/eval`: `metrics.json` with the metrics of the ensemble and, by its
    folder, of each of its members, or `predictions.csv`, and `members.json` beside it. Metrics, trainer and batch size
    are those of the first run.

    Raises:
        UserError: a run cannot be evaluated, or their data differs.
    """
    study, names = study.resolve(), [str(run.resolve().relative_to(study.resolve())) for run in runs]
    checked = check_ensemble(runs, stage, overrides, conf)
    config, checkpoints = checked[0][0], [checkpoint for _, checkpoint in checked]
    log.info("%s with the mean of %s", stage, ", ".join(names))
    folder = new_folder(study, stage)
    with quiet():
        members = [load_classifier(checkpoint) for checkpoint in checkpoints]
        for run, member in zip(runs, members, strict=True):
            if member.scale != members[0].scale:
                raise UserError(f"{runs[0]} and {run} were trained on different data: it was scaled differently.")
        together = ensemble(members)
        data = load_data(config, members[0])
        if stage == "predict":
            write_text(folder / "members.json", json.dumps(names) + "\n")
            return write_predictions(folder, predict(config, together, data), data)
        own = {name: measure(config, member, data, stage) for name, member in zip(names, members, strict=True)}
        metrics = measure(config, together, data, stage, charts=folder)
        for name, value in metrics.items():
            alone = sorted(each[name] for each in own.values())
            log.info("%s %.4g; its members alone %.4g to %.4g", name, value, alone[0], alone[-1])
        return write_metrics(folder, metrics | {"members": own})


def ensemble(members: Sequence[Classifier]) -> Classifier:
    """Return a classifier that says what its members say on average, and is judged by the metrics of the first."""
    first = members[0]
    network = Average([member.network for member in members])
    together = Classifier(network, first.optimizer, metrics=first.hparams["metrics"], scale=first.scale)
    return together.eval()
