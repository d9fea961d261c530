"""The callbacks that a configuration names."""

from sweeplab.training.best import BestCheckpoint
from sweeplab.training.last import LastCheckpoint
from sweeplab.training.progress import EpochLines, progress
from sweeplab.training.pruning import Pruning

__all__ = ["BestCheckpoint", "EpochLines", "LastCheckpoint", "Pruning", "progress"]
