"""One study under attack: signals, the same command again, until it is allowed to come to its end."""

import contextlib
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture import audit
from tests.torture.attack import Hit, strike
from tests.torture.scenario import Scenario
from tests.torture.workers import Workers

LONGEST = 300.0  # seconds for the command that nobody attacks
EARLY = 0.15  # how many of the commands are attacked before they have begun a trial
# Of signals that a sweep obeys, of a sweep that was complete, or that broke off because its fork server was killed.
CODES = {0, 1, 129, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}


@dataclass
class Siege:
    """What a study went through, and what is wrong with it after that."""

    scenario: Scenario
    hits: list[Hit] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    commands: int = 0


def besiege(scenario: Scenario, folder: Path, signals: int, chance: random.Random) -> Siege:
    """Attack a study in an empty folder with so many signals, run it to its end, and look at what there is."""
    (folder / "tmp").mkdir(parents=True)
    scenario.prepare(folder)
    with contextlib.closing(Workers(scenario.nodes, folder / "cluster", folder / "tmp")) as workers:
        return _besiege(scenario, folder, signals, chance, workers)


def _besiege(scenario: Scenario, folder: Path, signals: int, chance: random.Random, workers: Workers) -> Siege:
    siege = Siege(scenario)
    untouched: dict[Path, bytes] = {}
    while len(siege.hits) < signals:
        running = [_start(siege, folder, chance) for _ in range(scenario.controllers)]
        is_over = _attack(siege, running, folder, signals, chance, workers)
        siege.faults += [f"exit code {p.returncode}" for p in running if p.returncode not in CODES]
        siege.faults += audit.wait_for_quiet(folder)
        siege.faults += audit.changes(untouched)
        if is_over:
            break
        untouched = audit.contents(scenario, folder) if _journal(scenario, folder).exists() else {}
    workers.replace(now=True)
    last = _start(siege, folder, chance)
    if _wait(last, LONGEST) != 0:
        siege.faults.append(f"the last command ended with exit code {last.returncode}")
    siege.faults += [*audit.changes(untouched), *audit.wait_for_quiet(folder), *audit.audit(scenario, folder)]
    return siege


def _start(siege: Siege, folder: Path, chance: random.Random) -> "subprocess.Popen[bytes]":
    siege.commands += 1
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": os.pathsep.join(["app", *_path()])}
    with (folder / "console.log").open("ab") as log:
        return subprocess.Popen(
            siege.scenario.command(),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _attack(
    siege: Siege,
    running: "list[subprocess.Popen[bytes]]",
    folder: Path,
    signals: int,
    chance: random.Random,
    workers: Workers,
) -> bool:
    """Send signals until no controller is left; say whether all of them came to their end by themselves."""
    trials, early = _folders(folder), chance.random() < EARLY
    while alive := [process for process in running if process.poll() is None]:
        workers.replace()
        if not early and _folders(folder) == trials:
            time.sleep(0.02)
            continue
        early = True
        if len(siege.hits) >= signals:  # enough: end it, as the last signal of all
            for process in alive:
                process.kill()
                process.wait()
            return False
        try:
            alive[0].wait(chance.uniform(0.0, siege.scenario.pause))
        except subprocess.TimeoutExpired:
            hit = strike(chance.choice(alive).pid, chance, workers.pids)
            siege.hits += [hit] if hit else []
    return all(process.returncode == 0 for process in running)


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int:
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
    return process.wait()


def _folders(folder: Path) -> int:
    return len(list(folder.glob("multirun/*/[0-9]*")))


def _journal(scenario: Scenario, folder: Path) -> Path:
    return folder / ("study.db" if scenario.url else "multirun/study/study.journal")


def _path() -> list[str]:
    return [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
