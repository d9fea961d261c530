"""Take `docs/pictures/report-*.png` of a study's report: light, dark, and on a phone. Needs Chromium.

python train.py -m sweep=asha model=cnn data=mnist1d trainer.max_epochs=20 hydra.sweeper.n_trials=150 study=shown
python docs/pictures/report.py multirun/shown
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Locator, sync_playwright

from sweeplab.records.found import find
from sweeplab.records.study import Study
from sweeplab.report import write_report

HERE = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
COLOURS = 256  # of a picture: it is a third as large, and nobody sees it


def take(
    browser: Browser, page: Path, name: str, theme: Literal["light", "dark"], width: int, height: int, chosen: str
) -> None:
    """Take a picture of the upper part of the page, with what was `chosen` in its address."""
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    tab.goto(f"{page.as_uri()}#{chosen}")
    plots: list[Locator] = tab.locator("#plots > section").all()
    for plot in plots:
        plot.scroll_into_view_if_needed()
        tab.locator(f"#{plot.get_attribute('id')}[aria-busy=false]").wait_for()
    tab.evaluate("scrollTo(0, 0)")
    shot = tab.screenshot(
        full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height}, animations="disabled"
    )
    Image.open(BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        HERE / f"report-{name}.png", optimize=True
    )


def main(study: Path) -> None:
    """Take all pictures."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder, "report.html")
        write_report(page, find([study]).runs, Study.read(study))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=FLAGS
        )
        take(browser, page, "light", "light", 1440, 2080, "")
        take(browser, page, "dark", "dark", 1440, 2080, "filter=lr>0.003")
        take(browser, page, "phone", "light", 390, 1700, "")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
