"""What W&B's table of runs shows of a run: id, name, the columns of its trial, and how it ended."""

import re
from collections.abc import Iterable
from typing import Any

from sweeplab.records import names
from sweeplab.records.names import short_value
from sweeplab.records.record import Status
from sweeplab.sweep.trial import Trial

MAX_NAME_LENGTH = 80  # characters of a name; the table of runs shows fewer
OURS = ("study", "trial", "repeat", "point")
STATES = {Status.COMPLETE: "COMPLETE", Status.PRUNED: "PRUNED"}  # Optuna's, of runs that W&B shows as finished


def run_id(name: str) -> str:
    """Return a name without the characters that W&B refuses in an id."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return a short word for each key, none of them a column of ours."""
    return names.short_keys(keys, taken=OURS)


def columns(trial: Trial) -> dict[str, Any]:
    """Return what the run's configuration holds of its trial: study, number, and each parameter under a short word.

    `point` is the same for all runs that differ in their seed only: what the dashboard groups by to average over seeds.
    """
    short = short_keys([*trial.searched, *trial.params])
    varied = {key: value for key, value in trial.params.items() if key != trial.seed_key}
    facts: dict[str, Any] = {"study": trial.study, "trial": trial.number, "repeat": trial.repeat}
    facts["point"] = " ".join(f"{short[key]}={value}" for key, value in varied.items()) or "all"
    return facts | {short[key]: value for key, value in trial.params.items()}


def run_name(title: str | None, trial: Trial) -> str:
    """Return a name such as `cnn #12 lr=3e-4 channels=32`: a title, the number, and what varies."""
    short = short_keys([*trial.searched, *trial.params])
    varied = {key: value for key, value in trial.params.items() if value != title}
    number = f"#{trial.number}" + (f".{trial.repeat}" if trial.repeat else "")
    values = [f"{short[key]}={short_value(value)}" for key, value in varied.items()]
    words = [*([title] if title else []), number, *values]
    while len(words) > 2 and len(" ".join(words)) > MAX_NAME_LENGTH:
        words = [*words[:-1], "..."] if words[-1] != "..." else [*words[:-2], "..."]
    return " ".join(words)


def exit_code_of(status: Status) -> int:
    """Return the exit code that W&B tells finished runs from failed ones by."""
    return 0 if status in STATES else 1


def write_ending(run: Any, status: Status, reason: str = "", *, in_study: bool) -> None:
    """Write into a run how it ended, in the words of `run.json` and, for a trial, of Optuna."""
    ending = {"status": str(status)} | ({"reason": reason} if reason else {})
    if in_study:
        ending["optuna/state"] = STATES.get(status, "FAIL")
    run.summary.update(ending)
    # A single run may be resumed, and tags cannot be removed then.
    if in_study and status in (Status.PRUNED, Status.INTERRUPTED):
        run.tags = (*(run.tags or ()), str(status))
