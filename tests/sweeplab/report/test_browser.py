"""The page in a real browser: all that a user sees and does."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from bench.synthetic import make_study
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from sweeplab.report import write_report
from sweeplab.report.page import write_study_report
from tests.sweeplab.report.folders import make_run

pytestmark = pytest.mark.slow

# A browser without a screen, a GPU or a word to its maker.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & <b> \"y\" 'ü'"
ELSEWHERE = {"host": "elsewhere", "pid": 1, "started": 0.0}
MARKS = ".point path, .bars path, .scatterlayer path.point, .scatterlayer path.js-line, .contourlayer path, canvas"

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("The report's page is tested in a browser: apt-get install chromium, or install google-chrome.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open a page; whatever it complains of fails the test."""
    complaints: list[str] = []
    opened: list[Page] = []

    def run(path: Path, width: int = 1440, theme: str = "light", state: str = "") -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]  # a str
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: complaints.append(request.url) if "file:" not in request.url else None)
        page.goto(f"{path.as_uri()}{state}")
        opened.append(page)
        return page

    yield run
    for page in opened:
        page.close()
    assert complaints == []


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 80 runs, some pruned, failed and killed, and its page."""
    folder = tmp_path_factory.mktemp("studies") / "cnn"
    make_study(folder, 80, seed=6)
    write_study_report(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def pareto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "pareto"
    make_study(folder, 40, objectives=2, pruned=False)
    write_study_report(folder)
    return folder / "report.html"


def look_at(page: Page, plot: str) -> int:
    """Scroll to a plot, and return how many marks it has once it is drawn."""
    section = come_to(page, plot)
    section.locator(".main-svg").first.wait_for()
    return section.locator(MARKS).count()


def come_to(page: Page, plot: str) -> Locator:
    """Scroll to a plot, and wait until it is drawn or says why it is not."""
    page.locator(f"#{plot} h2").scroll_into_view_if_needed()
    page.locator(f"#{plot}[aria-busy=false]").wait_for()
    return page.locator(f"#{plot}")


def plots(page: Page) -> list[str]:
    return [str(each.get_attribute("id")) for each in page.locator("#plots > section").all()]


def draw_all(page: Page) -> None:
    """Draw all plots: as they are drawn the table below moves, and a click might miss it."""
    for plot in plots(page):
        come_to(page, plot)


def rows(page: Page, label: str) -> list[str]:
    """What a column of the table shows."""
    place = page.locator("#table thead th").evaluate_all(
        "(heads, label) => heads.findIndex((head) => head.textContent.split(' ')[0] === label)", label
    )
    assert place >= 0
    found = page.locator(f"#table tbody tr > :nth-child({place + 1})")
    return [str(text) for text in found.all_text_contents()]


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_plot_is_drawn_on_a_laptop_and_on_a_phone(open_page: Open, study: Path, width: int, theme: str) -> None:
    page = open_page(study, width, theme)
    assert plots(page) == ["history", "importance", "parallel", "curves", "slices", "map", "timeline"]
    for plot in plots(page):
        assert look_at(page, plot) >= 3, plot
    assert page.locator("#slices .chart").count() == 5
    assert overflow(page) <= 0
    assert page.locator("html").get_attribute("data-theme") == theme


def test_several_objectives_have_a_front(open_page: Open, pareto: Path) -> None:
    page = open_page(pareto)
    assert look_at(page, "pareto") >= 20
    page.get_by_label("Judged by").select_option("model/parameters")
    best = min(int(text) for text in rows(page, "model/parameters") if text)
    assert page.locator(".figure strong").text_content() == str(best)


def test_a_click_on_a_column_sorts_numbers_as_numbers_and_empty_last(open_page: Open, study: Path) -> None:
    page = open_page(study)
    draw_all(page)
    head = page.locator("#table thead th", has_text="lr")
    head.locator("button").click()
    values = [float(text) for text in rows(page, "lr")]
    assert values == sorted(values)
    assert page.locator("#table thead th", has_text="lr").get_attribute("aria-sort") == "ascending"
    page.locator("#table thead th button", has_text="lr").press("Enter")
    assert [float(text) for text in rows(page, "lr")] == sorted(values, reverse=True)
    page.locator("#table thead th button", has_text="test/acc").click()
    tests = rows(page, "test/acc")
    known = [float(text) for text in tests if text]
    assert known == sorted(known, reverse=True)  # the best first, where more is better
    assert tests[len(known) :] == [""] * (len(tests) - len(known))
    assert "" in tests


def test_the_filter_reaches_the_table_and_the_plots(open_page: Open, study: Path) -> None:
    page = open_page(study)
    look_at(page, "history")
    page.get_by_label("Filter").fill("lr < 0.01 status=complete optimizer=adam")
    found = len(rows(page, "run"))
    assert 0 < found < 80
    assert set(rows(page, "status")) == {"complete"}
    assert set(rows(page, "optimizer")) == {"adam"}
    assert max(float(text) for text in rows(page, "lr")) < 0.01
    assert page.locator("#count").text_content() == f"{found} runs of 80"
    assert page.locator("#history path.point").count() == found
    assert look_at(page, "timeline") == found
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#count").text_content() == "all 80 runs"
    assert look_at(page, "history") == 80 + 1  # and the best so far


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("learning<1", "There is no column learning; there are run, status,"),
        ("lr<fast", "lr< needs a number behind it."),
        ("optimizer<3", "optimizer has no numbers; write optimizer=..."),
    ],
)
def test_a_mistake_in_the_filter_is_told(open_page: Open, study: Path, text: str, sentence: str) -> None:
    page = open_page(study)
    page.get_by_label("Filter").fill(f"{text} status=complete")
    assert page.get_by_role("alert").text_content().startswith(sentence)  # type: ignore[union-attr]  # an alert has text
    assert set(rows(page, "status")) == {"complete"}


def test_the_filter_knows_lists_negations_words_and_emptiness(open_page: Open, study: Path) -> None:
    page = open_page(study)
    box = page.get_by_label("Filter")
    box.fill("status=failed,killed")
    assert set(rows(page, "status")) == {"failed", "killed"}
    box.fill("status!=pruned depth=2")
    assert "pruned" not in rows(page, "status")
    assert set(rows(page, "depth")) == {"2"}
    box.fill("SGD")
    assert set(rows(page, "optimizer")) == {"sgd"}
    box.fill("test/acc=")
    assert set(rows(page, "test/acc")) == {""}


def test_of_the_tags_of_a_run_one_is_enough_for_the_filter(open_page: Open, tmp_path: Path) -> None:
    tags: tuple[list[str], ...] = (["first", "mnist"], ["mnist"], [])
    runs = [make_run(tmp_path / str(n), {"lr": n}, 0.5, tags=each) for n, each in enumerate(tags)]
    write_report(tmp_path / "report.html", runs, None)
    page = open_page(tmp_path / "report.html")
    assert sorted(rows(page, "tags")) == ["", "first, mnist", "mnist"]
    for text, left in (("tags=first", ["first, mnist"]), ("tags!=first", ["", "mnist"]), ("tags=", [""])):
        page.get_by_label("Filter").fill(text)
        assert sorted(rows(page, "tags")) == left


def test_a_click_on_a_run_shows_it_everywhere(open_page: Open, study: Path) -> None:
    page = open_page(study)
    before = look_at(page, "history")
    name = rows(page, "run")[0]
    page.locator("#table tbody tr").first.click()
    details = page.get_by_role("complementary")
    assert details.get_by_role("heading", name=f"Run {name}").is_visible()
    assert str(details.locator("code").text_content()).endswith(f"/cnn/{name}")
    assert page.locator("#table tr.selected").count() == 1
    assert look_at(page, "history") == before + 1
    page.keyboard.press("Escape")
    assert not details.is_visible()
    assert look_at(page, "history") == before


def test_a_failed_run_says_why(open_page: Open, study: Path) -> None:
    page = open_page(study, state="#filter=status%3Dfailed")
    draw_all(page)
    page.locator("#table tbody tr button").first.click()
    page.get_by_role("complementary").wait_for()
    assert "ValueError: no such luck" in page.get_by_role("complementary").inner_text()


def test_a_click_on_a_point_shows_its_run(open_page: Open, study: Path) -> None:
    page = open_page(study)
    look_at(page, "history")
    page.locator("#history").get_by_text("History").scroll_into_view_if_needed()
    box = page.locator("#history path.point").nth(40).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#history .hovertext").wait_for()
    page.mouse.down()
    page.mouse.up()
    page.get_by_role("complementary").wait_for()


def test_a_drag_over_an_axis_becomes_conditions(open_page: Open, study: Path) -> None:
    page = open_page(study)
    look_at(page, "parallel")
    page.locator("#parallel .chart").scroll_into_view_if_needed()
    box = page.locator("#parallel .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_function("document.getElementById('filter').value !== ''")
    text = page.get_by_label("Filter").input_value()
    assert text.startswith("lr>=")
    assert " lr<=" in text
    assert 0 < len(rows(page, "lr")) < 80


def test_links_lead_to_the_folders_of_the_runs(open_page: Open, study: Path) -> None:
    page = open_page(study)
    links = page.locator("#table tbody a").evaluate_all("(links) => links.map((link) => link.href)")
    assert len(links) == 80
    assert all((Path(unquote(urlparse(link).path)) / "run.json").is_file() for link in links)


def test_what_was_chosen_outlives_a_reload(open_page: Open, study: Path) -> None:
    page = open_page(study)
    page.get_by_label("Filter").fill("status=complete")
    draw_all(page)
    page.locator("#table thead th button", has_text="depth").click()
    page.get_by_role("button", name="Use dark colours").click()
    look_at(page, "curves")
    page.get_by_label("Metric").select_option("val/loss")
    page.reload()
    assert page.get_by_label("Filter").input_value() == "status=complete"
    assert set(rows(page, "status")) == {"complete"}
    assert page.locator("#table thead th", has_text="depth").get_attribute("aria-sort") == "ascending"
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.get_by_label("Metric").input_value() == "val/loss"


def test_what_a_pruned_run_came_to_does_not_press_the_curves_flat(open_page: Open, tmp_path: Path) -> None:
    curves = {"a": [0.5, 0.9], "b": [0.6, 0.8]}
    complete = [make_run(tmp_path / name, {"x": name}, 0.8, curve) for name, curve in curves.items()]
    pruned = make_run(tmp_path / "c", {"x": "c"}, None, [900.0, 1e6], status="pruned")
    write_report(tmp_path / "report.html", [*complete, pruned], None)
    page = open_page(tmp_path / "report.html")
    look_at(page, "curves")
    low, high = page.evaluate("document.querySelector('#curves .js-plotly-plot').layout.yaxis.range")
    assert low < 0.5 < 0.9 < high < 1


def test_smoothing_draws_the_curve_over_the_raw_one(open_page: Open, study: Path) -> None:
    page = open_page(study)
    before = look_at(page, "curves")
    page.get_by_label("Smoothing").fill("0.6")
    page.wait_for_function(f"document.querySelectorAll('#curves path.js-line').length === {2 * before}")
    assert page.locator("#curves path.js-line").count() == 2 * before


@pytest.mark.parametrize("width", [390, 1440])
def test_names_and_values_are_text_and_nothing_else(open_page: Open, tmp_path: Path, width: int) -> None:
    for number, note in enumerate((EVIL, "<b>plain</b>", "{{data}}")):
        trial = {"study": EVIL, "number": number, "params": {EVIL: note}}
        config = {EVIL: note, "x": number}
        curve = [0.1, 0.5]
        make_run(tmp_path / "s" / str(number), config, 0.5 + number, curve, trial=trial, error=EVIL, command=EVIL)
    write_study_report(tmp_path / "s")
    page = open_page(tmp_path / "s" / "report.html", width, state="#selected=0")
    assert page.title() == " ".join(EVIL.split())
    assert page.locator("h1").text_content() == EVIL
    for plot in plots(page):
        come_to(page, plot).locator(".main-svg, .note:visible").first.wait_for()
    assert page.locator("#table td", has_text="<b>plain</b>").count() == 1
    assert page.locator("main img, main b, aside b, aside img").count() == 0
    assert overflow(page) <= 0


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("facts", [{"value": 0.5}, {"status": "failed", "error": "no"}, {"status": "running"}])
def test_a_single_run_is_a_page_without_complaints(
    open_page: Open, tmp_path: Path, facts: dict[str, Any], width: int
) -> None:
    make_run(tmp_path / "one", {"x": 1}, curve=[0.1, 0.4, 0.3], process=ELSEWHERE, **facts)
    write_study_report(tmp_path / "one")
    page = open_page(tmp_path / "one" / "report.html", width)
    for plot in plots(page):
        come_to(page, plot).locator(".main-svg, .note:visible").first.wait_for()
    assert len(rows(page, "run")) == 1
    assert overflow(page) <= 0


def test_runs_of_which_none_is_complete_are_shown(open_page: Open, tmp_path: Path) -> None:
    for number in range(12):
        make_run(tmp_path / "s" / str(number), {"x": number, "y": -number}, status="failed", error="no")
    write_study_report(tmp_path / "s")
    page = open_page(tmp_path / "s" / "report.html")
    assert page.get_by_text("none is the best").is_visible()
    assert page.locator("#history .note").text_content() == "No run has a value yet."
    assert len(rows(page, "run")) == 12


def test_seeds_have_a_table_and_a_sentence_on_the_best(open_page: Open, tmp_path: Path) -> None:
    for number in range(6):
        model = ("cnn", "mlp")[number % 2]
        make_run(tmp_path / "s" / str(number), {"model": model, "seed": number // 2}, 0.5 + number / 10)
    write_study_report(tmp_path / "s")
    page = open_page(tmp_path / "s" / "report.html")
    assert page.locator("#tables tbody tr").count() == 2
    assert page.locator(".significance").text_content()


def test_thousands_of_runs_are_drawn_in_portions(open_page: Open, tmp_path: Path) -> None:
    make_study(tmp_path / "many", 2000)
    write_study_report(tmp_path / "many")
    page = open_page(tmp_path / "many" / "report.html")
    first = len(rows(page, "run"))
    assert first < 1000
    page.locator("#table").evaluate("(box) => box.scrollTo(0, box.scrollHeight)")
    page.wait_for_function(f"document.querySelectorAll('#table tbody tr').length > {first}")
    page.locator("#curves select").last.select_option("all")
    for plot in plots(page):
        assert look_at(page, plot) >= 3, plot


def test_a_print_has_all_plots_and_rows(open_page: Open, study: Path) -> None:
    page = open_page(study)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert {len(page.locator(f"#{plot} .main-svg").all()) > 0 for plot in plots(page)} == {True}
    assert len(rows(page, "run")) == 80
    assert not page.get_by_label("Filter").is_visible()


def test_a_page_of_runs_that_run_loads_itself_again(open_page: Open, tmp_path: Path) -> None:
    run = make_run(tmp_path / "0", {}, status="running", process=ELSEWHERE)
    write_report(tmp_path / "report.html", [run], None, every=5)  # time to fill the filter, on any machine
    page = open_page(tmp_path / "report.html")
    page.get_by_label("Filter").fill("status=running")
    write_report(tmp_path / "report.html", [run, make_run(tmp_path / "1", {}, 0.5)], None)
    page.wait_for_function("document.querySelector('h1').textContent === '2 runs'")
    assert rows(page, "status") == ["running"]
