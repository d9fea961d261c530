"""What a long study costs: `python bench/scale.py`.

A study is filled with finished trials by Optuna itself, then continued by this project's engine with a few dozen trials
that sleep for about a second. `gap` is the time from a trial's end to the start that it made room for: the end
of its process, what is told, what is asked, and the next process. `use` is the share of the slots' time in which trials
sleep. CPU and memory are those of the process that asks and tells, and of the one that draws for it. `ask` is Optuna
alone, in one process: asking for a trial and drawing its four parameters. `to the first trial` is what taking a study
up costs, from the command on. A study in memory is measured so only: the engine always keeps its study on disk.
"""

import argparse
import contextlib
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import psutil
from engines import ENGINES, OURS, Engine, environment
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, create_trial
from result import Row, machine, save, spread, table
from search import Found, Search
from slots import use

from sweeplab.sweep.study.storage import open_storage

STORAGES = ["memory", "journal", "sqlite"]
SAMPLERS: dict[str, Any] = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
ASKS = 20


def engine(storage: str) -> Engine:
    """Return this project's engine on a storage."""
    further = ["hydra.sweeper.storage=sqlite:///study.db"] if storage == "sqlite" else []
    return Engine(f"{OURS} {storage}", "", lambda search: [*ENGINES[OURS].arguments(search), *further])


def opened(storage: str, folder: Path) -> BaseStorage:
    """Return the storage of a study in a folder, as the engine opens it."""
    return open_storage(f"sqlite:///{folder / 'study.db'}" if storage == "sqlite" else None, folder / "study")[0]


def begin(storage: str, folder: Path) -> None:
    """Run one trial, so that the study is the engine's own."""
    (folder / "records").mkdir()
    chosen = engine(storage)
    command = [str(chosen.python), *chosen.arguments(Search("sleep", 1, 1, mean=1.0))]
    subprocess.run(command, cwd=folder, env=environment(str(folder)), check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder / "records")


def fill(study: optuna.Study, first: FrozenTrial, count: int) -> None:
    """Add finished trials, drawn from the space of the first one."""
    draw = random.Random(0)
    for _ in range(count):
        params = {name: _drawn(kind, draw) for name, kind in first.distributions.items()}
        value = 0.9 - 0.1 * abs(params["channels"] - 30) / 30 + draw.gauss(0, 0.01)
        study.add_trial(create_trial(params=params, distributions=first.distributions, value=value))


def _drawn(kind: BaseDistribution, draw: random.Random) -> float:
    assert isinstance(kind, optuna.distributions.FloatDistribution | optuna.distributions.IntDistribution)
    value = kind.low * (kind.high / kind.low) ** draw.random() if kind.log else draw.uniform(kind.low, kind.high)
    return round(value) if isinstance(kind, optuna.distributions.IntDistribution) else value


def ask(study: optuna.Study, distributions: dict[str, BaseDistribution]) -> float:
    """Return the milliseconds of asking for a trial, median of some."""
    times = []
    for _ in range(ASKS):
        start = time.perf_counter()
        trial = study.ask(distributions)
        times.append(time.perf_counter() - start)
        study.tell(trial, 0.5)
    return 1000 * median(times)


class Watch:
    """Looks at the CPU seconds and the memory of the controller and, if there is one, the process that draws for it."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, float]] = []

    def look(self, process: psutil.Process) -> None:
        """Look once."""
        cpu = memory = 0.0
        for one in [process, *filter(_draws, process.children())]:
            with contextlib.suppress(psutil.NoSuchProcess), one.oneshot():
                cpu += sum(one.cpu_times()[:2])
                memory += one.memory_info().rss / 1e6
        self.seen.append((time.time(), cpu, memory))

    def cpu(self, found: Found) -> float:
        """Return the CPU milliseconds a trial, between the first start and the last."""
        first, last = found.trials[0].start, found.trials[-1].start
        within = [cpu for moment, cpu, _ in self.seen if first <= moment <= last]
        return 1000 * (within[-1] - within[0]) / (len(found.trials) - 1) if within else float("nan")

    @property
    def memory(self) -> float:
        """The most megabytes."""
        return max(megabytes for _, _, megabytes in self.seen)


def _draws(child: psutil.Process) -> bool:
    """Say whether a child is the process that draws: the others are the server that trials are forked from."""
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:
        return False


def gaps(found: Found, slots: int) -> list[float]:
    """Return the milliseconds from each end to the start that it made room for."""
    starts, ends = [t.start for t in found.trials], sorted(t.end for t in found.trials if t.end is not None)
    return [1000 * (start - end) for start, end in zip(starts[slots:], ends, strict=False)]


def measure(storage: str, options: argparse.Namespace) -> Iterator[Row]:
    """Return a row a size and sampler; one study grows from size to size."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        begin(storage, folder)
        kept = opened(storage, folder)
        first = optuna.load_study(study_name="study", storage=kept).trials[0]
        if storage == "memory":
            kept = InMemoryStorage()
            optuna.create_study(study_name="study", storage=kept, direction="maximize")
        study = optuna.load_study(study_name="study", storage=kept)
        for count in sorted(options.trials):
            fill(study, first, count - len(study.get_trials(deepcopy=False)))
            for sampler in options.samplers:
                there = len(study.get_trials(deepcopy=False))
                row: dict[str, Any] = {"storage": storage, "sampler": sampler, "trials": count}
                row |= run(storage, sampler, there, options.further, folder, options.slots)
                study.sampler = SAMPLERS[sampler](seed=0)
                # These trials stay in the study; the next size has so many less to add.
                yield row | {"ask, ms": f"{ask(study, first.distributions):.1f}"}


def run(storage: str, sampler: str, there: int, further: int, folder: Path, slots: int) -> dict[str, Any]:
    """Go on with a copy of the study in a folder, where so many trials are; return what was seen."""
    if storage == "memory":
        return {"note": "the engine has no such storage"}
    watch = Watch()
    search = Search("sleep", there + further, slots, sampler, mean=1.0)
    found = engine(storage).run(
        search,
        look=watch.look,
        prepare=lambda new: shutil.copytree(folder, new, dirs_exist_ok=True) and None,
        asked=further,
    )
    if found.error:
        return {"note": "did not run: " + found.said}
    return {
        "gap, ms": spread(gaps(found, slots), 0),
        "use": f"{use(found, slots)[0]:.3f}",
        "controller, CPU ms a trial": f"{watch.cpu(found):.0f}",
        "MB": f"{watch.memory:.0f}",
        "to the first trial, s": f"{found.trials[0].start - found.begin:.1f}",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 5000, 10_000])
    parser.add_argument("--storages", nargs="+", choices=STORAGES, default=STORAGES)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--further", type=int, default=64, help="trials run on top")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    begun = machine()
    rows: list[Row] = []
    for storage in options.storages:
        rows += measure(storage, options)
    columns = ["storage", "sampler", "trials", "gap, ms", "use", "controller, CPU ms a trial", "MB"]
    print(table(rows, [*columns, "to the first trial, s", "ask, ms", "note"]))
    save("scale", rows, begun, [OURS])


if __name__ == "__main__":
    main()
