"""Trainings that end as their seed says."""

import os
import signal
import time
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from sweeplab.sweep.trial import current

GOOD, RAISES, KILLED, HANGS, PRUNED, KILLED_ONCE = range(6)


class Ends(Callback):
    """Ends the training of a trial in its second epoch; `mark` remembers that one was killed before."""

    def __init__(self, seed: int, mark: str) -> None:
        self.seed, self.mark = seed, Path(mark)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.seed == PRUNED:  # learns nothing, which the pruner sees
            trainer.optimizers[0].param_groups[0]["lr"] = 0.0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trial = current()
        if trainer.current_epoch != 1 or trial is None:
            return
        if self.seed == RAISES:
            raise RuntimeError("no good")
        if self.seed == HANGS and trial.attempt == 0:
            time.sleep(1000)
        if self.seed == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seed == KILLED_ONCE and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
