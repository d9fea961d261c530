from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from sweeplab.tasks.network_task import Batch, NetworkTask


class Regression(NetworkTask):
    """A network that learns numbers: one a sample, or a row of them, as the targets have it.

    `criterion` is the loss, a function of outputs and targets.
    """

    def __init__(self, *, criterion: nn.Module | None = None, **task: Any) -> None:
        super().__init__(**task)
        self.criterion = criterion or nn.MSELoss()

    def forward(self, x: Tensor) -> Tensor:
        """Return the predicted numbers, of shape (samples,) or (samples, numbers)."""
        return _flat(super().forward(x))

    def loss(self, outputs: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the loss of the criterion."""
        return self.criterion(outputs, targets)  # type: ignore[no-any-return]  # torch types the call as Any

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the predicted numbers, and the true ones where they are known."""
        target = {"target": _flat(batch[1])} if len(batch) > 1 else {}
        return {"predicted": self(batch[0]), **target}

    def _step(self, stage: str, batch: Batch) -> tuple[Tensor, Tensor]:
        return super()._step(stage, (batch[0], _flat(batch[1])))

    @classmethod
    def ensemble(cls, members: Sequence[Self]) -> Self:
        """Return a model with the mean outputs of its members, and the metrics of the first."""
        metrics = dict(members[0].test_metrics.metrics.items())
        first = members[0]
        return cls(network=_Mean(members), optimizer=first.optimizer, metrics=metrics, criterion=first.criterion)


class _Mean(nn.Module):
    """Models as one: the mean of their outputs."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean, of the shape of each."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


def _flat(numbers: Tensor) -> Tensor:
    """Return a single column of numbers as a row a sample, so that outputs and targets have one shape."""
    return numbers.squeeze(1) if numbers.dim() == 2 and numbers.shape[1] == 1 else numbers
