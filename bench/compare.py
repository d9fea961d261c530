"""What comparing costs, by the number of runs: `python bench/compare.py`."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synthetic import make_study

ROOT = Path(__file__).resolve().parent.parent


def cost(arguments: list[str]) -> tuple[float, float]:
    """Return the seconds that a command takes, and the most memory that it held, in MB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "compare.py", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"compare.py {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1000


def main() -> None:
    """Print, for each size of study, the median cost of the table and of the page, and the page's size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{'runs':>6}  {'table':>7}  {'memory':>7}  {'page':>7}  {'memory':>7}  {'size':>7}")
    for count in options.runs:
        with tempfile.TemporaryDirectory() as place:
            study, page = Path(place, "made-up"), Path(place, "report.html")
            make_study(study, count)
            table = [cost([str(study)]) for _ in range(options.repeats)]
            html = [cost([str(study), "--html", str(page)]) for _ in range(options.repeats)]
            size = page.stat().st_size / 1e6
        medians = [statistics.median(part) for costs in (table, html) for part in zip(*costs, strict=True)]
        print("{:6}  {:5.1f} s  {:4.0f} MB  {:5.1f} s  {:4.0f} MB  {:4.1f} MB".format(count, *medians, size))


if __name__ == "__main__":
    main()
