"""What a training step costs through the Trainer, against the bare PyTorch loop: `python bench/step.py`.

On MNIST-1D, on one thread of the CPU, as `python train.py model=... data=mnist1d` trains, metrics and callbacks on but
for early stopping and the console. Each epoch of the Trainer is followed by one of the bare loop in the same process,
with the same network, optimizer, batches and tensors, so that a machine whose speed changes changes both; `ratio` is
the median of the ratios of neighbours, behind three epochs to warm up. Ours scales its inputs in each step, the bare
loop does not. `between` is what lies between the last step of an epoch and the first one of the next: validation,
logging, checkpoints.

Measured are all batch sizes and models with `trainer=lean` and the CSV logger, and, at batch 128, `trainer=default`;
with the first model all loggers and two others: `usual` is the same training as most templates write it, with a
DataLoader that collates samples and metrics logged from every step; `alone` is Lightning with our batches and nothing
else, no metric, logger, callback or validation. W&B is offline. Each training is a process of its own, forked from one
that has imported everything.
"""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch
from engines import OURS, ROOT
from hydra import compose, initialize_config_dir
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from result import Row, machine, save, table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from lab.data.mnist1d import Mnist1D
from lab.models.cnn import CNN
from lab.models.mlp import MLP
from sweeplab.tasks.batches import Batches
from sweeplab.training.effective_config import effective_config
from sweeplab.training.loggers import closing_loggers
from sweeplab.training.run import Run

NETWORKS = {"cnn": CNN, "mlp": MLP}
BATCHES = [32, 128, 512, 1024]
LOGGERS = ["none", "csv", "tensorboard", "wandb"]
WARM_UP = 3
COLUMNS = ["model", "batch", "logger", "ms", "bare ms", "ratio", "quartiles", "between, ms"]


@dataclass(frozen=True)
class Case:
    """A training to measure; `way` is lean, default, usual or alone."""

    way: str
    model: str
    batch: int
    logger: str


def fresh(model: str) -> nn.Module:
    """Return a network for MNIST-1D."""
    return NETWORKS[model]([1, 40], 10)


def adam(network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer that conf/ has."""
    return torch.optim.Adam(network.parameters(), lr=1e-3)


class AgainstBareLoop(Callback):
    """Times the steps of each epoch, then as many of the bare loop, then what comes before the next epoch."""

    def __init__(self, model: str, batches: Batches) -> None:
        self.network = fresh(model)
        self.optimizer = adam(self.network)
        (self.x, self.y), self.batch = batches.tensors, batches.batch_size
        self.trainer_seconds: list[float] = []
        self.bare_seconds: list[float] = []
        self.between: list[float] = []
        self._start = self._end = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        if self._end:
            self.between.append(self._start - self._end)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Stop it behind the last step, before validation."""
        if trainer.is_last_batch:
            steps = int(trainer.num_training_batches)
            self.trainer_seconds.append((time.perf_counter() - self._start) / steps)
            self.bare_seconds.append(self.bare_epoch() / steps)
            self._end = time.perf_counter()

    def bare_epoch(self) -> float:
        """Return the seconds that an epoch of the bare loop takes."""
        with torch.enable_grad():
            start = time.perf_counter()
            order = torch.randperm(len(self.x))
            for index in order.split(self.batch):  # type: ignore[no-untyped-call]  # torch
                self.optimizer.zero_grad()
                loss = cross_entropy(self.network(self.x[index]), self.y[index])
                loss.backward()  # type: ignore[no-untyped-call]  # torch
                self.optimizer.step()
            return time.perf_counter() - start


class LoneModule(LightningModule):
    """The least that Lightning trains."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.network = fresh(model)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        return cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return adam(self)


class UsualModule(LoneModule):
    """The module that most templates have: every metric is an object, logged from every step."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
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


def ours(case: Case, _: Mnist1D, clock: AgainstBareLoop, epochs: int, folder: str) -> None:
    """Train as train.py does, callbacks and all, with one of its trainers."""
    choices = [
        f"model={case.model}",
        "data=mnist1d",
        f"trainer={case.way}",
        f"logger={case.logger}",
        f"folder={folder}",
    ]
    choices += ["trainer.accelerator=cpu"]
    choices += [f"data.batch_size={case.batch}", f"trainer.max_epochs={epochs}", f"root={ROOT}"]
    choices += [f"callbacks.{name}=null" for name in ("early_stopping", "progress", "summary")]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", choices)
    run = Run(effective_config(config, []))
    data, model = run.build("data"), run.build("model")
    trainer = run.build("trainer")
    trainer.callbacks.append(clock)
    with closing_loggers(run.loggers, lambda facts: None):
        trainer.fit(model, data)


def usual(case: Case, data: Mnist1D, clock: AgainstBareLoop, epochs: int, folder: str) -> None:
    """Train as the usual template does."""
    callbacks = [
        clock,
        ModelCheckpoint(dirpath=folder, monitor="val/acc", mode="max"),
        LearningRateMonitor(logging_interval="epoch"),
    ]
    train, val = (
        DataLoader(TensorDataset(*served(data, part).tensors), batch_size=case.batch, shuffle=part == "train")
        for part in ("train", "val")
    )
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=callbacks,
        logger=CSVLogger(folder),
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(UsualModule(case.model), train, val)


def alone(case: Case, data: Mnist1D, clock: AgainstBareLoop, epochs: int, folder: str) -> None:
    """Train with nothing but the Trainer."""
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[clock],
        logger=False,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(LoneModule(case.model), served(data, "train"))


WAYS = {"lean": ours, "default": ours, "usual": usual, "alone": alone}


def served(data: Mnist1D, part: str) -> Batches:
    """Return our batches of a part, as training gets them."""
    batches = data.train_dataloader() if part == "train" else data.val_dataloader()
    assert isinstance(batches, Batches)
    return batches


def measure(case: Case, epochs: int) -> Row:
    """Train, in a process that does nothing else; return the row of the table."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    data = Mnist1D(cache=str(ROOT / "data"), batch_size=case.batch, val_fraction=0.2)
    data.setup()
    clock = AgainstBareLoop(case.model, served(data, "train"))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ |= {"WANDB_MODE": "offline"} | {f"WANDB_{name}_DIR": folder for name in ("CACHE", "CONFIG")}
        WAYS[case.way](case, data, clock, epochs + WARM_UP, folder)
    pairs = list(zip(clock.trainer_seconds, clock.bare_seconds, strict=True))[WARM_UP:]
    ratios = [through / bare for through, bare in pairs]
    through, bare = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "model": case.model if case.way == "lean" else f"{case.model}, {case.way}",
        "batch": case.batch,
        "logger": case.logger,
        "ms": f"{through:.2f}",
        "bare ms": f"{bare:.2f}",
        "ratio": f"{middle:.2f}",
        "quartiles": f"{low:.2f} to {high:.2f}",
        "between, ms": f"{1000 * statistics.median(clock.between[WARM_UP:]):.0f}",
        "pairs": [[1000 * seconds for seconds in pair] for pair in pairs],
    }


def apart(case: Case, epochs: int) -> Row:
    """Measure in a process of its own."""
    print(case, file=sys.stderr, flush=True)
    with ProcessPoolExecutor(1, get_context("fork")) as executor:
        return executor.submit(measure, case, epochs).result()


def star(models: list[str], batches: list[int], loggers: list[str]) -> list[Case]:
    """Return what is measured: one thing changes at a time, but for models and batch sizes."""
    model, batch = models[0], 128 if 128 in batches else batches[0]
    cases = [Case("lean", model, size, "csv") for model in models for size in batches]
    cases += [Case("lean", model, batch, logger) for logger in loggers]
    cases += [Case("default", each, batch, "csv") for each in models]
    cases += [Case("usual", model, batch, "csv"), Case("alone", model, batch, "none")]
    return list(dict.fromkeys(cases))


def main() -> None:
    """Print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30, help="pairs of epochs, two at least")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--loggers", nargs="*", choices=LOGGERS, default=LOGGERS)
    options = parser.parse_args()
    begun = machine()
    torch.set_num_threads(1)  # before the processes are forked: torch's threads would not come along
    rows = [apart(case, options.epochs) for case in star(options.models, options.batches, options.loggers)]
    print(table(rows, COLUMNS))
    save("step", rows, begun, [OURS])


if __name__ == "__main__":
    main()
