"""A callback and a logger derived from ours, and a callback that notes which samples a process saw."""

import json
import logging
import os
import random
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sweeplab.callbacks import Pruning
from sweeplab.loggers import WandbRun
from sweeplab.sweep.trial import current
from tests.sweeplab.sweep.ray_cluster import raylet_of


class Careful(Pruning):
    """Prunes as ours does."""


class TaggedRun(WandbRun):
    """Records as ours does, under a tag."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{**arguments, "tags": ["mine"]})


class Cut(Callback):
    """Kills the first attempt of each trial behind a step, and stops its later ones not at all."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        trial = current()
        if trial is not None and trial.attempt == 0 and trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class Spoils(Callback):
    """Leaves another trial's generators, settings and loggers behind when its test is over."""

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "test":
            Path(trainer.default_root_dir, "process").write_text(str(os.getpid()))
            torch.set_default_dtype(torch.float64)
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.set_num_threads(2)
            for seed in (torch.manual_seed, np.random.seed, random.seed):
                seed(99)
            os.environ["PL_GLOBAL_SEED"] = "99"
            warnings.simplefilter("ignore")
            logging.disable()


class LosesNode(Callback):
    """Kills the node of the cluster under the first attempt of trial 0, behind a step: Dask's worker, or Ray's."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        trial = current()
        if trial is not None and (trial.number, trial.attempt) == (0, 0) and trainer.global_step == self.step:
            for process in psutil.Process().parents():
                if "dask_worker" in " ".join(process.cmdline()):
                    process.kill()
                    break
                if raylet := raylet_of(process):
                    psutil.Process(raylet).kill()
                    break
            time.sleep(60)  # until the host ends this process


class Waits(Callback):
    """Lets the first two attempts of trial 0 wait for their end, the second 4 steps behind the first."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        trial = current()
        steps = {} if trial is None or trial.number > 0 else {0: self.step, 1: self.step + 4}
        if trial is not None and trainer.global_step == steps.get(trial.attempt):
            time.sleep(1000)


class Seen(Callback):
    """Writes what a process was trained on in its first epoch, a line a batch."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 0:
            first = batch["features"][:, 0] if isinstance(batch, dict) else torch.as_tensor(batch)[:, 1]
            with (self.folder / f"seen-{trainer.global_rank}.jsonl").open("a") as file:
                file.write(json.dumps([round(float(value), 5) for value in first]) + os.linesep)
