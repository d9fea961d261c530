"""Ready-made LightningModules for bare networks, their charts, and arrays as data modules.

Only configurations name them, and code of a lab: no other room imports this one. The names are looked up when they are
asked for, so that who checks a configuration need not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "ArrayData": "arrays",
    "Arrays": "arrays",
    "Charts": "charts",
    "Classification": "classification",
    "EpochMetrics": "epoch_metrics",
    "Npz": "npz",
    "Regression": "regression",
    "Samples": "pictures",
    "cosine": "network_task",
    "onecycle": "network_task",
    "plateau": "network_task",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sweeplab.tasks' has no attribute '{name}'")
    return getattr(importlib.import_module(f"sweeplab.tasks.{_HOMES[name]}"), name)
