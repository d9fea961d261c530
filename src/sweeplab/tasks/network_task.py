"""What the ready-made tasks share: a network, an optimizer, metrics over each epoch, and learning-rate schedules."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau
from torchmetrics import Metric

from sweeplab.errors import UserError
from sweeplab.tasks.epoch_metrics import EpochMetrics
from sweeplab.training.model import load_model

Batch = Sequence[Tensor]
Scale = Sequence[Sequence[float]]
STAGES = ("train", "val", "test")


class NetworkTask(LightningModule):
    """A LightningModule that trains a bare network on batches of inputs and targets.

    `optimizer` is a factory that gets the parameters, `scheduler` one that gets the optimizer and the number of steps.
    `scale` is mean and deviation of each channel, which are taken off the inputs before the network sees them.

    Logs `train/loss`, `val/loss` and `test/loss`, and each metric under its name in their place: updated each batch,
    computed over each epoch.
    """

    train_metrics: EpochMetrics
    val_metrics: EpochMetrics
    test_metrics: EpochMetrics
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Any] | None = None,
        metrics: Mapping[str, Metric | None] | None = None,
        compile: bool = False,
        scale: Scale | None = None,
    ) -> None:
        super().__init__()
        self.network, self.optimizer, self.scheduler, self.compile_network = network, optimizer, scheduler, compile
        self.is_scaled = scale is not None
        for name, values in zip(("mean", "deviation"), scale or ((), ()), strict=True):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        for stage in STAGES:
            clones = {name: metric.clone() for name, metric in (metrics or {}).items() if metric is not None}
            for metric in clones.values():
                metric.validate_args = False  # of each batch; those of the metric itself are checked
            self.add_module(f"{stage}_metrics", EpochMetrics(clones))

    @classmethod
    def logs(cls, config: Mapping[str, Any]) -> list[str]:
        """Return the names that a run with this configuration of the task can be judged by."""
        metrics = [name for name, metric in (config.get("metrics") or {}).items() if metric is not None]
        return [f"{stage}/{name}" for stage in ("val", "train") for name in ("loss", *metrics)]

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: str | Path, map_location: Any = None, **ignored: Any) -> Self:  # type: ignore[override]  # fewer arguments: the checkpoint knows the rest
        """Return the trained model of a checkpoint, ready to predict."""
        model = load_model(checkpoint_path)
        if not isinstance(model, cls):
            raise UserError(f"{checkpoint_path} is of {type(model).__name__}, not of {cls.__name__}.")
        return model if map_location is None else model.to(map_location)

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, training: bool) -> Tensor:
        """Return the mean loss of a batch, of shape ()."""

    def setup(self, stage: str) -> None:
        """Compile the network in place if asked to: the names of its weights stay as they are."""
        if self.compile_network:
            self.network.compile()
            self.compile_network = False

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network says of inputs as the data has them, of shape (samples, *shape)."""
        if self.is_scaled:
            shape = (-1, *[1] * (x.dim() - 2))
            x = (x - self.mean.view(shape)) / self.deviation.view(shape)
        return self.network(x)  # type: ignore[no-any-return]  # torch types the call of a module as Any

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss to minimise; log it at every `log_every_n_steps`-th step."""
        loss, _ = self._step("train", batch)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by one of its connectors
        if (self.global_step + 1) % every == 0:
            self.log("train/loss_step", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the outputs, for callbacks that look at predictions."""
        return self._step("val", batch)[1]

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the outputs, for callbacks that look at predictions."""
        return self._step("test", batch)[1]

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training metrics."""
        self.train_metrics.log(self, "train")

    def on_validation_epoch_end(self) -> None:
        """Log the validation's metrics."""
        self.val_metrics.log(self, "val")

    def on_test_epoch_end(self) -> None:
        """Log the test's metrics."""
        self.test_metrics.log(self, "test")

    def configure_optimizers(self) -> Any:
        """Return the optimizer, and the scheduler over as many steps as the trainer will take."""
        try:
            optimizer = self.optimizer(self.parameters())
        except ValueError as error:
            raise UserError(f"optimizer: {error}.") from error
        if self.scheduler is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise UserError("a scheduler must know when training ends: set trainer.max_epochs or trainer.max_steps.")
        try:
            return {"optimizer": optimizer, "lr_scheduler": self._timed(self.scheduler(optimizer, int(steps)))}
        except ValueError as error:
            raise UserError(f"scheduler: {error}.") from error

    def _timed(self, schedule: Any) -> Any:
        """Let a schedule that waits for a metric of the validation take its steps where there is one."""
        every = self.trainer.check_val_every_n_epoch
        waits = isinstance(schedule, dict) and str(schedule.get("monitor")).startswith("val/")
        if every == 1 or not waits:
            return schedule
        return schedule | ({"strict": False} if every is None else {"frequency": every})

    def _step(self, stage: str, batch: Batch) -> tuple[Tensor, Tensor]:
        x, targets = batch
        outputs = self(x)
        loss = self.loss(outputs, targets, training=stage == "train")
        getattr(self, f"{stage}_metrics").update(loss, outputs, targets)
        return loss, outputs


# Schedules are in the form that Lightning takes: each knows whether it counts steps or epochs.
def cosine(optimizer: Optimizer, steps: int, *, final_lr: float) -> dict[str, Any]:
    """Fall from the learning rate to `final_lr` along half a cosine, over the whole training."""
    return {"scheduler": CosineAnnealingLR(optimizer, T_max=steps, eta_min=final_lr), "interval": "step"}


def onecycle(optimizer: Optimizer, steps: int, *, warmup: float) -> dict[str, Any]:
    """Rise to the learning rate over the share `warmup` of the training, then fall (arXiv 1708.07120)."""
    peak = [group["lr"] for group in optimizer.param_groups]
    return {"scheduler": OneCycleLR(optimizer, peak, total_steps=steps, pct_start=warmup), "interval": "step"}


def plateau(
    optimizer: Optimizer, steps: int, *, metric: str, mode: str, factor: float, patience: int
) -> dict[str, Any]:
    """Multiply the learning rate by `factor` when `metric` has not improved for `patience` validations."""
    scheduler = ReduceLROnPlateau(optimizer, "min" if mode == "min" else "max", factor=factor, patience=patience)
    return {"scheduler": scheduler, "interval": "epoch", "monitor": metric}
