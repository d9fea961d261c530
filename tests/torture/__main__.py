"""Attack sweeps with random signals, and look at what they come to: `make torture MINUTES=10`.

One study after the other, each attacked with some signals to its controller, its fork server, a trial, the process of
its sampler, or all of them, and started anew with the same command whenever it ends. What then is wrong is printed, and
its folder kept; the exit code is 1. `--seed` decides what is sent to whom and after how long, not what the machine does
in the meantime.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.torture.attack import VICTIMS
from tests.torture.scenario import SCENARIOS
from tests.torture.siege import Siege, besiege


def torture(minutes: float, signals: int, each: int, seed: int, only: str) -> list[Siege]:
    """Attack one study after the other, until the time is over or so many signals were sent; return all of them."""
    sieges: list[Siege] = []
    chance, until = random.Random(seed), time.monotonic() + 60 * minutes
    scenarios = [scenario for scenario in SCENARIOS if only in scenario.name]
    while time.monotonic() < until and sum(len(siege.hits) for siege in sieges) < signals:
        folder = Path(tempfile.mkdtemp(prefix="torture-")).resolve()
        siege = besiege(scenarios[len(sieges) % len(scenarios)], folder, each, chance)
        sieges.append(siege)
        _print(siege, folder)
        if not siege.faults:
            shutil.rmtree(folder)
    return sieges


def table(sieges: list[Siege]) -> str:
    """Return what was sent to whom, in all, and what was wrong then, as a table of Markdown."""
    names = list(dict.fromkeys(siege.scenario.name for siege in sieges))
    lines = [["sweep", "studies", "commands", *VICTIMS, "signals", "faults"]]
    for name in [*names, ""]:
        rows = [siege for siege in sieges if name in ("", siege.scenario.name)]
        hits = Counter(hit.victim for siege in rows for hit in siege.hits)
        counts = [len(rows), sum(r.commands for r in rows), *(hits[victim] for victim in VICTIMS), hits.total()]
        lines.append([name or "in all", *map(str, counts), str(sum(len(siege.faults) for siege in rows))])
    lines.insert(1, ["---", *["---:"] * (len(lines[0]) - 1)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _print(siege: Siege, folder: Path) -> None:
    sys.stdout.write(f"{siege.scenario.name}: {len(siege.hits)} signals, {siege.commands} commands\n")
    for fault in siege.faults:
        sys.stdout.write(f"  WRONG: {fault} (in {folder})\n")
    sys.stdout.flush()


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--signals", type=int, default=sys.maxsize, help="end after so many")
    parser.add_argument("--each", type=int, default=12, help="signals a study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the names of the sweeps to attack")
    options = parser.parse_args()
    sieges = torture(options.minutes, options.signals, options.each, options.seed, options.only)
    sys.stdout.write(f"\n{table(sieges)}\n")
    return 1 if any(siege.faults for siege in sieges) else 0


if __name__ == "__main__":
    sys.exit(_main())
