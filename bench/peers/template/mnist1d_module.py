"""The usual module: a metric object for each part, logged from every step, and the best one so far."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MaxMetric, MeanMetric
from torchmetrics.classification import MulticlassAccuracy

Batch = tuple[Tensor, Tensor]


class Mnist1DModule(LightningModule):
    """A classifier of MNIST-1D."""

    def __init__(self, net: nn.Module, optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False, ignore=["net"])
        self.net = net
        self.criterion = nn.CrossEntropyLoss()
        self.train_acc, self.val_acc, self.test_acc = (MulticlassAccuracy(10, average="micro") for _ in range(3))
        self.train_loss, self.val_loss, self.test_loss = (MeanMetric() for _ in range(3))
        self.val_acc_best = MaxMetric()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.net(x)

    def on_train_start(self) -> None:
        """Forget the sanity check's validation."""
        self.val_loss.reset()
        self.val_acc.reset()
        self.val_acc_best.reset()

    def model_step(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return loss, predictions and labels."""
        x, y = batch
        logits = self.forward(x)
        return self.criterion(logits, y), logits.argmax(dim=1), y

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Log loss and accuracy; return the loss."""
        return self._logged("train", batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and accuracy."""
        self._logged("val", batch)

    def on_validation_epoch_end(self) -> None:
        """Log the best accuracy so far."""
        self.val_acc_best(self.val_acc.compute())
        self.log("val/acc_best", self.val_acc_best.compute(), sync_dist=True, prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and accuracy."""
        self._logged("test", batch)

    def configure_optimizers(self) -> dict[str, Any]:
        """Return the optimizer."""
        return {"optimizer": self.hparams.optimizer(self.parameters())}

    def _logged(self, stage: str, batch: Batch) -> Tensor:
        loss, predictions, labels = self.model_step(batch)
        mean, accuracy = getattr(self, f"{stage}_loss"), getattr(self, f"{stage}_acc")
        mean(loss)
        accuracy(predictions, labels)
        self.log(f"{stage}/loss", mean, on_step=False, on_epoch=True, prog_bar=True)
        self.log(f"{stage}/acc", accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss
