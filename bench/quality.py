"""The best validation accuracy against wall time: `python bench/quality.py`.

The CNN on MNIST-1D, the same space, network, data, steps and slots for all, from the moment when the command is typed;
after so many seconds each search is killed. What counts is the best validation accuracy that any epoch of any trial
had reached. Engines take turns, a seed a round. The second table says when a peer's median over the seeds came to its
final value, when this project's came to that, and the share of the peer's time that it took.

Then the configuration that each of this project's searches with TPE would choose is trained again, in full, under five
other seeds, with and without pruning: the test accuracy says whether pruning chooses worse.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import fmean, median, stdev
from typing import Any

from engines import ENGINES, OURS, PEERS, ROOT
from result import Row, machine, save, table
from search import Found, Search

SPACE = ("lr", "channels", "depth", "dropout")
AGAIN = range(100, 105)
POINTS = 60  # of a curve


@dataclass(frozen=True)
class Way:
    """An engine with a sampler and, or not, pruning."""

    engine: str
    sampler: str
    prune: bool = False

    @property
    def name(self) -> str:
        """How the table calls it."""
        return f"{self.engine}: {self.sampler}{' + asha' * self.prune}"


WAYS = [
    Way(OURS, "random"),
    Way(OURS, "tpe"),
    Way(OURS, "tpe", prune=True),
    Way("hos-1.4 joblib", "random"),
    Way("hos-1.4 joblib", "tpe"),
    Way("ray tune", "tpe", prune=True),
    Way("optuna loop", "tpe", prune=True),
]


def curve(found: Found, moments: Sequence[float]) -> list[float]:
    """Return the best value at each moment, in seconds from the command's beginning; 0 before the first."""
    values = [(moment - found.begin, value) for trial in found.trials for moment, value in trial.values]
    return [max((value for moment, value in values if moment <= until), default=0.0) for until in moments]


def choice(found: Found) -> dict[str, Any]:
    """Return the configuration with the best value."""
    scored = [trial for trial in found.trials if trial.values]
    best: dict[str, Any] = max(scored, key=lambda trial: max(value for _, value in trial.values)).config
    return best


def tested(config: dict[str, Any], seed: int) -> float:
    """Train a configuration anew; return the test accuracy of its best epoch."""
    sys.path.insert(0, str(PEERS))
    os.environ.setdefault("BENCH_DATA", str(ROOT / "data" / "mnist1d.npz"))
    import network

    return [test for _, test in network.curve({**config, "seed": seed}, test=True)][-1]


def reached(curve: Sequence[float], moments: Sequence[float], aim: float) -> float | None:
    """Return the first moment at which a curve comes to an aim."""
    return next((moment for moment, value in zip(moments, curve, strict=True) if value >= aim), None)


def rows_of(searches: dict[Way, list[Found]], moments: Sequence[float]) -> list[dict[str, Any]]:
    """Return a row a way."""
    rows = []
    for way, found in searches.items():
        curves = [curve(one, moments) for one in found]
        middle = [median(values) for values in zip(*curves, strict=True)]
        rows.append(
            {
                "way": way.name,
                "peer": way.engine != OURS,
                "trials, median": median(sum(bool(trial.values) for trial in one.trials) for one in found),
                "final, median": middle[-1],
                "lowest": min(values[-1] for values in curves),
                "highest": max(values[-1] for values in curves),
                "seconds": moments[-1],
                "median curve": middle,
                "curves": curves,
            }
        )
    return rows


def duels(rows: Sequence[Row], moments: Sequence[float]) -> list[dict[str, Any]]:
    """Return, for each peer, when its median came to its end, and when this project's came to the same."""
    found = []
    for peer in (row for row in rows if row["peer"]):
        aim = peer["final, median"]
        there = reached(peer["median curve"], moments, aim) if aim > 0 else None
        duel: dict[str, Any] = {"peer": peer["way"], "final, median": aim, "there after, s": there}
        for ours in (row for row in rows if not row["peer"]):
            here = reached(ours["median curve"], moments, aim)
            share = None if here is None or there is None else here / there
            duel[ours["way"]] = "not reached" if share is None else f"{here:.0f} s, {share:.2f}"
        found.append(duel)
    return found


def retrain(searches: dict[Way, list[Found]], workers: int) -> list[Row]:
    """Return, with and without pruning, the test accuracy of what each seed's search chose."""
    rows = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for way, found in searches.items():
            if way.engine != OURS or way.sampler != "tpe":
                continue
            chosen = [choice(one) for one in found if any(trial.values for trial in one.trials)]
            runs = [[pool.submit(tested, config, seed) for seed in AGAIN] for config in chosen]
            means = [fmean(run.result() for run in of_choice) for of_choice in runs]
            rows.append(
                {
                    "way": way.name,
                    "test accuracy": fmean(means),
                    "deviation over the searches": stdev(means) if len(means) > 1 else None,
                    "means": means,
                    "chosen": [{key: config[key] for key in SPACE} for config in chosen],
                }
            )
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120.0, help="for each search")
    parser.add_argument("--epochs", type=int, default=27, help="of a full training")
    parser.add_argument("--slots", type=int, default=2)
    names = [way.name for way in WAYS]
    parser.add_argument(
        "--ways", nargs="+", choices=names, default=names, metavar="WAY", help=f"some of: {', '.join(names)}"
    )
    options = parser.parse_args()
    begun, moments = machine(), [options.seconds * (i + 1) / POINTS for i in range(POINTS)]
    searches: dict[Way, list[Found]] = {way: [] for way in WAYS if way.name in options.ways}
    engines = list(dict.fromkeys(way.engine for way in searches))
    notes: list[Row] = []
    for seed in range(options.seeds):
        for way in list(searches):
            if not ENGINES[way.engine].there:
                del searches[way]
                notes.append({"way": way.name, "note": "not installed: make bench-peers"})
                continue
            search = Search("cnn", 10_000, options.slots, way.sampler, way.prune, options.epochs, seed)
            found = ENGINES[way.engine].run(search, options.seconds)
            if found.error:
                del searches[way]
                notes.append({"way": way.name, "note": "did not run: " + found.said})
            else:
                searches[way].append(found)
    rows = rows_of(searches, moments)
    print(table([*rows, *notes], ["way", "trials, median", "final, median", "lowest", "highest", "note"]) + "\n")
    compared = duels(rows, moments)
    if compared:
        print(table(compared, list(compared[0])) + "\n")
    save("quality", [*rows, *notes, *compared], begun, engines)
    again = retrain(searches, options.slots)
    print(table(again, ["way", "test accuracy", "deviation over the searches"]))
    save("quality", [*rows, *notes, *compared, *again], begun, engines)


if __name__ == "__main__":
    main()
