from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torchmetrics.regression import MeanSquaredError

Batch = dict[str, Tensor]


class TableRegression(LightningModule):
    """Predicts a number from a row of numbers; mean and deviation of the target put the output into its unit."""

    def __init__(
        self, num_features: int, target_mean: float, target_std: float, width: int = 64, lr: float = 3e-3
    ) -> None:
        super().__init__()
        self.mean, self.std, self.lr = target_mean, target_std, lr
        self.network = nn.Sequential(nn.Linear(num_features, width), nn.ReLU(), nn.Linear(width, 1))
        self.val_rmse, self.test_rmse = MeanSquaredError(squared=False), MeanSquaredError(squared=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return predictions of shape (samples,) for features of shape (samples, features)."""
        return self.mean + self.std * self.network(features).squeeze(1)  # type: ignore[no-any-return]  # torch types it as Any

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the squared error as a share of the target's variance."""
        loss = mse_loss(self(batch["features"]), batch["target"]) / self.std**2
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the root mean squared error, over the whole part."""
        self.val_rmse(self(batch["features"]), batch["target"])
        self.log("val_rmse", self.val_rmse)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the same error of the test part."""
        self.test_rmse(self(batch["features"]), batch["target"])
        self.log("test_rmse", self.test_rmse)

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        """Return the predictions, with the true values beside them."""
        return {"predicted": self(batch["features"]), "target": batch["target"]}

    def configure_optimizers(self) -> Any:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)
