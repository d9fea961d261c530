"""What the sweep engine costs a trial, and how well it uses its slots.

python bench/sweep.py             # all: some four minutes
python bench/sweep.py noop        # trials that do nothing
python bench/sweep.py lightning   # the smallest trainings, without a logger and with W&B offline, by turns
python bench/sweep.py slots       # sleeping trials of log-normal lengths, eight at a time
"""

import csv
import random
import re
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
ROUNDS = 3


def sweep(script: Path, *arguments: str) -> list[tuple[float, float]]:
    """Run a sweep; return when each trial started and ended, in seconds, by its number."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), "-m", f"hydra.sweep.dir={folder}/study", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        rows = list(csv.DictReader((Path(folder) / "study" / "trials.csv").read_text().splitlines()))
        assert {row["status"] for row in rows} == {"complete"}
        ended = {
            int(number): datetime.fromisoformat(f"{stamp}.{thousandths}").timestamp()
            for stamp, thousandths, number in re.findall(
                r"^(\S+ \S+),(\d+) #(\d+)  ", (Path(folder) / "study" / "sweep.log").read_text(), re.MULTILINE
            )
        }
    return [(ended[int(row["number"])] - float(row["seconds"]), ended[int(row["number"])]) for row in rows]


def per_slot_trial(times: list[tuple[float, float]], slots: int) -> float:
    """Return the milliseconds that a slot needs for a trial, its start and its end included."""
    ends = sorted(end for _, end in times)
    return 1000 * slots * (ends[-1] - ends[0]) / (len(ends) - 1)


def noop() -> None:
    """200 trials that do nothing, on 2 slots."""
    plugin = "hydra/sweeper=sweeplab"
    costs = [
        per_slot_trial(sweep(HERE / "trials.py", plugin, "hydra.sweeper.n_jobs=2", "+x=range(200)"), 2)
        for _ in range(ROUNDS)
    ]
    print(
        f"no-op: {median(costs):.0f} ms a slot-trial (median of {ROUNDS}: {', '.join(f'{cost:.0f}' for cost in costs)})"
    )


def lightning() -> None:
    """40 trainings of one epoch of the linear model on digits, on 2 slots."""
    tiny = (
        "model=linear",
        "trainer.max_epochs=1",
        "callbacks=none",
        "test=false",
        "hydra.sweeper.n_jobs=2",
        "seed=range(40)",
    )
    costs: dict[str, list[float]] = {"none": [], "wandb": []}
    for _ in range(ROUNDS):
        for logger, found in costs.items():
            found.append(per_slot_trial(sweep(HERE.parent / "train.py", *tiny, f"logger={logger}"), 2))
    for logger, found in costs.items():
        print(f"tiny Lightning, logger={logger}: {median(found):.0f} ms ({', '.join(f'{cost:.0f}' for cost in found)})")


def slots(count: int = 8, trials: int = 120, scale: float = 3.0, sigma: float = 1.0) -> None:
    """The share of the slots' time in which trials sleep, to the end and while trials are left to start."""
    arguments = (f"+scale={scale}", f"+sigma={sigma}", f"hydra.sweeper.n_jobs={count}", f"+x=range({trials})")
    times = sweep(HERE / "trials.py", "hydra/sweeper=sweeplab", *arguments)
    lengths = [scale * random.Random(number).lognormvariate(0.0, sigma) for number in range(trials)]
    begin, last = min(start for start, _ in times), max(start for start, _ in times)
    whole = sum(lengths) / (count * (max(end for _, end in times) - begin))
    asleep = sum(min(length, max(0.0, last - (end - length))) for length, (_, end) in zip(lengths, times, strict=True))
    print(f"{count} slots, {trials} trials of log-normal lengths, sigma {sigma:g}; in use")
    print(f"  while trials are left to start  {asleep / (count * (last - begin)):.3f}")
    print(f"  to the very end                 {whole:.3f}")
    print(f"  with a barrier after each batch {_batches(lengths, count):.3f} (computed)")


def _batches(lengths: list[float], count: int) -> float:
    batches = [lengths[i : i + count] for i in range(0, len(lengths), count)]
    return sum(lengths) / (count * sum(map(max, batches)))


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["noop", "lightning", "slots"]
    for name in chosen:
        {"noop": noop, "lightning": lightning, "slots": slots}[name]()
