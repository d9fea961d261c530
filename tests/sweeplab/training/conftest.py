"""A complete run, and what is in its folder."""

import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import ROOT, SMALL
from tests.training import run


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of two epochs."""
    folder = tmp_path_factory.mktemp("original") / "run"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", [*SMALL, f"folder={folder}", f"root={folder.parent}", "model=linear", "test=false"])
    run(config)
    return folder


@pytest.fixture
def complete(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
