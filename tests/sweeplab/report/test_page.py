import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from bench.synthetic import make_study

from sweeplab.errors import UserError
from sweeplab.records.found import find
from sweeplab.records.study import Study
from sweeplab.report import write_report
from sweeplab.report.page import write_study_report
from tests.sweeplab.report.folders import make_run

EVIL = "</script><script>alert(1)</script><!-- \u2028 'x' \"y\" & <b>"
ELSEWHERE = {"host": "elsewhere", "pid": 1, "started": 0.0}


class Page(HTMLParser):
    """What a browser makes of a page: its scripts, its title, and what it would load from elsewhere."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.title = ""
        self.loads: list[str] = []
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        known = dict(attrs)
        if tag == "script":
            self.scripts.append("")
        self.loads += [str(known[name]) for name in ("src", "href") if name in known]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "title":
            self.title += data

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.scripts[1]))


def test_a_page_is_one_file_that_needs_no_network(tmp_path: Path) -> None:
    make_study(tmp_path / "cnn", 5)
    write_study_report(tmp_path / "cnn")
    page = Page(tmp_path / "cnn" / "report.html")
    assert page.loads == []
    assert page.title == "cnn"
    assert len(page.scripts) == 4
    assert len(page.scripts[3]) > 4_000_000
    assert len(page.data["runs"]) == 5


def test_names_and_values_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    trial = {"study": EVIL, "number": 0, "params": {"note": EVIL}}
    runs = [
        make_run(tmp_path / str(n), {"note": note}, 0.5, trial=trial, error=EVIL, command=EVIL)
        for n, note in enumerate((EVIL, "plain"))
    ]
    write_report(tmp_path / "report.html", runs, None)
    page = Page(tmp_path / "report.html")
    assert page.title == EVIL
    assert len(page.scripts) == 4
    assert page.data["runs"][0]["command"].startswith(" ".join(EVIL.split()[:2]))
    assert EVIL in page.data["runs"][0]["cells"]


def test_a_hundred_trials_are_little_more_than_plotly(tmp_path: Path) -> None:
    make_study(tmp_path / "cnn", 100)
    write_study_report(tmp_path / "cnn")
    plotly = len(Page(tmp_path / "cnn" / "report.html").scripts[3])
    assert (tmp_path / "cnn" / "report.html").stat().st_size < plotly + 200_000


def test_a_page_loads_itself_again_only_while_something_runs(tmp_path: Path) -> None:
    running = make_run(tmp_path / "0", {}, status="running", process=ELSEWHERE)
    over = make_run(tmp_path / "1", {}, 0.5)
    path = tmp_path / "report.html"
    write_report(path, [running, over], None, every=30)
    assert Page(path).data["every"] == 30
    write_report(path, [running, over], None)
    assert Page(path).data["every"] is None
    write_report(path, [over], None, every=30)
    assert Page(path).data["every"] is None


def test_no_run_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one run"):
        write_report(tmp_path / "report.html", [], None)
    assert not (tmp_path / "report.html").exists()


def test_a_study_of_one_run_shows_what_was_searched(tmp_path: Path) -> None:
    make_study(tmp_path / "cnn", 1)
    runs = find([tmp_path / "cnn"]).runs
    write_report(tmp_path / "report.html", runs, Study.read(tmp_path / "cnn"))
    keys = [each["label"] for each in Page(tmp_path / "report.html").data["columns"] if each["role"] == "key"]
    assert keys == ["lr", "channels", "depth", "dropout", "optimizer"]
