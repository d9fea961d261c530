"""The loggers that a configuration names; W&B is imported only where its logger is."""

from typing import TYPE_CHECKING, Any

from sweeplab.training.loggers import CSVLogger, TensorBoardLogger

if TYPE_CHECKING:
    from sweeplab.tracking.wandb_run import WandbRun

__all__ = ["CSVLogger", "TensorBoardLogger", "WandbRun"]


def __getattr__(name: str) -> Any:
    if name == "WandbRun":
        from sweeplab.tracking.wandb_run import WandbRun

        return WandbRun
    raise AttributeError(f"module 'sweeplab.loggers' has no attribute '{name}'")
