"""What one training step costs through the Trainer, against the bare PyTorch loop: `python bench/step.py`.

The CNN on MNIST-1D at batch 128, one thread, metrics and the CSV logger on. Each epoch of the Trainer is followed by
one of the bare loop in the same process, so that a machine whose speed changes changes both; the median of the ratios
of neighbours is what counts. `usual` is the same training written as most templates write it: a DataLoader that
collates samples, metrics logged from every step.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from lab.assemble import assemble_loggers, assemble_model, assemble_trainer
from lab.data.mnist1d import Mnist1D
from lab.models.cnn import CNN
from lab.train import train
from sweeplab.training.objective import Objective

CONF = Path(__file__).resolve().parent.parent / "conf"
BATCH = 128
WARM_UP = 3


class AgainstBareLoop(Callback):
    """Times the steps of each epoch, then as many of the bare loop."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y
        self.network = CNN([1, 40], 10)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.trainer_seconds: list[float] = []
        self.bare_seconds: list[float] = []
        self._start = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Stop it behind the last step, before validation."""
        if trainer.is_last_batch:
            steps = int(trainer.num_training_batches)
            self.trainer_seconds.append((time.perf_counter() - self._start) / steps)
            self.bare_seconds.append(self.bare_epoch() / steps)

    def bare_epoch(self) -> float:
        """Return the seconds that an epoch of the bare loop takes."""
        with torch.enable_grad():
            start = time.perf_counter()
            order = torch.randperm(len(self.x))
            for index in order.split(BATCH):  # type: ignore[no-untyped-call]  # torch
                self.optimizer.zero_grad()
                loss = cross_entropy(self.network(self.x[index]), self.y[index])
                loss.backward()  # type: ignore[no-untyped-call]  # torch
                self.optimizer.step()
            return time.perf_counter() - start


class UsualModule(LightningModule):
    """The module that most templates have: every metric is an object, logged from every step."""

    def __init__(self) -> None:
        super().__init__()
        self.network = CNN([1, 40], 10)
        self.train_acc, self.val_acc = MulticlassAccuracy(10), MulticlassAccuracy(10)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Log loss and accuracy."""
        logits = self.network(batch[0])
        loss = cross_entropy(logits, batch[1])
        self.train_acc(logits, batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy."""
        self.val_acc(self.network(batch[0]), batch[1])
        self.log("val/acc", self.val_acc, on_step=False, on_epoch=True, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def ours(data: Mnist1D, clock: AgainstBareLoop, epochs: int, folder: str) -> None:
    """Train as `python train.py model=cnn data=mnist1d` does, callbacks and all."""
    choices = ["model=cnn", "data=mnist1d", "trainer=cpu", "callbacks.early_stopping=null", "callbacks.progress=null"]
    choices += ["callbacks.summary=null"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [*choices, f"trainer.max_epochs={epochs}", f"folder={folder}", "root=."])
    trainer = assemble_trainer(config, assemble_loggers(config))
    trainer.callbacks.append(clock)  # type: ignore[attr-defined]  # set by one of its connectors
    train(assemble_model(config, data), data, trainer, Objective("val/acc", "max"), test=False)


def usual(data: Mnist1D, clock: AgainstBareLoop, epochs: int, folder: str) -> None:
    """Train as the usual template does."""
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[
            clock,
            ModelCheckpoint(dirpath=folder, monitor="val/acc", mode="max"),
            LearningRateMonitor(logging_interval="epoch"),
        ],
        logger=CSVLogger(folder),
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    train, val = (
        DataLoader(TensorDataset(*data.parts[part]), batch_size=BATCH, shuffle=part == "train")
        for part in ("train", "val")
    )
    trainer.fit(UsualModule(), train, val)


def main() -> None:
    """Print milliseconds a step, and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    epochs = parser.parse_args().epochs
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    data = Mnist1D(cache=str(CONF.parent / "data"), batch_size=BATCH, val_fraction=0.2)
    data.setup()
    for name, train_as in (("ours", ours), ("usual", usual)):
        clock = AgainstBareLoop(*data.parts["train"])
        with tempfile.TemporaryDirectory() as folder:
            train_as(data, clock, epochs + WARM_UP, folder)
        pairs = list(zip(clock.trainer_seconds, clock.bare_seconds, strict=True))[WARM_UP:]
        ratios = sorted(through / bare for through, bare in pairs)
        through, bare = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
        quartiles = statistics.quantiles(ratios, n=4)
        print(
            f"{name:6} {through:.2f} ms a step through the Trainer, {bare:.2f} ms bare: ratio {quartiles[1]:.2f} "
            f"(quartiles {quartiles[0]:.2f} to {quartiles[2]:.2f}, {len(ratios)} pairs of epochs)"
        )


if __name__ == "__main__":
    main()
