"""Modules and data that keep a resume from being exact where anything is forgotten."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset, RandomSampler, WeightedRandomSampler
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score

from tests.foreign.tables import Batch, TableRegression, Tables


class ManyMetrics(TableRegression):
    """Logs in every way that Lightning has."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        metrics = MetricCollection({"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "r2": R2Score()})
        self.of_training, self.of_validation = metrics.clone(prefix="train_"), metrics.clone(prefix="val_")
        self.forever = MeanMetric()  # nobody resets it
        self.begin = MeanMetric()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        said = self(batch)
        loss = mse_loss(said, batch["target"])
        self.of_training.update(said, batch["target"])
        self.forever.update(loss)
        self.log_dict(self.of_training, on_step=False, on_epoch=True)
        self.log("both", loss, on_step=True, on_epoch=True)
        for reduce in ("min", "max", "sum"):
            self.log(f"loss_{reduce}", loss, reduce_fx=reduce, on_step=False, on_epoch=True)
        if batch_idx % 2 == 0:
            self.log("sometimes", loss, on_step=False, on_epoch=True)
        if batch_idx == 0:
            self.log("at_first", loss, on_step=False, on_epoch=True)
            self.begin.update(loss)
            self.log("object_at_first", self.begin, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.of_validation.update(self(batch), batch["target"])
        self.log("val_rmse", mse_loss(self(batch), batch["target"]).sqrt())
        self.log_dict(self.of_validation)

    def on_train_epoch_end(self) -> None:
        self.log("mean_of_all_steps", self.forever.compute())


class Drawing(TableRegression):
    """Draws numbers as a training begins."""

    def on_train_start(self) -> None:
        torch.rand(3)


class Draws(Callback):
    """Draws numbers as each epoch begins."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        torch.rand(2)


class TwoLoaders(Tables):
    """Two loaders at once, one of them shorter."""

    def train_dataloader(self) -> Any:
        first = DataLoader(self.train, self.batch_size, shuffle=True)
        second = DataLoader(self.val, self.batch_size, shuffle=True, generator=torch.Generator().manual_seed(2))
        return CombinedLoader({"first": first, "second": second}, "max_size_cycle")


class OfTwoLoaders(TableRegression):
    """Trained by both."""

    def training_step(self, batch: dict[str, Batch], batch_idx: int) -> Tensor:  # type: ignore[override]  # of two
        return super().training_step(batch["first"], batch_idx) + super().training_step(batch["second"], batch_idx)


class Sampled(Tables):
    """A sampler with a generator of its own, and workers that draw."""

    def train_dataloader(self) -> Any:
        sampler: Any = RandomSampler(self.train, generator=torch.Generator().manual_seed(5))
        return DataLoader(Noisy(self.train), self.batch_size, sampler=sampler, num_workers=self.num_workers)


class Weighted(Tables):
    """Samples by weight, from the generator of all."""

    def train_dataloader(self) -> Any:
        sampler = WeightedRandomSampler([1.0, 2.0] * (len(self.train) // 2), len(self.train))
        return DataLoader(self.train, self.batch_size, sampler=sampler)


class Noisy(Dataset[Batch]):
    """Samples with noise, drawn as they are read."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        row = self.rows[index]
        return {**row, "features": row["features"] + 0.1 * torch.randn(6)}
