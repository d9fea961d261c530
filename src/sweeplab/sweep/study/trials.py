"""What a trial of a study says of itself: how it ended, what it came to, when, where, and whether it counts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from sweeplab.records.record import Status

# The attributes of a trial by which it says so.
NOT_COUNTED = "queued again"
NO_VALUE = "no value"  # of a task that has no objective
BEGAN = "began"
ENDING, SECONDS, BEST = "ending", "seconds", "best"
LEASE = "lease"  # which controller runs it, and where
FOLDER = "folder"  # the name of its folder, if that is not its number


def counts(trial: FrozenTrial) -> bool:
    """Say whether a trial is part of the budget: it ended or runs, and was not queued again."""
    return trial.state is not TrialState.WAITING and not trial.user_attrs.get(NOT_COUNTED)


def ending(trial: FrozenTrial) -> Status:
    """Return how a trial stands, in the words of `run.json`."""
    if trial.state in (TrialState.RUNNING, TrialState.WAITING):
        return Status.RUNNING
    by_state = {TrialState.COMPLETE: Status.COMPLETE, TrialState.PRUNED: Status.PRUNED}
    return Status(trial.user_attrs.get(ENDING, by_state.get(trial.state, Status.FAILED)))


def came_to(trial: FrozenTrial) -> Sequence[float | None] | None:
    """Return what a trial came to, of one that was pruned its best; None where nobody knows."""
    if NO_VALUE in trial.user_attrs:
        return None
    best: Sequence[float | None] | None = trial.user_attrs.get(BEST, trial.values)
    return best


def beginning(trial: FrozenTrial) -> datetime | None:
    """Return when a trial began to run, in local time as Optuna's own; None if it has not."""
    noted = trial.user_attrs.get(BEGAN)
    return datetime.fromisoformat(noted).astimezone().replace(tzinfo=None) if noted else trial.datetime_start


def took(trial: FrozenTrial) -> float | None:
    """Return the seconds that a trial's runs took, as they say themselves; None before the end, or if nobody knows."""
    if SECONDS in trial.user_attrs:
        return trial.user_attrs[SECONDS]  # type: ignore[no-any-return]  # as it was told
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
