"""What a sweep that was attacked must have come to: counts, points, endings, files, nothing left behind."""

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import optuna
import psutil
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from tests.torture.scenario import STUDY, Scenario

PATIENCE = 20.0  # seconds in which what belongs to a killed sweep must be gone
ENDINGS = {TrialState.COMPLETE: {"complete"}, TrialState.PRUNED: {"pruned"}}


def audit(scenario: Scenario, folder: Path) -> list[str]:
    """Return what is wrong with a study that was attacked and then run to its end."""
    trials = read(scenario, folder)
    counted = [trial for trial in trials if not trial.user_attrs.get("not counted")]
    return [
        *_counts(scenario, counted),
        *_points(scenario, counted),
        *_numbers(trials),
        *(fault for trial in counted for fault in _attempts(trial, folder)),
        *(fault for trial in trials for fault in _record(trial, folder)),
        *_table(trials, folder),
        *left_behind(folder),
    ]


def read(scenario: Scenario, folder: Path) -> list[FrozenTrial]:
    """Return the trials as Optuna reads them, whatever the engine says of them."""
    backend = JournalFileBackend(str(folder / "multirun" / STUDY / "study.journal"))
    url = scenario.url and scenario.url.replace(":///", f":///{folder}/")
    return optuna.load_study(study_name=STUDY, storage=url or optuna.storages.JournalStorage(backend)).trials


def contents(scenario: Scenario, folder: Path) -> dict[Path, bytes]:
    """Return the files of the trials that are complete; nothing may write to them again."""
    done = [trial.number for trial in read(scenario, folder) if trial.state is TrialState.COMPLETE]
    paths = [path for number in done for path in (folder / "multirun" / STUDY / str(number)).rglob("*")]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def changes(before: dict[Path, bytes]) -> list[str]:
    """Return which of these files were written again, or are gone."""
    return [f"{path} was written again" for path in before if not path.exists() or path.read_bytes() != before[path]]


def wait_for_quiet(folder: Path) -> list[str]:
    """Wait until no process works in a folder any more; return those that do not go."""
    until = time.monotonic() + PATIENCE
    while (found := _processes(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    return [f"a process was left behind: {line}" for line in found]


def left_behind(folder: Path) -> list[str]:
    """Return what is left in the temporary directory that the sweep had, but for what torch and Dask keep there."""
    theirs = ("torchinductor", "dask-scratch-space")
    kept = (path.name for path in sorted((folder / "tmp").iterdir()) if not path.name.startswith(theirs))
    return [f"left in the temporary directory: {name}" for name in kept]


def _counts(scenario: Scenario, counted: list[FrozenTrial]) -> Iterator[str]:
    if len(counted) != scenario.budget:
        yield f"{len(counted)} trials count instead of {scenario.budget}"
    states = Counter(trial.state.name for trial in counted)
    if strange := states.keys() - {"COMPLETE", "PRUNED"}:
        yield f"trials that count are {', '.join(sorted(strange))}"


def _points(scenario: Scenario, counted: list[FrozenTrial]) -> Iterator[str]:
    if scenario.grid is not None:
        tried = sorted(trial.params.get(scenario.grid, -1) for trial in counted)
        if tried != list(range(scenario.budget)):
            yield f"the points of the grid were {tried}"
    elif len({tuple(trial.params.items()) for trial in counted}) != len(counted):
        yield "a point was tried twice"


def _numbers(trials: list[FrozenTrial]) -> Iterator[str]:
    """A trial that was cut went on under its number: there is no other one, but what a second controller dropped."""
    if [trial.number for trial in trials] != list(range(len(trials))):
        yield f"the numbers are {[trial.number for trial in trials]}"
    for trial in trials:
        reason = trial.user_attrs.get("reason", "")
        if trial.user_attrs.get("not counted") and "another controller" not in reason:
            yield f"#{trial.number} was dropped: {reason}"


def _attempts(trial: FrozenTrial, folder: Path) -> Iterator[str]:
    """Attempts follow each other, and each that began its record is in it once."""
    cut = trial.user_attrs.get("attempts", [])
    times = [datetime.fromisoformat(attempt[name]) for attempt in cut for name in ("began", "ended")]
    if times != sorted(times):
        yield f"the attempts of #{trial.number} overlap: {cut}"
    path = folder / "multirun" / STUDY / str(trial.number) / "run.json"
    recorded = json.loads(path.read_text()).get("attempts", []) if path.exists() else []
    if len(recorded) > len(cut):
        yield f"#{trial.number} has {len(recorded)} attempts before the last in run.json, {len(cut)} in the study"
    if set(map(str, (attempt["status"] for attempt in recorded))) - {"killed", "interrupted"}:
        yield f"#{trial.number} went on after an attempt that was not cut"


def _record(trial: FrozenTrial, folder: Path) -> Iterator[str]:
    """The run's own record says what the study says; a run that never began has none."""
    path = folder / "multirun" / STUDY / str(trial.number) / "run.json"
    wanted = ENDINGS.get(trial.state, {trial.user_attrs.get("ending")})
    if not path.exists():
        if trial.state in ENDINGS:
            yield f"#{trial.number} has no run.json"
        return
    status = json.loads(path.read_text())["status"]
    if status not in wanted:
        yield f"#{trial.number} is {status} in run.json, {trial.state.name} {wanted} in the study"


def _table(trials: list[FrozenTrial], folder: Path) -> Iterator[str]:
    with (folder / "multirun" / STUDY / "trials.csv").open(newline="") as file:
        rows = {int(row["number"]): row for row in csv.DictReader(file)}
    if rows.keys() != {trial.number for trial in trials}:
        yield f"trials.csv has the trials {sorted(rows)}"
    for trial in trials:
        status = rows.get(trial.number, {}).get("status")
        if trial.state in ENDINGS and status not in ENDINGS[trial.state]:
            yield f"#{trial.number} is {status} in trials.csv, {trial.state.name} in the study"


def _processes(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            is_here = process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE
            if is_here and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
