"""The callbacks that a configuration names."""

from sweeplab.training.checkpoint_callbacks import BestCheckpoint, LastCheckpoint
from sweeplab.training.progress import EpochLines, progress
from sweeplab.training.pruning import Pruning
from sweeplab.training.summary import ModelSummary
from sweeplab.training.weight_averaging import StochasticWeightAveraging

__all__ = [
    "BestCheckpoint",
    "EpochLines",
    "LastCheckpoint",
    "ModelSummary",
    "Pruning",
    "StochasticWeightAveraging",
    "progress",
]
