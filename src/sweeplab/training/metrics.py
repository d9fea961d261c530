"""The loss and the metrics of an epoch."""

from collections.abc import Iterable, Mapping

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric


class EpochMetrics(nn.Module):
    """Takes in every batch of an epoch, and gives the mean loss and each metric over all of it.

    A few batches are held back and handed to the metrics together: on small batches an update costs as much as a
    layer of the network, whatever its size.
    """

    HELD_BACK = 8

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        super().__init__()
        self.metrics = nn.ModuleDict(metrics)
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []
        self._loss: Tensor | float = 0.0
        self._samples = 0

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Take in a batch: its mean loss, of shape (), its logits and labels."""
        self._batches.append((loss.detach(), logits.detach(), labels))
        if len(self._batches) == self.HELD_BACK:
            self._take_in()

    def log(self, module: LightningModule, stage: str) -> None:
        """Log everything as `<stage>/loss` and `<stage>/<metric>`, over all processes, and begin anew."""
        self._take_in()
        sums = torch.tensor([float(self._loss), float(self._samples)], device=module.device)
        sums = module.trainer.strategy.reduce(sums, reduce_op="sum")
        self._loss, self._samples = 0.0, 0
        module.log(f"{stage}/loss", sums[0] / sums[1], prog_bar=True, sync_dist=True)
        for name, metric in self._named():
            module.log(f"{stage}/{name}", metric, prog_bar=True)

    def _named(self) -> Iterable[tuple[str, Metric]]:
        return self.metrics.items()  # type: ignore[return-value]  # a ModuleDict does not say what it holds

    def _take_in(self) -> None:
        if not self._batches:
            return
        losses, logits, labels = zip(*self._batches, strict=True)
        self._batches = []
        sizes = torch.tensor([len(part) for part in labels], device=losses[0].device)
        precise = torch.float32 if losses[0].device.type == "mps" else torch.float64  # all that Apple's GPUs have
        self._loss += (torch.stack(losses) * sizes).sum(dtype=precise)
        self._samples += sum(len(part) for part in labels)
        if self.metrics:
            every_logits, every_label = torch.cat(logits), torch.cat(labels)
            for _, metric in self._named():
                metric.update(every_logits, every_label)
