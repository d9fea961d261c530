"""W&B's part of a sweep: one service for all its trials, and an end for the runs of those that were killed."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from sweeplab.runs import record
from sweeplab.runs.record import Status
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.listener import Listener
from sweeplab.sweep.plan import Plan
from sweeplab.sweep.results import Summary

LOGGER = "sweeplab.tracking.wandb_run.WandbRun"
# W&B imports them while a run starts, which takes longer than everything else that it does then.
LATE = ("wandb.sdk.launch.inputs.internal", "requests")
ENDED_BY_OTHERS = (Status.KILLED, Status.TIMEOUT, Status.INTERRUPTED)


class SweepService(Listener):
    """Starts the service before the trials, and ends what they leave open; does nothing where none logs to W&B."""

    def __init__(self) -> None:
        self._on = False

    def preload(self, plan: Plan) -> Sequence[str]:
        """Spare each trial what W&B imports late."""
        return LATE if _is_configured(plan) else ()

    def sweep_started(self, plan: Plan, before: Summary, alone: bool) -> None:
        """Start the service, which trials find through their environment, and decide for all whether it is online."""
        if not _is_configured(plan):
            return
        import wandb

        from sweeplab.tracking.wandb_run import pick_mode

        self._on = True
        wandb.setup(settings=wandb.Settings(silent=True))
        if (mode := pick_mode(None)) != "online":
            os.environ["WANDB_MODE"] = mode

    def trial_ended(self, job: Job, outcome: Outcome) -> None:
        """End the run of a process that could not do it: as failed, which also frees its id."""
        if not self._on or outcome.status not in ENDED_BY_OTHERS or not record.is_run(job.folder):
            return
        facts = json.loads((job.folder / record.FILE).read_text(encoding="utf-8"))
        if not facts.get("wandb") or facts["status"] != Status.RUNNING:  # else the process could still do it itself
            return
        import wandb

        try:
            run = wandb._attach(attach_id=facts["wandb"]["id"])  # type: ignore[attr-defined]  # as Lightning calls it
        except wandb.errors.UsageError:  # it was ended, or the service it was in is gone
            return
        run.summary["status"] = str(outcome.status)
        if outcome.status is Status.INTERRUPTED:
            run.tags += (str(Status.INTERRUPTED),)
        run.finish(exit_code=1)

    def sweep_ended(self, plan: Plan, summary: Summary) -> None:
        """End the service; a run that is still open ends as failed."""
        if self._on:
            import wandb

            wandb.teardown(exit_code=1)


def _is_configured(plan: Plan) -> bool:
    return LOGGER in _targets(OmegaConf.to_container(plan.base, resolve=False))


def _targets(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        if "_target_" in config:
            yield str(config["_target_"])
        for value in config.values():
            yield from _targets(value)
