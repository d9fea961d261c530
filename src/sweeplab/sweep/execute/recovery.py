"""Trials that a dead controller left behind: what becomes of them and their folders."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from sweeplab.records import record
from sweeplab.records.process import is_alive
from sweeplab.records.record import Status
from sweeplab.sweep.execute.outcome import left_outcome
from sweeplab.sweep.job import Job, Outcome, combined
from sweeplab.sweep.spec import SweepSpec

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds for an orphan to notice that its controller is gone


@dataclass(frozen=True)
class Recovery:
    """Settles lost trials, and says so: `tell` is given each run and its ending.

    `may_run_until` says until when, by the clock, something of a trial may still run on another machine.
    """

    spec: SweepSpec
    tell: Callable[[Job, Outcome], None]
    may_run_until: Callable[[FrozenTrial], float] = lambda trial: 0.0

    def settle(self, trial: FrozenTrial, loss: Outcome) -> Outcome:
        """Return what a trial had come to when its controller died, else its loss; its run's record says the same."""
        values = self.spec.space.values(trial.params)
        repeats = range(self.spec.settings.repeats)
        jobs = [self.spec.job(trial.number, values, repeat, prunes=False) for repeat in repeats]
        return combined([self._settle_run(job, loss, self.may_run_until(trial)) for job in jobs])

    def _settle_run(self, job: Job, loss: Outcome, until: float) -> Outcome:
        if not job.folder.is_dir() or not job.folder.resolve().is_relative_to(self.spec.folder.resolve()):
            return loss  # nothing is written where a link leads out of the sweep
        _wait_for_its_end(job.folder)
        _wait_for_its_node(job, until)
        outcome = left_outcome(job, of_any_attempt=True) or loss
        self.tell(job, outcome)
        if outcome.status is not Status.COMPLETE:
            record.conclude(job.folder, outcome.status, outcome.reason, outcome.seconds or None)
        return outcome


def _wait_for_its_node(job: Job, until: float) -> None:
    """Wait for what the host of a job writes as it ends, if it is not sure that it has ended."""
    if time.time() < until and left_outcome(job, of_any_attempt=True) is None:
        log.info("Waiting for the node of trial #%s, %.0f s at most.", job.number, until - time.time())
    while time.time() < until and left_outcome(job, of_any_attempt=True) is None:
        time.sleep(0.1)


def _wait_for_its_end(folder: Path) -> None:
    facts = record.as_left(folder)
    if facts is None:
        return
    until = time.monotonic() + PATIENCE
    while is_alive(facts["process"]) and time.monotonic() < until:
        time.sleep(0.05)
