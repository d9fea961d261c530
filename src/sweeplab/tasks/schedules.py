"""Learning-rate schedules, in the form that Lightning takes: each knows whether it counts steps or epochs."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau


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
