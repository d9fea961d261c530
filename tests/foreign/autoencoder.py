"""Self-supervision: the validation step returns nothing, and logs nothing but through a metric object."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, get_worker_info
from torchmetrics import MeanMetric


class Stream(IterableDataset[Tensor]):
    """Numbers that are made as they are asked for; each worker, and each process, has its own."""

    def __init__(self, count: int, width: int, rank: int = 0, ranks: int = 1) -> None:
        self.count, self.width, self.rank, self.ranks = count, width, rank, ranks

    def __iter__(self) -> Any:
        worker = get_worker_info()
        part, parts = (worker.id, worker.num_workers) if worker else (0, 1)
        first, step = self.rank * parts + part, self.ranks * parts
        for number in range(first, self.count, step):
            yield torch.sin(torch.arange(self.width) * (1 + number % 7) + number)


class Waves(LightningDataModule):
    """A stream to train on, with workers, and two validation sets."""

    def __init__(self, count: int = 256, width: int = 16, batch_size: int = 16, num_workers: int = 0) -> None:
        super().__init__()
        self.count, self.width, self.batch_size, self.num_workers = count, width, batch_size, num_workers

    def train_dataloader(self) -> Any:
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return DataLoader(Stream(self.count, self.width, rank, ranks), self.batch_size, num_workers=self.num_workers)

    def val_dataloader(self) -> Any:
        parts = (torch.stack(list(Stream(32, self.width))), torch.ones(16, self.width))
        return [DataLoader(TensorDataset(part), self.batch_size) for part in parts]

    def predict_dataloader(self) -> Any:
        return self.val_dataloader()


class Autoencoder(LightningModule):
    def __init__(self, width: int = 16, code: int = 3, lr: float = 1e-2) -> None:
        super().__init__()
        self.lr = lr
        self.encoder, self.decoder = nn.Linear(width, code), nn.Linear(code, width)
        self.first_error, self.second_error = MeanMetric(), MeanMetric()
        self.train_error = MeanMetric()

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(torch.tanh(self.encoder(x)))  # type: ignore[no-any-return]  # torch

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = mse_loss(self(batch), batch)
        self.train_error(loss)
        self.log("reconstruction/train", self.train_error, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        metric = self.second_error if dataloader_idx else self.first_error
        metric.update(mse_loss(self(batch[0]), batch[0]))
        self.log("reconstruction", metric)

    def predict_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        return torch.tanh(self.encoder(batch[0]))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Silent(Autoencoder):
    """An autoencoder whose validation neither returns nor logs anything."""

    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        self(batch[0])
