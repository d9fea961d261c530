"""Trials that a dead controller left behind: what becomes of them and their folders."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from sweeplab.runs import record
from sweeplab.runs.process import is_alive
from sweeplab.runs.record import Status
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.plan import Plan
from sweeplab.sweep.worker import OUTCOME

PATIENCE = 5.0  # seconds for an orphan to notice that its controller is gone


@dataclass(frozen=True)
class Lost:
    """Settles lost trials, and says so: `tell` is given each run and its ending."""

    plan: Plan
    tell: Callable[[Job, Outcome], None]

    def settle(self, trial: FrozenTrial, loss: Outcome) -> Outcome:
        """Return what a trial had come to when its controller died, else its loss; its run's record says the same."""
        values = self.plan.space.values(trial.params)
        jobs = [
            self.plan.job(trial.number, values, repeat, prunes=False) for repeat in range(self.plan.settings.repeats)
        ]
        runs = [self._settle_run(job, loss) for job in jobs]
        return runs[0] if len(runs) == 1 else loss

    def _settle_run(self, job: Job, loss: Outcome) -> Outcome:
        if not job.folder.is_dir():
            return loss
        _wait_for_its_end(job.folder)
        outcome = _recorded(job.folder) or loss
        self.tell(job, outcome)
        if outcome.status is not Status.COMPLETE:
            record.conclude(job.folder, outcome.status, outcome.reason)
        return outcome


def _recorded(folder: Path) -> Outcome | None:
    path = folder / OUTCOME
    if not path.is_file():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    values = None if facts["values"] is None else tuple(facts["values"])
    return Outcome(**{**facts, "status": Status(facts["status"]), "values": values})


def _wait_for_its_end(folder: Path) -> None:
    if not record.is_run(folder):
        return
    process = json.loads((folder / record.FILE).read_text(encoding="utf-8"))["process"]
    until = time.monotonic() + PATIENCE
    while is_alive(process) and time.monotonic() < until:
        time.sleep(0.05)
