"""How much of the slots' time trials work: `python bench/slots.py`.

Trials sleep, so that 16 slots need no 16 cores, for lengths of four distributions with the same mean. Looked at is the
time from the moment when all slots have had a trial to the start of the last trial; `to the end` is the whole
search. `theory` is what batches that wait for their slowest can reach at best: the mean length over the mean of the
longest of so many, from 20,000 draws.
"""

import argparse
import sys
from statistics import fmean

from engines import ENGINES, OURS, PEERS
from result import Row, machine, save, spread, table
from search import Found, Search

sys.path.insert(0, str(PEERS))
from task import length

LENGTHS = ["uniform", "log-normal", "exponential", "asha"]


def use(found: Found, slots: int) -> tuple[float, float]:
    """Return the share of the slots' time in which trials sleep: under way, and to the end."""
    spans = [(trial.start, trial.end) for trial in found.trials if trial.end is not None]
    first, full, last = spans[0][0], spans[slots - 1][0], spans[-1][0]
    under_way = sum(max(0.0, min(end, last) - max(start, full)) for start, end in spans)
    whole = sum(end - start for start, end in spans)
    return under_way / (slots * (last - full)), whole / (slots * (max(end for _, end in spans) - first))


def theory(lengths: str, slots: int, draws: int = 20_000) -> float:
    """Return the share that batches reach."""
    found = [length(lengths, number, 1.0) for number in range(draws // slots * slots)]
    return fmean(found) / fmean(max(found[i : i + slots]) for i in range(0, len(found), slots))


def measure(lengths: str, slots: int, options: argparse.Namespace) -> list[Row]:
    """Return a row an engine; the engines take turns."""
    uses: dict[str, list[tuple[float, float]]] = {name: [] for name in options.engines}
    notes = dict.fromkeys(options.engines, "")
    search = Search("sleep", slots * options.batches, slots, lengths=lengths, mean=options.mean)
    for _ in range(options.rounds):
        for name in options.engines:
            if not ENGINES[name].there:
                notes[name] = "not installed: make bench-peers"
                continue
            found = ENGINES[name].run(search)
            if found.error:
                notes[name] = "did not run: " + found.said
            else:
                uses[name].append(use(found, slots))
    bound = theory(lengths, slots)
    return [
        {
            "lengths": lengths,
            "slots": slots,
            "engine": name,
            "use": spread([under_way for under_way, _ in uses[name]]),
            "to the end": spread([whole for _, whole in uses[name]]),
            "theory": f"{bound:.2f}" if name.startswith("hos") else "",
            "note": notes[name],
            "runs": uses[name],
        }
        for name in options.engines
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[OURS, "hos-1.4 joblib", "optuna loop"])
    parser.add_argument("--lengths", nargs="+", choices=LENGTHS, default=LENGTHS)
    parser.add_argument("--slots", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--mean", type=float, default=3.0, help="seconds that a trial sleeps")
    parser.add_argument("--batches", type=int, default=8, help="trials a slot")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    begun, rows = machine(), []
    for lengths in options.lengths:
        for slots in options.slots:
            rows += measure(lengths, slots, options)
    print(table(rows, ["lengths", "slots", "engine", "use", "to the end", "theory", "note"]))
    save("slots", rows, begun, options.engines)


if __name__ == "__main__":
    main()
