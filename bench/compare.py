"""What comparing costs, by the number of runs: `python bench/compare.py`; with `--browser` also to open the page."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from engines import OURS
from result import Row, machine, save, spread, table
from synthetic import make_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


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


def measure(count: int, repeats: int, browser: "Browser | None") -> Row:
    """Return the medians for a study of `count` runs."""
    with tempfile.TemporaryDirectory() as folder:
        study, page = Path(folder, "made-up"), Path(folder, "report.html")
        make_study(study, count)
        printed = [cost([str(study)]) for _ in range(repeats)]
        written = [cost([str(study), "--html", str(page)]) for _ in range(repeats)]
        opened = [opening(browser, page) for _ in range(repeats)] if browser else []
        size = page.stat().st_size / 1e6
    row = {
        "runs": count,
        "table, s": spread([seconds for seconds, _ in printed], 1),
        "table, MB": spread([memory for _, memory in printed], 0),
        "page, s": spread([seconds for seconds, _ in written], 1),
        "page, MB": spread([memory for _, memory in written], 0),
        "size, MB": f"{size:.1f}",
    }
    if opened:
        row["rows seen, s"] = spread([rows for rows, _ in opened], 1)
        row["plot seen, s"] = spread([plot for _, plot in opened], 1)
    return row


def main() -> None:
    """Print, for each size of study, what table and page cost, and how fast the page opens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--browser", action="store_true", help="open the page in Chromium too")
    options = parser.parse_args()
    begun, rows = machine(), []
    for count in options.runs:
        with chromium() if options.browser else nullcontext() as browser:
            rows.append(measure(count, options.repeats, browser))
    print(table(rows, list(rows[0])))
    save("compare", rows, begun, [OURS])


if __name__ == "__main__":
    main()
