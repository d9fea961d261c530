"""The loss and the metrics of an epoch, for any LightningModule that wants them cheap."""

from collections.abc import Iterable, Mapping

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric

from sweeplab.errors import UserError


class EpochMetrics(nn.Module):
    """Takes in every batch of an epoch, and logs the mean loss and each metric over all of it.

    A few batches are held back and handed to the metrics together: on small batches an update costs as much as a
    layer of the network, whatever its size. A checkpoint holds none back.
    """

    HELD_BACK = 8

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        super().__init__()
        self.loss = MeanLoss()
        self.metrics = nn.ModuleDict(metrics)
        self._are_numbers = False
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []
        self.register_state_dict_pre_hook(lambda *_: self._update_metrics())  # type: ignore[no-untyped-call]  # torch

    def update(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch: its mean loss, of shape (), its outputs and targets, a row a sample."""
        self._batches.append((loss.detach(), outputs.detach(), targets))
        if len(self._batches) == self.HELD_BACK:
            self._update_metrics()

    def log(self, module: LightningModule, stage: str) -> None:
        """Log everything as `<stage>/loss` and `<stage>/<metric>`, over all processes; Lightning then begins anew."""
        self._update_metrics()
        if not self._are_numbers:
            self._refuse_arrays(stage)
        for name, metric in [("loss", self.loss), *self._named()]:
            module.log(f"{stage}/{name}", metric, prog_bar=True)

    def _refuse_arrays(self, stage: str) -> None:
        """Look once whether all metrics are single numbers, before Lightning prints what is none."""
        self._are_numbers = True
        for name, metric in self._named():
            value = metric.compute() if metric.update_called else None
            if isinstance(value, Tensor) and value.numel() != 1:
                raise UserError(
                    f"{stage}/{name} is not one number but an array of shape {tuple(value.shape)}; task.metrics takes "
                    f"metrics that are one, perhaps task.metrics.{name}.average=macro."
                )

    def _named(self) -> Iterable[tuple[str, Metric]]:
        return self.metrics.items()  # type: ignore[return-value]  # a ModuleDict does not say what it holds

    def _update_metrics(self) -> None:
        if not self._batches:
            return
        losses, outputs, targets = zip(*self._batches, strict=True)
        self._batches = []
        self.loss.update(torch.stack(losses), torch.tensor([len(part) for part in targets], device=losses[0].device))
        if self.metrics:
            every_output, every_target = torch.cat(outputs), torch.cat(targets)
            for _, metric in self._named():
                metric.update(every_output, every_target)


class MeanLoss(Metric):
    """The mean over all samples of losses that are means over batches, summed in double precision if it can."""

    full_state_update = False
    total: Tensor
    samples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("samples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, losses: Tensor, sizes: Tensor) -> None:
        """Take in the losses of batches and the numbers of their samples, each of shape (batches,)."""
        precise = torch.float32 if losses.device.type == "mps" else torch.float64  # all that Apple's GPUs have
        self.total = self.total + (losses * sizes).sum(dtype=precise)
        self.samples = self.samples + sizes.sum()

    def compute(self) -> Tensor:
        """Return the mean, of shape ()."""
        return (self.total / self.samples).float()
