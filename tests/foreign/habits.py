"""Modules with habits that Lightning allows, and that are easily forgotten."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import nn

from tests.foreign.tables import Batch, Rows, TableRegression


class SkipsSanityCheck(TableRegression):
    """Logs nothing in the sanity check."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if not self.trainer.sanity_checking:
            self.log(f"{'val'}.error", (self(batch) - batch["target"]).abs().mean())


class MadeLate(TableRegression):
    """Makes its layers in `configure_model`."""

    def __init__(self, width: int = 6, hidden: int = 16, lr: float = 1e-2) -> None:
        super().__init__(width, hidden, 0.0, lr)
        self.width = width
        self.net: Any = None

    def configure_model(self) -> None:
        if self.net is None:
            self.net = nn.Linear(self.width, 1)


class Frozen(TableRegression):
    """Leaves what is not trained out of its checkpoints."""

    def __init__(self, width: int = 6, hidden: int = 16, lr: float = 1e-2) -> None:
        super().__init__(width, hidden, 0.0, lr)
        self.strict_loading = False
        self.net[0].requires_grad_(False)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if "net.0" not in name}


class Lazy(TableRegression):
    """Learns the width of its input from the first batch."""

    def __init__(self, width: int = 6, hidden: int = 16, lr: float = 1e-2) -> None:
        super().__init__(width, hidden, 0.0, lr)
        self.net = nn.Sequential(nn.LazyLinear(hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def setup(self, stage: str) -> None:
        self.net(torch.zeros(1, self.hparams["width"]))


class Gap(Callback):
    """Logs a number of its own when an epoch ends."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("gap", torch.tensor(1.0 / (1 + trainer.current_epoch)))


def from_datasets(batch_size: int = 16, num_workers: int = 0) -> LightningDataModule:
    """Data that Lightning makes of data sets."""
    train, val, test = (Rows(64, 6) for _ in range(3))
    return LightningDataModule.from_datasets(train, val, test, batch_size=batch_size, num_workers=num_workers)
