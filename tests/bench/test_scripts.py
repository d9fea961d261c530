"""Every script of bench/, at its smallest, in a copy of the repository with no data and no cache from before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

OURS = ("--engines", "sweeplab", "optuna loop")
SMALLEST = {
    "step.py": ("--epochs", "4", "--models", "mlp", "--batches", "512", "--loggers", "csv"),
    "start.py": ("--repeats", "1"),
    # Of a pool, one process may have done all trials before another has done its first, and then nothing is measured.
    "trial.py": ("--tasks", "noop", "lightning", "--rounds", "1", "--trials", "16", "--engines", "sweeplab"),
    "slots.py": ("--lengths", "asha", "--slots", "2", "--mean", "0.2", "--batches", "2", *OURS),
    "scale.py": ("--trials", "50", "--storages", "journal", "--further", "6", "--slots", "2"),
    "quality.py": ("--seeds", "1", "--seconds", "45", "--epochs", "2", "--ways", "sweeplab: tpe"),
    "cluster.py": ("--slots", "16", "--mean", "1", "--trials", "40", "--reports", "3", "--samplers", "random"),
    "nodes.py": ("--rounds", "1", "--tasks", "noop"),
    "compare.py": ("--runs", "20", "--repeats", "1"),
    "tracking.py": ("--rounds", "1", "--steps", "25", "--trials", "4"),
    "paper_table.py": ("--models", "linear", "--seeds", "2", "--epochs", "1"),
    "page.py": ("--check",),
}
# What the scripts import of each other.
PARTS = {"engines.py", "figure.py", "result.py", "search.py", "synthetic.py", "tables.py"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository without all that git ignores: environments, data, runs."""
    target = tmp_path_factory.mktemp("copy") / "sweeplab"
    target.mkdir()
    for name in ("bench", "conf", "docs", "src"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, target)
    return target


@pytest.mark.parametrize("script", SMALLEST)
def test_a_benchmark_runs_where_nothing_was_prepared(script: str, copy: Path, tmp_path: Path) -> None:
    home = {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "BENCH_RESULTS": str(tmp_path / "results"),
    }
    done = subprocess.run(
        [sys.executable, str(copy / "bench" / script), *SMALLEST[script]],
        cwd=copy,
        env={**os.environ, **home, "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "did not run" not in done.stdout


def test_no_script_is_forgotten() -> None:
    assert {path.name for path in (ROOT / "bench").glob("*.py")} == {*SMALLEST, *PARTS}
