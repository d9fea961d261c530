import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeplab.errors import UserError
from tests.sweeplab.records.made_runs import make_run


def test_the_best_checkpoint_is_taken_and_the_last_where_there_is_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", acc=0.5)
    (run.folder / "checkpoints").mkdir()
    for name in ("last.ckpt", "best.ckpt"):
        (run.folder / "checkpoints" / name).touch()
        assert run.checkpoint == run.folder / "checkpoints" / name


def test_a_model_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no checkpoint .its status is failed.; train it first"):
        _ = make_run(tmp_path / "failed", status="failed").model
    with pytest.raises(UserError, match=r"removed its checkpoints.*rerun=.* trains it again"):
        _ = make_run(tmp_path / "lost", acc=0.5, checkpoints_removed=True).model
    run = make_run(tmp_path / "broken", acc=0.5)
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "best.ckpt").touch()
    with pytest.raises(UserError, match=r"best\.ckpt is not a checkpoint, or is incomplete"):
        _ = run.model


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, sweeplab; print(sorted({'torch', 'numpy', 'hydra', 'omegaconf'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("facts", "tests"),
    [
        ({"test": ["heldout"]}, ["heldout"]),
        ({"test": []}, []),
        ({"test": ["test/acc", "heldout"]}, ["test/acc", "heldout"]),
        ({}, ["test/acc"]),  # version 1 did not say
    ],
)
def test_the_record_says_which_metrics_are_of_the_test(tmp_path: Path, facts: dict[str, Any], tests: list[str]) -> None:
    metrics = {"val/acc": 0.4, "test/acc": 0.3, "heldout": 0.2}
    run = make_run(tmp_path / "run", acc=0.5, metrics=metrics, **facts)
    assert run.tests == tests
    last = {f"last/{name}" for name in metrics if name not in tests}
    assert set(run.values()) == {"val/acc", *tests, *last}
