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

    The loss is the cross entropy: `train/loss` with the label smoothing and the `class_weights` that are minimised,
    `val/loss` and `test/loss` without, so that runs compare. A `criterion`, a function of logits and labels, takes its
    place everywhere.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        criterion: nn.Module | None = None,
        **task: Any,
    ) -> None:
        super().__init__(**task)
        if not 0 <= label_smoothing < 1:
            raise UserError(f"task.label_smoothing={label_smoothing} must be at least 0 and below 1.")
        if criterion is not None and (label_smoothing or class_weights):
            raise UserError(
                "task.label_smoothing and task.class_weights are of the cross entropy: give the criterion its own."
            )
        self.label_smoothing, self.criterion = label_smoothing, criterion
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def loss(self, outputs: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the cross entropy, or what the criterion says."""
        if self.criterion is not None:
            return self.criterion(outputs, targets)  # type: ignore[no-any-return]  # torch types the call as Any
        if not training:
            return cross_entropy(outputs, targets)
        if self.class_weights is not None and len(self.class_weights) != outputs.shape[1]:
            raise UserError(
                f"task.class_weights has {len(self.class_weights)} weights, and there are {outputs.shape[1]} classes."
            )
        return cross_entropy(outputs, targets, self.class_weights, label_smoothing=self.label_smoothing)

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
        first = members[0]
        metrics = dict(first.test_metrics.metrics.items())
        network = _MeanProbabilities(members)
        return cls(network=network, optimizer=first.optimizer, metrics=metrics, criterion=first.criterion)


class _MeanProbabilities(nn.Module):
    """Classifiers as one: its logits are the logarithms of their mean probabilities."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, classes)."""
        logs = torch.stack([member(x).log_softmax(dim=1) for member in self.members])
        return logs.logsumexp(dim=0) - log(len(self.members))
