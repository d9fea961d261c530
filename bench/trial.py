"""What a trial costs beside its own work, at 2 slots: `python bench/trial.py`.

Each engine is asked for the same trials: that do nothing, that are the smallest training through Lightning, the same
with W&B offline. This project's engine runs right before each other one; the ratios are those of such neighbours. An
engine that takes long is asked once, and for fewer trials. `each` is the wall time a trial once the first two
processes have ended one each, so that the imports of processes that stay do not count; `whole` is that of the command,
imports and all. `sweeplab train.py` is this project's own training command, which records
more than the shared task does.

Memory is what the command and its processes hold together, each shared page counted once (PSS), at its highest while
all trials of 2 and of 4 slots sleep with Lightning loaded; `a worker` is half the difference.
"""

import argparse
import time
from math import isfinite
from pathlib import Path
from statistics import median

import psutil
from engines import ENGINES, OURS, TRAIN, Engine
from result import Row, machine, save, spread, table
from search import Found, Search

SLOTS = 2
TASKS = ["memory", "noop", "lightning", "wandb"]  # memory first, so that each environment has been read from disk once
TRIALS = {"noop": 40, "lightning": 16, "wandb": 16}
FEW = {"syne tune": 6}  # of trials that train: each imports everything, which takes seconds
SLOW = 40.0  # seconds; an engine that took longer is not asked again


def measure(task: str, trials: int, engines: list[Engine], rounds: int) -> list[Row]:
    """Return a row an engine: milliseconds a trial and seconds in all, and both against this project's."""
    pairs: dict[str, list[tuple[Found, Found]]] = {engine.name: [] for engine in engines if engine.name != OURS}
    for _ in range(rounds):
        for engine in engines:
            if engine.name == OURS or (pairs[engine.name] and pairs[engine.name][0][0].seconds > SLOW):
                continue
            ours = ENGINES[OURS].run(Search(task, trials))
            few = trials if task == "noop" else min(trials, FEW.get(engine.name, trials))
            pairs[engine.name].append((engine.run(Search(task, few)), ours))
    all_ours = [ours for found in pairs.values() for _, ours in found]
    all_ours = all_ours or [ENGINES[OURS].run(Search(task, trials)) for _ in range(rounds)]
    return [row(task, OURS, [(ours, ours) for ours in all_ours]), *(row(task, *found) for found in pairs.items())]


def row(task: str, name: str, pairs: list[tuple[Found, Found]]) -> Row:
    """Return the row of an engine from its runs and those of this project's that ran right before each."""
    good = [(run, ours) for run, ours in pairs if not (run.error or ours.error) and isfinite(run.each(SLOTS))]
    bad = [run for run, ours in pairs if not ours.error and (run.error or not isfinite(run.each(SLOTS)))]
    said = (bad[0].said or "too few trials ended") if bad else ""
    note = {"note": f"{len(bad)} of {len(pairs)} did not run: {said}"} if bad else {}
    if not good:
        return {"task": task, "engine": name, "note": f"{OURS} did not run beside it"} | note
    runs = [run for run, _ in good]
    return {
        "task": task,
        "engine": name,
        "each, ms": _milliseconds([run.each(SLOTS) for run in runs]),
        f"times {OURS}": spread([run.each(SLOTS) / ours.each(SLOTS) for run, ours in good]),
        "whole, s": spread([run.seconds for run in runs], 1),
        "trials": len(runs[0].trials),
        "repeats": len(runs),
        "runs": [{"each": run.each(SLOTS), "seconds": run.seconds, "trials": len(run.trials)} for run in runs],
    } | note


def _milliseconds(values: list[float]) -> str:
    told: str = spread(values, 0 if median(values) >= 10 else 1)
    return told


def memory(engine: Engine, hold: float) -> Row:
    """Return the memory while all trials of 2 and of 4 slots sleep."""
    most = []
    for slots in (SLOTS, 2 * SLOTS):
        seen: list[tuple[float, float]] = []

        def look(process: psutil.Process, seen: list[tuple[float, float]] = seen) -> None:
            seen.append((time.time(), _pss(process)))

        found = engine.run(Search("hold", slots, slots, mean=hold), look=look)
        if found.error:
            return {"task": "memory", "engine": engine.name, "note": f"did not run: {found.said}"}
        asleep = [megabytes for moment, megabytes in seen if _sleeping(found, moment) >= slots]
        if not asleep:
            return {"task": "memory", "engine": engine.name, "note": f"{slots} trials did not sleep at once"}
        most.append(max(asleep))
    two, four = most
    worker = {"a worker, MB": f"{(four - two) / SLOTS:.0f}"}
    return {"task": "memory", "engine": engine.name, "2 slots, MB": round(two), "4 slots, MB": round(four)} | worker


def _sleeping(found: Found, moment: float) -> int:
    """Return how many trials slept at a moment: had reported their value, and not ended."""
    return sum(
        trial.end is not None and bool(trial.values) and trial.values[0][0] <= moment < trial.end
        for trial in found.trials
    )


def _pss(process: psutil.Process) -> float:
    """Return the megabytes of a process and its descendants, shared pages counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            lines = Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def chosen(names: list[str]) -> tuple[list[Engine], list[Row]]:
    """Return the engines that can run, this project's first, and a row for each that cannot."""
    names = [OURS, *(name for name in names if name != OURS)]
    there = [ENGINES[name] for name in names if ENGINES[name].there]
    return there, [{"engine": n, "note": "not installed: make bench-peers"} for n in names if not ENGINES[n].there]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, help="instead of 40 that do nothing and 16 trainings")
    parser.add_argument("--hold", type=float, default=10.0, help="seconds that trials sleep for the look at memory")
    options = parser.parse_args()
    begun, rows = machine(), []
    engines, missing = chosen(options.engines)
    for task in options.tasks:
        if task == "memory":
            fit = [engine for engine in engines if engine.name != TRAIN and not engine.name.endswith("basic")]
            found: list[Row] = [memory(engine, options.hold) for engine in fit]
            columns = ["engine", "2 slots, MB", "4 slots, MB", "a worker, MB", "note"]
        else:
            fit = [engine for engine in engines if engine.name != TRAIN or task != "noop"]
            found = measure(task, options.trials or TRIALS[task], fit, options.rounds)
            columns = ["engine", "each, ms", f"times {OURS}", "whole, s", "trials", "repeats", "note"]
        print(f"\n{task}\n\n{table([*found, *missing], columns)}\n", flush=True)
        rows += found
        save("trial", [*rows, *missing], begun, [engine.name for engine in engines])


if __name__ == "__main__":
    main()
