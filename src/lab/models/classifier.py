from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torchmetrics import Metric

from sweeplab.errors import UserError
from sweeplab.training.build import build
from sweeplab.training.lean import LeanModule
from sweeplab.training.metrics import EpochMetrics

Batch = tuple[Tensor, Tensor]
Plain = Mapping[str, Any]
STAGES = ("train", "val", "test")


class Classifier(LeanModule):
    """A network that learns to tell classes apart.

    Network, optimizer, scheduler and metrics are objects and factories, or plain data with a `_target_` that describes
    them. Described so, they stand in every checkpoint, and `Classifier.load_from_checkpoint(path)` needs nothing else.
    `scale` is mean and deviation of each channel of the inputs, which the data took off before training.
    A scheduler factory gets the optimizer and the number of training steps.

    Logs `train/loss` (with label smoothing, as it is minimised), `val/loss` and `test/loss` (without), and each metric
    as `train/<name>`, `val/<name>`, `test/<name>`: updated each batch, computed over each epoch.
    """

    train_metrics: EpochMetrics
    val_metrics: EpochMetrics
    test_metrics: EpochMetrics

    def __init__(
        self,
        network: nn.Module | Plain,
        optimizer: Callable[..., Optimizer] | Plain,
        scheduler: Callable[..., Any] | Plain | None = None,
        metrics: Mapping[str, Metric | Plain] | None = None,
        label_smoothing: float = 0.0,
        compile: bool = False,
        scale: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing={label_smoothing} must be at least 0 and below 1.")
        given = {"network": network, "optimizer": optimizer, "scheduler": scheduler}
        objects = [name for name, value in given.items() if value is not None and not isinstance(value, Mapping)]
        if any(isinstance(metric, Metric) for metric in (metrics or {}).values()):
            objects.append("metrics")
        self.save_hyperparameters(ignore=objects, logger=False)
        self.network: nn.Module = build(network, "model")
        self.optimizer = build(optimizer, "optimizer")
        self.scheduler = build(scheduler, "scheduler") if scheduler else None
        self.label_smoothing, self.compile_network, self.scale = label_smoothing, compile, scale
        for stage in STAGES:
            built = {name: build(metric, f"metrics.{name}").clone() for name, metric in (metrics or {}).items()}
            for metric in built.values():
                metric.validate_args = False  # of each batch; the arguments of the metric itself were looked at
            self.add_module(f"{stage}_metrics", EpochMetrics(built))

    def setup(self, stage: str) -> None:
        """Compile the network in place if asked to: the names of its weights stay as they are."""
        if self.compile_network:
            self.network.compile()
            self.compile_network = False

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (samples, classes)."""
        return self.network(x)  # type: ignore[no-any-return]  # torch types the call of a module as Any

    @torch.inference_mode()
    def probabilities(self, x: Tensor) -> Tensor:
        """Return what the trained model says of inputs as they come, unscaled, of shape (samples, *in_shape).

        The answer has shape (samples, classes).
        """
        self.eval()
        if self.scale is not None:
            shape = (1, -1, *[1] * (x.dim() - 2))
            mean, deviation = (torch.tensor(part, device=x.device).view(shape) for part in self.scale)
            x = (x - mean) / deviation
        return self(x.to(self.device)).softmax(dim=1)  # type: ignore[no-any-return]  # torch types the call as Any

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss to minimise; log it at every `log_every_n_steps`-th step."""
        loss, _ = self._step("train", batch, self.label_smoothing)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by one of its connectors
        if (self.global_step + 1) % every == 0:
            self.log("train/loss_step", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the logits, for callbacks that look at predictions."""
        return self._step("val", batch)[1]

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the logits, for callbacks that look at predictions."""
        return self._step("test", batch)[1]

    def predict_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the probabilities of all classes, of shape (samples, classes)."""
        return self(batch[0]).softmax(dim=1)  # type: ignore[no-any-return]  # torch types the call of a module as Any

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
            return {"optimizer": optimizer, "lr_scheduler": self.scheduler(optimizer, int(steps))}
        except ValueError as error:
            raise UserError(f"scheduler: {error}.") from error

    def _step(self, stage: str, batch: Batch, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        x, y = batch
        logits = self(x)
        loss = cross_entropy(logits, y, label_smoothing=label_smoothing)
        getattr(self, f"{stage}_metrics").update(loss, logits, y)
        return loss, logits
