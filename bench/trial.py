"""What a trial costs beside its own work, at 2 slots: `python bench/trial.py`.

Each engine is asked for the same trials: that do nothing, that are the smallest training through Lightning, the same
with W&B offline. This project's engine runs right before each other one; the ratios are those of such neighbours. An
engine that takes long is asked once, and for fewer trials. `each` is the wall time a trial, once each slot has had one,
`whole` that of the command, imports and all. `sweeplab train.py` is this project's own training command, which records
more than the shared task does.

Memory is what the command and its processes hold together, each shared page counted once (PSS), at its highest while
trials of 2 and of 4 slots sleep with Lightning loaded; `a worker` is half the difference.
"""

import argparse
from pathlib import Path

import psutil
from engines import ENGINES, OURS, TRAIN, Engine, Found, Search
from result import Row, machine, save, spread, table

SLOTS = 2
TRIALS = {"noop": 40, "lightning": 12, "wandb": 12}
FEW = {"ray tune": 6, "syne tune": 6}  # of trials that train: each takes these engines seconds
# Their own training, no second worker, and the same launcher as hos-1.4's.
NO_OTHER_MEMORY = (TRAIN, "hos-1.3 basic", "hos-1.4 basic", "hos-1.3 joblib")
SLOW = 40.0  # seconds; an engine that took longer is not asked again


def measure(task: str, trials: int, engines: list[Engine], rounds: int) -> list[Row]:
    """Return a row an engine: milliseconds a trial and seconds in all, and both against this project's."""
    found: dict[str, list[tuple[Found, Found]]] = {engine.name: [] for engine in engines if engine.name != OURS}
    for _ in range(rounds):
        for engine in engines:
            if engine.name == OURS or (found[engine.name] and found[engine.name][0][0].seconds > SLOW):
                continue
            ours = ENGINES[OURS].run(Search(task, trials))
            few = trials if task == "noop" else min(trials, FEW.get(engine.name, trials))
            found[engine.name].append((engine.run(Search(task, few)), ours))
    all_ours = [ours for pairs in found.values() for _, ours in pairs]
    rows = [_row(task, name, [run for run, _ in pairs], [ours for _, ours in pairs]) for name, pairs in found.items()]
    return [_row(task, OURS, all_ours, all_ours), *rows]


def _row(task: str, name: str, runs: list[Found], ours: list[Found]) -> Row:
    errors = [run.error for run in [*runs, *ours] if run.error]
    if errors:
        return {"task": task, "engine": name, "note": "did not run: " + errors[0].strip().splitlines()[-1]}
    return {
        "task": task,
        "engine": name,
        "each, ms": spread([run.each(SLOTS) for run in runs], 0),
        f"times {OURS}": spread([run.each(SLOTS) / our.each(SLOTS) for run, our in zip(runs, ours, strict=True)]),
        "whole, s": spread([run.seconds for run in runs], 1),
        "trials": len(runs[0].trials),
        "repeats": len(runs),
        "runs": [{"each": run.each(SLOTS), "seconds": run.seconds, "trials": len(run.trials)} for run in runs],
    }


def memory(engine: Engine, hold: float) -> Row:
    """Return the most memory of 2 and of 4 slots."""
    highest = []
    for slots in (SLOTS, 2 * SLOTS):
        seen = [0.0]

        def look(process: psutil.Process, seen: list[float] = seen) -> None:
            seen.append(_pss(process))

        found = engine.run(Search("hold", slots, slots, mean=hold), look=look)
        if found.error:
            return {"engine": engine.name, "note": "did not run: " + found.error.strip().splitlines()[-1]}
        at_once = max(sum(t.start <= other.start <= (t.end or t.start) for t in found.trials) for other in found.trials)
        highest.append((max(seen), at_once))
    (two, _), (four, at_once) = highest
    worker = f"{(four - two) / SLOTS:.0f}" if at_once >= 4 else f"not at once: {at_once} trials"
    return {"engine": engine.name, "2 slots, MB": round(two), "4 slots, MB": round(four), "a worker, MB": worker}


def _pss(process: psutil.Process) -> float:
    """Return the megabytes of a process and its descendants, shared pages counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            lines = Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000


def chosen(names: list[str]) -> tuple[list[Engine], list[Row]]:
    """Return the engines that can run, this project's first, and a row for each that cannot."""
    names = [OURS, *(name for name in names if name != OURS)]
    there = [ENGINES[name] for name in names if ENGINES[name].there]
    return there, [{"engine": n, "note": "not installed: make bench-peers"} for n in names if not ENGINES[n].there]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=[*TRIALS, "memory"], default=[*TRIALS, "memory"])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, help="instead of 40 that do nothing and 12 trainings")
    parser.add_argument("--hold", type=float, default=10.0, help="seconds that trials sleep for the look at memory")
    options = parser.parse_args()
    begun, rows = machine(), []
    engines, missing = chosen(options.engines)
    for task in options.tasks:
        if task == "memory":
            fit = [engine for engine in engines if engine.name not in NO_OTHER_MEMORY]
            found: list[Row] = [memory(engine, options.hold) for engine in fit]
            columns = ["engine", "2 slots, MB", "4 slots, MB", "a worker, MB", "note"]
        else:
            fit = [engine for engine in engines if engine.name != TRAIN or task != "noop"]
            found = measure(task, options.trials or TRIALS[task], fit, options.rounds)
            columns = ["engine", "each, ms", f"times {OURS}", "whole, s", "trials", "repeats", "note"]
        print(f"\n{task}\n\n{table([*found, *missing], columns)}\n", flush=True)
        rows += [{"task": task, **row} for row in found]
    save("trial", [*rows, *missing], begun, options.engines)


if __name__ == "__main__":
    main()
