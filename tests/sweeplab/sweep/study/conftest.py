from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection

from sweeplab.sweep.study.client import StudyClient
from sweeplab.sweep.study.storage import open_storage
from sweeplab.sweep.study.study import open_study


@pytest.fixture(params=["journal", "sqlite"])
def clients(request: Any, tmp_path: Path) -> list[StudyClient]:
    """Two controllers of one study."""
    url = None if request.param == "journal" else f"sqlite:///{tmp_path}/study.db"

    def client() -> StudyClient:
        storage, lock = open_storage(url, tmp_path)
        return StudyClient(open_study(storage, "study", [StudyDirection.MINIMIZE]), lock, 0, tmp_path)

    return [client(), client()]


def ask(client: StudyClient) -> optuna.Trial:
    trial = client.ask(None, lambda trial: trial.suggest_float("x", 0, 1), None)
    assert trial is not None
    return trial
