"""A regression on tables, as somebody else would have it: dict batches, metrics with underscores."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset, random_split

Batch = dict[str, Tensor]


class Rows(Dataset[Batch]):
    def __init__(self, count: int, width: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(count, width, generator=generator)
        self.y = self.x @ torch.linspace(-1, 1, width) + 0.1 * torch.randn(count, generator=generator)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Batch:
        return {"features": self.x[index], "target": self.y[index]}


class Tables(LightningDataModule):
    def __init__(
        self, count: int = 240, width: int = 6, batch_size: int = 16, num_workers: int = 0, seed: int | None = None
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.count, self.width, self.batch_size, self.num_workers = count, width, batch_size, num_workers
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def setup(self, stage: str) -> None:
        rows = Rows(self.count, self.width)
        split = torch.Generator().manual_seed(0)
        self.train, self.val, self.test = random_split(rows, [0.6, 0.2, 0.2], split)

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(
            self.train, self.batch_size, shuffle=True, num_workers=self.num_workers, generator=self.generator
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.val, self.batch_size)

    def test_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.test, self.batch_size)

    def predict_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.test, self.batch_size)


class TableRegression(LightningModule):
    def __init__(self, width: int = 6, hidden: int = 16, dropout: float = 0.1, lr: float = 1e-2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1))

    def forward(self, batch: Batch) -> Tensor:
        return self.net(batch["features"]).squeeze(1)  # type: ignore[no-any-return]  # torch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = mse_loss(self(batch), batch["target"])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("val_rmse", mse_loss(self(batch), batch["target"]).sqrt(), prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("test_rmse", mse_loss(self(batch), batch["target"]).sqrt())

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self(batch)  # type: ignore[no-any-return]  # torch

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])
