from pathlib import Path

import pytest
from bench.synthetic import make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 60 runs, a third of them complete."""
    folder = tmp_path_factory.mktemp("studies") / "cnn"
    make_study(folder, 60)
    return folder
