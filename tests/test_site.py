"""The site that `make docs` builds from README.md, docs/ and the docstrings."""

import ast
import json
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

GAP = "\0"  # what differs each time in a message


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the site is made from, with its pages gathered."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml", "zensical.toml"):
        shutil.copy(ROOT / name, folder)
    subprocess.run([sys.executable, "docs/site.py"], cwd=folder, check=True)
    return folder


def built(project: Path) -> subprocess.CompletedProcess[str]:
    zensical = Path(sys.executable).with_name("zensical")
    return subprocess.run([zensical, "build", "--strict", "--clean"], cwd=project, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(project: Path) -> Path:
    done = built(project)
    assert done.returncode == 0, done.stdout + done.stderr
    return project / "site"


def navigation(entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values():
                yield from navigation(inner)


def test_the_navigation_has_every_page(project: Path) -> None:
    pages = project / "build" / "pages"
    named = list(navigation(tomllib.loads((project / "zensical.toml").read_text())["project"]["nav"]))
    assert len(named) == len(set(named))
    assert {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")} <= set(named)


def test_links_of_the_pages_are_those_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "runs.md").write_text("# Runs\n")
    page = tmp_path / "docs" / "one.md"
    page.write_text(
        "[a](../README.md#start) [runs.md](runs.md) [`c`](../conf/train.yaml) [![d](pictures/d.svg)](runs.md) "
        "[e](#here) [f](https://f)"
    )
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://host/me/it"\n')
    site = runpy.run_path(str(ROOT / "docs" / "site.py"))
    site["main"].__globals__["ROOT"] = tmp_path
    assert site["with_links"](page, {"README.md": "index.md", "docs/runs.md": "runs.md"}) == (
        "[a](index.md#start) [Runs](runs.md) [`c`](https://host/me/it/blob/main/conf/train.yaml) "
        "[![d](pictures/d.svg)](runs.md) [e](#here) [f](https://f)"
    )


@pytest.mark.slow
def test_the_site_loads_nothing_from_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*?\bsrc=[\"']?([^\"' >]+)", text)
        loaded += re.findall(r"<link\b(?![^>]*rel=[\"']?(?:canonical|next|prev))[^>]*?\bhref=[\"']?([^\"' >]+)", text)
        assert not [address for address in loaded if re.match(r"(?:https?:)?//", address)], page
        assert 'class="mermaid"' not in text, page  # its script is loaded from elsewhere
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?https?:", style.read_text()), style


@pytest.mark.slow
def test_the_site_can_be_searched_and_has_the_docstrings(site: Path) -> None:
    index = json.dumps(json.loads((site / "search.json").read_text()))
    assert "What a training function gets" in index
    assert "hydra.sweeper.jobs_per_gpu" in index
    assert "load_model" in (site / "api" / "sweeplab.html").read_text()
    assert "<td>an account, and a server that answers</td>" in (site / "architecture.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[x](nowhere.md)", "[x](runs.md#nowhere)", "::: sweeplab.Nothing"])
def test_a_link_or_name_that_leads_nowhere_ends_the_build(project: Path, site: Path, text: str) -> None:
    page = project / "build" / "pages" / "models.md"
    content = page.read_text()
    page.write_text(f"{content}\n{text}\n")
    try:
        assert built(project).returncode
    finally:
        page.write_text(content)


def texts() -> Iterator[str]:
    """All texts in the source, with a gap where a value is put in."""
    for path in (*(ROOT / "src" / "sweeplab").rglob("*.py"), ROOT / "train.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value.replace("%s", GAP)
    yield (ROOT / "Makefile").read_text()


def quoted() -> list[str]:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    return re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)


def test_every_message_of_the_page_of_troubles_is_one_of_the_code() -> None:
    source = list(texts())
    messages = quoted()
    assert len(messages) > 40
    for message in messages:
        pattern = re.compile(".*".join(re.escape(part) for part in message.split("...")), re.DOTALL)
        assert any(pattern.search(text) for text in source), message
