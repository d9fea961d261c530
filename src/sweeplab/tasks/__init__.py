"""Ready-made LightningModules for bare networks, their charts, and arrays as data modules.

Only configurations name them, and code of a lab: no other room imports this one.
"""

from sweeplab.tasks.arrays import ArrayData, Arrays
from sweeplab.tasks.charts import Charts
from sweeplab.tasks.classification import Classification
from sweeplab.tasks.epoch_metrics import EpochMetrics
from sweeplab.tasks.network_task import cosine, onecycle, plateau
from sweeplab.tasks.npz import Npz
from sweeplab.tasks.pictures import Samples
from sweeplab.tasks.regression import Regression

__all__ = [
    "ArrayData",
    "Arrays",
    "Charts",
    "Classification",
    "EpochMetrics",
    "Npz",
    "Regression",
    "Samples",
    "cosine",
    "onecycle",
    "plateau",
]
