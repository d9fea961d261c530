"""The end of a training whose loss is no longer a number."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from sweeplab.errors import UserError


class FiniteLoss(Callback):
    """Ends a training by a sentence when a loss is NaN or infinite: nothing is learned from there on.

    It checks the losses that steps return, or that `manual_backward` is given, and, where an optimization is manual,
    what is logged under a name with `loss` in it. They are kept as they are, and checked together after the first
    step, then every `log_every_n_steps`, before a validation, before a checkpoint and at the end of an epoch: a GPU is
    not waited for at each step. Gradients that overflow under a scaler are the scaler's business.
    """

    def __init__(self) -> None:
        self._losses: list[tuple[int, Tensor]] = []
        self._has_checked = False

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep a loss of a manual optimization; one that is scaled may overflow."""
        if pl_module.automatic_optimization:  # its loss comes when the step is over
            return
        is_scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        self._keep(trainer.fit_loop.batch_idx, loss.nan_to_num(torch.nan, 0.0, 0.0) if is_scaled else loss)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep what the step returned, and check if it is time."""
        returned = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(returned, Tensor):
            self._keep(batch_idx, returned)
        if not self._has_checked or (batch_idx + 1) % (trainer.log_every_n_steps or 50) == 0:  # type: ignore[attr-defined]  # set by one of its connectors
            self._check(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check before weights are judged."""
        if not trainer.sanity_checking:
            self._check(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check before weights are kept."""
        self._check(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the rest of an epoch."""
        self._check(trainer, pl_module)

    def _keep(self, batch: int, loss: Tensor) -> None:
        loss = loss.detach()
        self._losses.append((batch, loss if loss.dim() == 0 else loss.sum()))

    def _check(self, trainer: Trainer, module: LightningModule) -> None:
        self._has_checked = True
        kept, self._losses = self._losses, []
        bad = _first_bad(kept, module.device) or ("" if module.automatic_optimization else _logged(trainer))
        # All processes end together: one that goes on would wait for the others for ever.
        if trainer.strategy.reduce_boolean_decision(bool(bad), all=False):
            what = bad or "a loss of another process was not finite"
            raise UserError(
                f"in epoch {trainer.current_epoch + 1} {what}, so training cannot continue; try a smaller learning "
                "rate or trainer.gradient_clip_val=1.0, see where it arises with trainer=debug, or continue anyway "
                "with finite_loss=false."
            )


def _first_bad(kept: Sequence[tuple[int, Tensor]], device: torch.device) -> str:
    if not kept:
        return ""
    losses = torch.stack([loss.to(device) for _, loss in kept])
    are_finite = losses.isfinite()
    if bool(are_finite.all()):
        return ""
    first = int(are_finite.int().argmin())
    return f"the loss of batch {kept[first][0] + 1} was {float(losses[first])}"


def _logged(trainer: Trainer) -> str:
    """Look at what is logged as a loss; of what is averaged over an epoch, at all of its batches so far."""
    results = [each for each in trainer.fit_loop.epoch_loop._results.values() if each.is_tensor and not each.has_reset]
    losses = [each for each in results if "loss" in each.meta.name.lower()]
    return next((f"{loss.meta.name} was not finite" for loss in losses if not bool(loss.value.isfinite().all())), "")
