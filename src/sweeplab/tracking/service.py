"""W&B's service, the process that writes runs: one for all trials of a sweep, where each would start its own."""

import os
import re
from collections.abc import Mapping, Sequence

import psutil

from sweeplab.extras import check_installed
from sweeplab.sweep.listener import Job, Listener, Summary, SweepInfo

# W&B imports them while a run starts, which takes longer than everything else that it does then.
LATE = ("wandb.sdk.launch.inputs.internal", "requests")
SERVICE = "WANDB_SERVICE"


class SharedService(Listener):
    """Lends one service to the trials of any Hydra app, however these log to W&B; what they log is their own affair."""

    def __init__(self) -> None:
        check_installed("wandb")

    def preload(self, sweep: SweepInfo) -> Sequence[str]:
        """Spare each trial what W&B imports late."""
        return ("wandb", *LATE)

    def sweep_started(self, sweep: SweepInfo, before: Summary, is_only_controller: bool) -> None:
        """Start the service."""
        start_service()

    def environment(self, job: Job) -> Mapping[str, str]:
        """Tell a trial of the service, which is started again if it has died."""
        if not service_lives():
            start_service()
        return {SERVICE: os.environ[SERVICE]}

    def sweep_ended(self, sweep: SweepInfo, summary: Summary) -> None:
        """End the service; a run that is still open ends as failed."""
        import wandb

        wandb.teardown(exit_code=1)


def start_service() -> None:
    """Start W&B's service, which trials find through their environment."""
    import wandb

    from sweeplab.tracking.settings import ensure_home

    if SERVICE in os.environ:
        from sweeplab.tracking.failover import forget_service

        forget_service()
    ensure_home()
    wandb.setup(settings=wandb.Settings(silent=True))
    wandb.setup().ensure_service()


def service_lives() -> bool:
    """Say whether the service's process lives, as far as it can be known."""
    return SERVICE in os.environ and (not _service_number() or service_process() is not None)


def service_process() -> psutil.Process | None:
    """Return the process of the service, None if it has ended."""
    try:
        process = psutil.Process(_service_number())
    except psutil.NoSuchProcess:
        return None
    return process if process.status() != psutil.STATUS_ZOMBIE else None


def _service_number() -> int:
    """Return the service's process id, which stands in the name of its socket; 0 where it has another form."""
    match = re.search(r"wandb-\d+-(\d+)-", os.environ.get(SERVICE, ""))
    return int(match[1]) if match else 0
