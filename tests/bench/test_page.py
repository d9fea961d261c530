import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

RESULTS = ROOT / "bench" / "results"
PAGE = "# Benchmarks\n\nProse.\n\n<!-- table: compare -->\nold\n<!-- end -->\n\nMore prose.\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results that a test may change."""
    return Path(shutil.copytree(RESULTS, tmp_path / "results"))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with one table, not yet filled."""
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def fill(results: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "bench/page.py", *map(str, arguments)]
    environment = {**os.environ, "BENCH_RESULTS": str(results)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def change(results: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = results / f"{name}.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def test_the_committed_page_and_picture_say_what_the_committed_results_say() -> None:
    done = fill(RESULTS, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_quotes_the_figures_of_the_page() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text().partition("<!-- end -->")[0]
    heads, *rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    story = {cells[0]: dict(zip(heads, cells[1:], strict=False)) for cells in rows}
    readme = " ".join((ROOT / "README.md").read_text().split())
    for what, quoted in {
        "a trial that does nothing, ms": r"a trial that does nothing takes (\S+) ms instead of (\S+),",
        "a further worker, MB": r"a further worker (\S+) MB instead of (\S+),",
        "8 slots in use, log-normal lengths": r"eight slots are in use (\S+) of the time instead of (\S+)\.",
    }.items():
        found = re.search(quoted, readme)
        assert found, what
        theirs = story[what]["hos-1.4 joblib"].partition(" ")[0]
        assert found.groups() == (story[what]["sweeplab"], theirs)


def test_a_changed_figure_is_noticed_and_nothing_is_written(results: Path) -> None:
    before = (ROOT / "docs" / "benchmarks.md").read_text()
    change(results, "compare", lambda facts: facts["rows"][0].update({"page, s": "1234.5"}))
    done = fill(results, "--check")
    assert done.returncode == 1
    assert done.stderr.startswith("old: table compare;")
    assert (ROOT / "docs" / "benchmarks.md").read_text() == before


def test_a_picture_of_other_results_is_noticed(results: Path) -> None:
    drawn = next(row for row in json.loads((results / "trial.json").read_text())["rows"] if "runs" in row)
    change(results, "trial", lambda facts: facts["rows"].append({**drawn, "engine": "new"}))
    assert "pictures/benchmarks.svg" in fill(results, "--check").stderr


def test_a_table_survives_being_written_twice(results: Path, page: Path) -> None:
    assert fill(results, "--page", page).stdout == "written anew: table compare\n"
    once = page.read_text()
    assert fill(results, "--page", page).stdout == "written anew: nothing\n"
    assert page.read_text() == once
    start, end = PAGE.split("old\n")
    assert once.startswith(start)
    assert once.endswith(end)


def test_a_table_says_what_it_is_from(results: Path, page: Path) -> None:
    facts = json.loads((results / "compare.json").read_text())
    fill(results, "--page", page)
    line = next(line for line in page.read_text().splitlines() if line.startswith("<sub>`python "))
    for fact in (facts["command"], facts["date"][:10], facts["machine"]["cpu"], f"{facts['machine']['cores']} cores"):
        assert fact in line
    for package, version in facts["versions"]["sweeplab"].items():
        assert f"{package} {version}" in line


def test_a_missing_result_leaves_its_table_and_says_so(results: Path, page: Path) -> None:
    (results / "compare.json").unlink()
    done = fill(results, "--page", page)
    assert done.returncode == 0
    assert "table compare stays as it is" in done.stderr
    assert page.read_text() == PAGE


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (PAGE.replace("<!-- end -->\n", ""), "is followed by the end of the page"),
        (PAGE.replace("<!-- table: compare -->\n", ""), "<!-- end --> is followed by <!-- end -->"),
        (PAGE.replace("old\n", "<!-- table: scale -->\n"), "is followed by <!-- table: scale -->"),
        (PAGE.replace("compare", "comapre"), "there is no table comapre"),
    ],
    ids=["not closed", "not opened", "opened twice", "unknown"],
)
def test_markers_that_do_not_close_or_are_unknown_are_errors(page: Path, wrong: str, told: str) -> None:
    page.write_text(wrong)
    done = fill(RESULTS, "--page", page)
    assert done.returncode == 1
    assert told in done.stderr
    assert page.read_text() == wrong


def test_the_story_is_bold_where_a_peer_is_better_and_only_there(results: Path, page: Path) -> None:
    def trial(facts: dict[str, Any]) -> None:
        costs = {"sweeplab": 40, "hos-1.4 basic": 120, "optuna loop": 10}
        facts["rows"] = [
            {"task": "noop", "engine": name, "each, ms": str(cost), "times sweeplab": f"{cost / 40:.2f} (0.1 to 9)"}
            for name, cost in costs.items()
        ]

    def slots(facts: dict[str, Any]) -> None:
        uses = {"sweeplab": "0.96", "hos-1.4 basic": "0.48", "optuna loop": "0.98"}
        facts["rows"] = [
            {"lengths": "log-normal", "slots": 8, "engine": name, "use": use} for name, use in uses.items()
        ]

    def quality(facts: dict[str, Any]) -> None:
        facts["rows"] = [
            {"peer": "hos-1.4 basic: tpe", "there after, s": 20.0, "sweeplab: tpe + asha": "5 s, 0.25"},
            {"peer": "optuna loop: tpe + asha", "there after, s": 20.0, "sweeplab: tpe + asha": "not reached"},
        ]

    for name, made_up in {"trial": trial, "slots": slots, "quality": quality}.items():
        change(results, name, made_up)
    page.write_text(PAGE.replace("compare", "story"))
    assert fill(results, "--page", page).returncode == 0
    lines = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    heads, cells = lines[0], {line[0]: line for line in lines}
    basic, loop = heads.index("hos-1.4 basic"), heads.index("optuna loop")
    for what, worse, better in [
        ("| a trial that does nothing, ms", "120 (3)", "**10 (0.25)**"),
        ("| 8 slots in use, log-normal lengths", "0.48 (0.5)", "**0.98 (1.02)**"),
        ("| s to its final accuracy; ours to the same, with TPE and ASHA", "20; 5 (4)", "**20; never**"),
    ]:
        assert (cells[what][basic], cells[what][loop]) == (worse, better)
