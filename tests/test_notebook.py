"""The notebook of docs/: its badge, and that all of it runs."""

import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "quick_start.ipynb"


def test_it_is_kept_without_outputs() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells
    for cell in cells:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_its_badges_open_it_from_the_repository() -> None:
    home = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    owner = home.removeprefix("https://github.com/")
    badge = f"(https://colab.research.google.com/github/{owner}/blob/main/docs/quick_start.ipynb)"
    texts = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"]]
    assert badge in texts[0]
    assert f"!git clone --quiet {home}\n" in texts[1]
    assert badge in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_it_trains_sweeps_compares_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun in docs/, where an editor begins it, of a copy of the project."""
    from nbclient import NotebookClient
    from nbformat import read

    for name in ("conf", "docs", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "compare.py"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path / "src"))
    notebook = read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path / "docs"}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert [path.name for path in tmp_path.glob("outputs/notebook-*/run.json")] == ["run.json"]
    trials = [json.loads(path.read_text())["status"] for path in tmp_path.glob("multirun/notebook/*/run.json")]
    assert len(trials) == 8
    assert set(trials) <= {"complete", "pruned"}
    assert (tmp_path / "multirun/notebook/report.html").exists()
