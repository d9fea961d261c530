"""What happens to W&B while a training goes on, as callbacks."""

import contextlib
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar

import psutil
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger


class At(Callback):
    """Calls what a test has put into `todo`, once, at a step."""

    todo: ClassVar[Callable[[], None]]

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if trainer.global_step == self.step:
            type(self).todo()


class OpensTooMany(Callback):
    """Opens files until the process may open no more, as a program does that never closes them."""

    def __init__(self) -> None:
        self.files: list[IO[bytes]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        with contextlib.suppress(OSError):
            while True:
                self.files.append(Path(os.devnull).open("rb"))  # noqa: SIM115 - they stay open


class LogsItself(Callback):
    """Talks to the run without asking its logger, as many callbacks do."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        assert isinstance(trainer.logger, WandbLogger)
        trainer.logger.experiment.log({"mine": trainer.global_step})


def kill_service() -> None:
    """Kill the service of this process, as the system does when memory is short."""
    for child in psutil.Process().children(recursive=True):
        if "wandb-core" in child.name():
            child.kill()
            child.wait()
