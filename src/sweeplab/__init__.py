"""What every lab needs around its models: sweeps, runs on disk, Lightning pieces, tracking.

Public are the names of this module and of `sweeplab.callbacks`, `sweeplab.loggers`, `sweeplab.listeners`,
`sweeplab.trainers` and `sweeplab.tasks`. Nothing is imported before it is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sweeplab.extras import missing_extra

if TYPE_CHECKING:
    from sweeplab.records.load import load
    from sweeplab.records.objective import Objective
    from sweeplab.sweep.listener import Listener
    from sweeplab.sweep.trial import current
    from sweeplab.training.model import load_model
    from sweeplab.training.run import Run

__all__ = ["Listener", "Objective", "Run", "current", "load", "load_model"]

_HOMES = {
    "Listener": "sweeplab.sweep.listener",
    "Objective": "sweeplab.records.objective",
    "Run": "sweeplab.training.run",
    "current": "sweeplab.sweep.trial",
    "load": "sweeplab.records.load",
    "load_model": "sweeplab.training.model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sweeplab' has no attribute '{name}'")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if text := missing_extra(error):
            raise ModuleNotFoundError(f"sweeplab.{name}: {text}", name=error.name) from error
        raise
