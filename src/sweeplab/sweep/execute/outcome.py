"""The outcome that a process leaves in the folder of its job, for whoever was not told of it."""

import contextlib
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeplab.records.files import write_text
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status
from sweeplab.sweep.job import Job, Outcome

log = logging.getLogger(__name__)


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
