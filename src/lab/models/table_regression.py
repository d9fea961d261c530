from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss

Batch = dict[str, Tensor]


class TableRegression(LightningModule):
    """Predicts a number from a row of a table; everything that it needs is its own: loss, metrics, optimizer."""

    def __init__(self, num_features: int, width: int = 64, dropout: float = 0.1, lr: float = 3e-3) -> None:
        super().__init__()
        self.lr = lr
        self.network = nn.Sequential(
            nn.Linear(num_features, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return a number a sample, of shape (samples,)."""
        return self.network(features).squeeze(1)  # type: ignore[no-any-return]  # torch types the call as Any

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the squared error, and log it."""
        loss = mse_loss(self(batch["features"]), batch["target"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the error in the target's own unit."""
        self.log("val_rmse", mse_loss(self(batch["features"]), batch["target"]).sqrt(), prog_bar=True, sync_dist=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the error in the target's own unit."""
        self.log("test_rmse", mse_loss(self(batch["features"]), batch["target"]).sqrt(), sync_dist=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the prediction of each sample, and the truth beside it."""
        return {"predicted": self(batch["features"]), "target": batch["target"]}

    def configure_optimizers(self) -> Any:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)
