import os
import signal

from lightning.pytorch import Callback, LightningModule, Trainer

from sweeplab.sweep.trial import current


class Killer(Callback):
    """Kills the process of trial 0, as a machine without memory would."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trial = current()
        assert trial is not None
        if trial.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
