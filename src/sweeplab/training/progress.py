"""Progress for people on a terminal, and for people who read a log afterwards."""

import logging
import re
import sys
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar

log = logging.getLogger(__name__)

METRICS_PER_LINE = 12


def progress() -> Callback:
    """Return a progress bar where output goes to a terminal, elsewhere one plain line an epoch."""
    return EpochBar() if sys.stdout.isatty() else EpochLines()


class EpochBar(RichProgressBar):
    """Lightning's bar; it counts epochs from 1, as lines and messages do, and has no number of a logger's version."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return what is shown beside the bar."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    def _get_train_description(self, current_epoch: int) -> str:
        text = re.sub(r"/-\d+", "", super()._get_train_description(current_epoch))  # of a training without an end
        return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), text)


class EpochLines(ProgressBar):
    """One line an epoch: its number, the seconds it took, and the metrics of the epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._start = 0.0
        self._ended: tuple[int, float] | None = None

    def disable(self) -> None:
        """Say nothing; Lightning calls this on every rank but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Write lines again; Lightning calls this where something else has drawn a bar meanwhile."""
        self._enabled = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the line of the epoch before, and start the clock."""
        self._write(trainer)
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock; the epoch's training metrics are known only after this hook."""
        self._ended = (trainer.current_epoch + 1, time.monotonic() - self._start)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the line of the last epoch."""
        self._write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the line of the last whole epoch."""
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        if self._ended is None or not self._enabled:
            return
        (epoch, seconds), self._ended = self._ended, None
        metrics = trainer.callback_metrics
        # What is logged by step and by epoch has three names; the learning rates have a curve.
        names = [name for name in metrics if not name.endswith("_step") and not name.startswith("lr-")]
        logged = [name for name in names if name.removesuffix("_epoch") not in metrics.keys() - {name}]
        values = [f"{name} {metrics[name]:.4g}" for name in sorted(logged)[:METRICS_PER_LINE]]
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        log.info("epoch %*d%s  %.1fs  %s", len(of) - 1, epoch, of, seconds, "  ".join(values))
