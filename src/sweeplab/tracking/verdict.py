"""What is written into a W&B run when it ends."""

from typing import Any

from sweeplab.records.record import Status

STATES = {Status.COMPLETE: "COMPLETE", Status.PRUNED: "PRUNED"}


def exit_code_of(status: Status) -> int:
    """Return the exit code that W&B tells finished runs from failed ones by."""
    return 0 if status in STATES else 1


def conclude(run: Any, status: Status, reason: str = "", *, in_study: bool) -> None:
    """Write into a run how it ended, in the words of `run.json` and, for a trial, of Optuna."""
    ending = {"status": str(status)} | ({"reason": reason} if reason else {})
    if in_study:
        ending["optuna/state"] = STATES.get(status, "FAIL")
    run.summary.update(ending)
    # A single run may be resumed, and tags cannot be removed then.
    if in_study and status in (Status.PRUNED, Status.INTERRUPTED):
        run.tags = (*(run.tags or ()), str(status))
