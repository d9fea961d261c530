"""The callbacks that a configuration names."""

from sweeplab.training.checkpoint_callbacks import BestCheckpoint, LastCheckpoint
from sweeplab.training.progress import EpochLines, progress
from sweeplab.training.pruning import Pruning

__all__ = ["BestCheckpoint", "EpochLines", "LastCheckpoint", "Pruning", "progress"]
