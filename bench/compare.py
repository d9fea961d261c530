"""What comparing costs, by the number of runs: `python bench/compare.py`; with `--browser` also to open the page."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from synthetic import make_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
HEADS = ("runs", "table", "memory", "page", "memory", "size", "rows seen", "plot seen")


def cost(arguments: list[str]) -> tuple[float, float]:
    """Return the seconds that a command takes, and the most memory that it held, in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "compare.py", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"compare.py {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1000


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Hand out a headless Chromium that draws without a GPU."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


def opening(browser: "Browser", page: Path) -> tuple[float, float]:
    """Return the seconds from opening the page until rows can be read, and until the first plot is drawn."""
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    start = time.perf_counter()
    tab.goto(page.as_uri(), wait_until="commit")
    tab.locator("#table tbody tr").first.wait_for(state="attached")
    rows = time.perf_counter() - start
    tab.locator(".js-plotly-plot .main-svg").first.wait_for()
    plot = time.perf_counter() - start
    tab.close()
    return rows, plot


def measure(count: int, repeats: int, browser: "Browser | None") -> list[str]:
    """Return a row of the table: the medians for a study of `count` runs."""
    with tempfile.TemporaryDirectory() as place:
        study, page = Path(place, "made-up"), Path(place, "report.html")
        make_study(study, count)
        table = [cost([str(study)]) for _ in range(repeats)]
        html = [cost([str(study), "--html", str(page)]) for _ in range(repeats)]
        opened = [opening(browser, page) for _ in range(repeats)] if browser else [(0.0, 0.0)]
        size = page.stat().st_size / 1e6
    (seconds, memory), (writing, peak), (rows, plot) = (
        [statistics.median(part) for part in zip(*parts, strict=True)] for parts in (table, html, opened)
    )
    seen = [f"{rows:.1f} s", f"{plot:.1f} s"] if browser else []
    return [
        str(count),
        f"{seconds:.1f} s",
        f"{memory:.0f} MB",
        f"{writing:.1f} s",
        f"{peak:.0f} MB",
        f"{size:.1f} MB",
        *seen,
    ]


def main() -> None:
    """Print, for each size of study, what table and page cost, and how fast the page opens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--browser", action="store_true", help="open the page in Chromium too")
    options = parser.parse_args()
    print("".join(f"{head:>11}" for head in HEADS[: 8 if options.browser else 6]))
    for count in options.runs:
        if options.browser:
            with chromium() as browser:
                cells = measure(count, options.repeats, browser)
        else:
            cells = measure(count, options.repeats, None)
        print("".join(f"{cell:>11}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
