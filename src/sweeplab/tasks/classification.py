from collections.abc import Mapping, Sequence
from math import log
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sweeplab.errors import UserError
from sweeplab.tasks.network_task import Batch, NetworkTask


class Classification(NetworkTask):
    """A network that learns to tell classes apart, on labels from 0; its outputs are logits (samples, classes).

    `train/loss` has the label smoothing that is minimised, `val/loss` and `test/loss` are without.
    """

    def __init__(self, *, label_smoothing: float = 0.0, **task: Any) -> None:
        super().__init__(**task)
        if not 0 <= label_smoothing < 1:
            raise UserError(f"task.label_smoothing={label_smoothing} must be at least 0 and below 1.")
        self.label_smoothing = label_smoothing

    def loss(self, outputs: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the cross entropy."""
        return cross_entropy(outputs, targets, label_smoothing=self.label_smoothing if training else 0.0)

    @torch.inference_mode()
    def probabilities(self, x: Tensor) -> Tensor:
        """Return probabilities of shape (samples, classes) for inputs of shape (samples, *shape), unscaled."""
        self.eval()
        return self(x.to(self.device)).softmax(dim=1)  # type: ignore[no-any-return]  # torch types the call as Any

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the probabilities of all classes, of shape (samples, classes), and the labels where they are known."""
        target = {"label": batch[1]} if len(batch) > 1 else {}
        return {"probabilities": self(batch[0]).softmax(dim=1), **target}

    def prediction_columns(self, predictions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the columns of a table of predictions: the class, how sure it is, all probabilities, the label."""
        probabilities = predictions["probabilities"]
        sure, predicted = probabilities.max(dim=1)
        each = {f"p{number}": probabilities[:, number] for number in range(probabilities.shape[1])}
        rest = {name: values for name, values in predictions.items() if name != "probabilities"}
        return {"predicted": predicted, "probability": sure, **each, **rest}

    @classmethod
    def ensemble(cls, members: Sequence[Self]) -> Self:
        """Return a classifier with the mean probabilities of its members, and the metrics of the first."""
        metrics = dict(members[0].test_metrics.metrics.items())
        return cls(network=_MeanProbabilities(members), optimizer=members[0].optimizer, metrics=metrics)


class _MeanProbabilities(nn.Module):
    """Classifiers as one: its logits are the logarithms of their mean probabilities."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, classes)."""
        logs = torch.stack([member(x).log_softmax(dim=1) for member in self.members])
        return logs.logsumexp(dim=0) - log(len(self.members))
