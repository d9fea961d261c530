import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeplab.environment import read_dotenv
from sweeplab.errors import UserError
from tests.conftest import ROOT, SMALL

TEXT = """\
# A comment.
export FIRST_OF_DOTENV=one
SECOND_OF_DOTENV="two words"  # and why
"""


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED")
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return tmp_path / ".env"


def test_what_is_set_already_stays(dotenv: Path) -> None:
    dotenv.write_text(TEXT)
    os.environ["FIRST_OF_DOTENV"] = "of the shell"
    read_dotenv(dotenv.parent)
    assert os.environ["FIRST_OF_DOTENV"] == "of the shell"
    assert os.environ["SECOND_OF_DOTENV"] == "two words"


def test_without_the_file_nothing_is_read(dotenv: Path) -> None:
    """Nor one that lies above the project."""
    dotenv.write_text(TEXT)
    before = dict(os.environ)
    (dotenv.parent / "project").mkdir()
    read_dotenv(dotenv.parent / "project")
    assert dict(os.environ) == before


def test_a_file_that_is_no_text_is_told(dotenv: Path) -> None:
    dotenv.write_bytes(b"A=\xff")
    with pytest.raises(UserError, match=r"\.env is not text: byte 2 is not UTF-8"):
        read_dotenv(dotenv.parent)


@pytest.mark.slow
def test_a_secret_in_the_file_is_there_for_configurations_and_stays_out_of_what_runs_leave(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("conf", "src", "train.py", "eval.py"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, project / name)
    (project / ".env").write_text("SERVICE_KEY=abcdef-123456\nWANDB_API_KEY=0123456789abcdef0123456789abcdef\n")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")  # what a run notes of its code must not have it either
    shutil.copy(ROOT / ".gitignore", project)
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "All")):
        subprocess.run([*git, *words], cwd=project, check=True)
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "WANDB_MODE": "offline"}
    del environment["PYTHON_DOTENV_DISABLED"]

    def run(*words: str) -> None:
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    words = ("+api_key=${oc.env:SERVICE_KEY}", "model=linear")
    run("project/train.py", *SMALL, "logger=wandb", "hydra.run.dir=single", *words)
    run("project/eval.py", "run=single", "stage=validate")
    run("project/train.py", "-m", *SMALL, "study=several", "hydra.sweep.dir=several", "seed=1,2", *words)
    left = [path for folder in ("single", "several") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert len(left) > 20
    for secret in (b"abcdef-123456", b"0123456789abcdef0123456789abcdef"):
        assert not [path for path in left if secret in path.read_bytes()]
