"""The listeners that `hydra.sweeper.listeners` names: told in the controller of what happens in a sweep."""

from sweeplab.sweep.listener import Listener
from sweeplab.sweep.report import Report
from sweeplab.tracking.service import SharedService
from sweeplab.tracking.sweep_service import SweepService
from sweeplab.training.top_checkpoints import TopCheckpoints

__all__ = ["Listener", "Report", "SharedService", "SweepService", "TopCheckpoints"]
