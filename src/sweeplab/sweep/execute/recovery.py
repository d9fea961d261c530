"""Trials that a dead controller left behind: what becomes of them and their folders."""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from sweeplab.records import record
from sweeplab.records.files import write_text
from sweeplab.records.layout import RunFile
from sweeplab.records.process import is_alive
from sweeplab.records.record import Status
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


def write_outcome(job: Job, outcome: Outcome) -> None:
    """Leave an outcome in the folder of a job, for whoever is not told of it; a later attempt's stays."""
    if _attempt_of(job.folder) <= job.attempt:
        with contextlib.suppress(OSError):  # the disk may be full
            write_text(job.folder / RunFile.OUTCOME, json.dumps({**vars(outcome), "attempt": job.attempt}))


def _attempt_of(folder: Path) -> int:
    """Return the attempt whose outcome is in a folder, 0 where there is none."""
    try:
        return int(json.loads((folder / RunFile.OUTCOME).read_text(encoding="utf-8")).get("attempt", 0))
    except (OSError, ValueError, TypeError, AttributeError):
        return 0


def left_outcome(job: Job, of_any_attempt: bool = False) -> Outcome | None:
    """Return the outcome that a process left in its folder; None if there is none, or a damaged one.

    That of an earlier attempt, which may come late, counts if it was complete.
    """
    path = job.folder / RunFile.OUTCOME
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        outcome = _outcome(facts, job.objectives, job.has_objective)
        is_its_own = of_any_attempt or facts.get("attempt", job.attempt) == job.attempt
        return outcome if is_its_own or outcome.status is Status.COMPLETE else None
    except (ValueError, TypeError, KeyError, AttributeError):
        log.warning("%s is damaged: its trial counts as lost, and goes on.", path)
        return None


def _outcome(facts: Mapping[str, Any], objectives: int, has_objective: bool) -> Outcome:
    """Return an outcome as it was written, or raise."""
    status, values = Status(facts["status"]), facts["values"]
    numbers = None if values is None else tuple(map(float, values))
    constraints = {str(name): float(value) for name, value in (facts.get("constraints") or {}).items()}
    is_whole = not has_objective if numbers is None else len(numbers) == objectives and all(map(math.isfinite, numbers))
    if status is Status.RUNNING or (status is Status.COMPLETE and not is_whole):
        raise ValueError
    return Outcome(
        status,
        str(facts["reason"]),
        numbers,
        str(facts["traceback"]),
        float(facts["seconds"]),
        constraints,
        facts.get("is_shared") is True,
    )


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
