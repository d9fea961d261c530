from pathlib import Path

import pytest

from sweeplab.records.run import Run
from tests.sweeplab.records.made_runs import make_run


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return [
        make_run(
            tmp_path / "0", {"optimizer": {"lr": 0.001}, "seed": 0, "clip": None}, acc=0.9, choices={"model": "cnn"}
        ),
        make_run(
            tmp_path / "1", {"optimizer": {"lr": 0.01}, "seed": 1, "clip": 1.0}, acc=0.8, choices={"model": "mlp"}
        ),
        make_run(
            tmp_path / "2",
            {"optimizer": {"lr": 0.1}, "seed": 2, "clip": True},
            status="failed",
            choices={"model": "gru"},
        ),
    ]
