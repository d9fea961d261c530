"""What a trial of a study says of itself: its attempts, how it ended, what it came to, when, where, if it counts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from sweeplab.records.record import Status, now
from sweeplab.sweep.job import Outcome

# The attributes of a trial by which it says so.
NOT_COUNTED = "not counted"
REPLACES = "replaces"  # the number of the trial whose point it runs again
ATTEMPTS = "attempts"  # those that were cut
NO_VALUE = "no value"  # of a task that has no objective
BEGAN = "began"
ENDING, SECONDS, BEST = "ending", "seconds", "best"
LEASE = "lease"  # which controller runs it, and where
FOLDER = "folder"  # the name of its folder, if that is not its number
# In studies of earlier versions a trial that was cut failed, and its point was queued again as another trial, which
# knew how often those before it had been killed.
EARLIER = {NOT_COUNTED: "queued again", REPLACES: "again"}
KILLED_BEFORE = "attempt"


def counts(trial: FrozenTrial) -> bool:
    """Say whether a trial ended or runs, and was not dropped; of a whole study, `counted` has those of the budget."""
    if trial.state is TrialState.FAIL or trial.state is TrialState.RUNNING:  # no other one was dropped, or will be
        return not _stored(trial, NOT_COUNTED)
    return trial.state is not TrialState.WAITING


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials of a study that are part of its budget: those that count, and that no other one replaces."""
    # Those that earlier versions replaced say so themselves.
    replaced = {trial.user_attrs[REPLACES] for trial in trials if REPLACES in trial.user_attrs}
    return [trial for trial in trials if counts(trial) and trial.number not in replaced]


def replaces(trial: FrozenTrial) -> int | None:
    """Return the number of the trial whose point this one runs again; None if it is no such trial."""
    number: int | None = _stored(trial, REPLACES)
    return number


def attempts(trial: FrozenTrial | Trial) -> Sequence[Mapping[str, Any]]:
    """Return the attempts of a trial that were cut, the first one first."""
    cut: Sequence[Mapping[str, Any]] = trial.user_attrs.get(ATTEMPTS) or ()
    return cut


def with_attempt(trial: FrozenTrial, outcome: Outcome) -> list[Mapping[str, Any]]:
    """Return the attempts of a trial whose latest one was cut; once, if this is asked again."""
    began = trial.user_attrs.get(BEGAN) or _text(trial.datetime_start)
    cut = {"began": began, "ended": now(), "status": str(outcome.status), "reason": outcome.reason}
    return [*(each for each in attempts(trial) if each["began"] != began), cut | {"seconds": outcome.seconds}]


def times_killed(trial: FrozenTrial) -> int:
    """Return how many attempts of a trial were killed, those included that had other numbers."""
    before: int = trial.user_attrs.get(KILLED_BEFORE, 0)
    return before + len([attempt for attempt in attempts(trial) if attempt["status"] == Status.KILLED])


def ending(trial: FrozenTrial) -> Status:
    """Return how a trial stands, in the words of `run.json`; one that waits to go on, as it was cut."""
    if trial.state is TrialState.WAITING and (cut := attempts(trial)):
        return Status(cut[-1]["status"])
    if trial.state in (TrialState.RUNNING, TrialState.WAITING):
        return Status.RUNNING
    by_state = {TrialState.COMPLETE: Status.COMPLETE, TrialState.PRUNED: Status.PRUNED}
    return Status(trial.user_attrs.get(ENDING, by_state.get(trial.state, Status.FAILED)))


def reason(trial: FrozenTrial) -> str | None:
    """Return why a trial failed, or was cut and waits; None where there is no reason."""
    cut = attempts(trial)[-1:] if trial.state is TrialState.WAITING else ()
    words: str | None = cut[0]["reason"] if cut else trial.user_attrs.get("reason")
    return words


def came_to(trial: FrozenTrial) -> Sequence[float | None] | None:
    """Return what a trial came to, of one that was pruned its best; None where nobody knows."""
    if NO_VALUE in trial.user_attrs:
        return None
    best: Sequence[float | None] | None = trial.user_attrs.get(BEST, trial.values)
    return best


def beginning(trial: FrozenTrial) -> datetime | None:
    """Return when a trial first began to run, in local time as Optuna's own; None if it has not."""
    cut = attempts(trial)
    noted = cut[0]["began"] if cut else trial.user_attrs.get(BEGAN)
    return datetime.fromisoformat(noted).astimezone().replace(tzinfo=None) if noted else trial.datetime_start


def took(trial: FrozenTrial) -> float | None:
    """Return the seconds that a trial's runs took, all attempts together; None before the end, or if nobody knows."""
    if SECONDS in trial.user_attrs:
        return trial.user_attrs[SECONDS]  # type: ignore[no-any-return]  # as it was told
    if cut := attempts(trial):
        return sum(attempt["seconds"] for attempt in cut) or None
    # A study of before has the times of its trials in the study alone.
    began, over = beginning(trial), trial.datetime_complete
    return round((over - began).total_seconds(), 3) if over and began else None


def folder_of(trial: FrozenTrial, sweep: Path) -> Path | None:
    """Return the folder of a trial, on the machine that ran it; None if it was no sweep of ours.

    `sweep` is the folder of the sweep, for trials of a version that did not write it down.
    """
    lease = trial.user_attrs.get(LEASE)
    if lease is None:
        return None
    return Path(lease.get("folder", sweep), trial.user_attrs.get(FOLDER, str(trial.number)))


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's parameters, those included that it was queued with and has not been suggested yet."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def point_key(point: Mapping[str, Any]) -> str:
    """Return a text that two points share only if they are the same."""
    return json.dumps(dict(point), sort_keys=True, default=repr)


def _stored(trial: FrozenTrial, name: str) -> Any:
    return trial.user_attrs.get(name, trial.user_attrs.get(EARLIER[name]))


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone().isoformat(timespec="milliseconds")
