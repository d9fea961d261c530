"""The same training through Lightning, with a logger or none."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from network import BATCH, cnn, parts
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class Network(LightningModule):
    """The CNN, its loss and its accuracy."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = cnn(int(config["channels"]), int(config["depth"]), float(config["dropout"]))
        self.lr = float(config["lr"])

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss, and log its mean."""
        loss = cross_entropy(self.network(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy."""
        self.log("val/acc", (self.network(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def value(config: Mapping[str, Any], log_to_wandb: bool) -> float:
    """Train; return the last validation accuracy."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(int(config["seed"]))
    data = parts()
    train = DataLoader(TensorDataset(*data["train"]), BATCH, shuffle=True)
    val = DataLoader(TensorDataset(*data["val"]), 800)
    logger = WandbLogger(project="bench", offline=True, save_dir=os.environ["BENCH_RECORDS"]) if log_to_wandb else False
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=int(config["epochs"]),
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Network(config), train, val)
    if log_to_wandb:
        import wandb

        wandb.finish()
    return float(trainer.callback_metrics["val/acc"])
