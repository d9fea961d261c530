"""What Lightning, torch and the machine tell users."""

import contextlib
import errno
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from tests.conftest import ROOT, SMALL, Command, Compose, small
from tests.sweeplab.tracking.mishaps import At
from tests.training import run

AT_STEP = "+callbacks.mishap={_target_: tests.sweeplab.tracking.mishaps.At, step: 20}"
LONG = "n" * 300


@pytest.mark.slow
def test_a_run_beside_an_idle_slurm_says_nothing_of_srun(command: Command, tmp_path: Path) -> None:
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.touch(0o755)
    path = f"{srun.parent}:/usr/bin:/bin"
    done = command(str(ROOT / "train.py"), *SMALL, "model=linear", "hydra.run.dir=run", PATH=path)
    assert done.returncode == 0, done.stderr
    assert "srun" not in done.stdout + done.stderr


def move(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize("mishap", [move, shutil.rmtree], ids=["moved", "removed"])
def test_a_folder_that_is_taken_away_is_told_and_not_made_again(
    configured: Compose, monkeypatch: pytest.MonkeyPatch, mishap: Callable[[Path], None]
) -> None:
    config = configured("model=linear", "trainer.max_epochs=3", "logger=csv", AT_STEP)
    folder = Path(config.folder)
    monkeypatch.setattr(At, "todo", staticmethod(lambda: mishap(folder)), raising=False)
    with pytest.raises(UserError, match=r"run.*: (No such file|the folder of the run no longer exists)") as told:
        run(config)
    assert "\n" not in str(told.value)
    assert not folder.exists()
    if mishap is move:
        assert read(folder.with_name("elsewhere"))["status"] == Status.RUNNING  # of this process


def test_the_traceback_is_in_the_log_alone(
    configured: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = logging.FileHandler(tmp_path / "train.log")
    logging.getLogger().addHandler(handler)
    config = configured("model=linear", "trainer.max_epochs=3", "logger=csv", AT_STEP)
    folder = Path(config.folder)

    def refuse() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(At, "todo", staticmethod(refuse), raising=False)
    try:
        with pytest.raises(UserError, match=r"run: No space left on device\.$"):
            run(config)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    assert "Traceback" in (tmp_path / "train.log").read_text()
    assert "Traceback" not in capfd.readouterr().err
    assert read(folder)["status"] == Status.FAILED


def test_a_log_that_is_full_is_no_trouble(configured: Compose, capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.FileHandler("/dev/full")
    logging.getLogger().addHandler(handler)
    config = configured("model=linear", "trainer.max_epochs=1")
    config.callbacks.progress = {"_target_": "sweeplab.callbacks.EpochLines"}
    try:
        logging.getLogger("sweeplab").setLevel(logging.INFO)
        run(config)
    finally:
        logging.getLogger("sweeplab").setLevel(logging.NOTSET)
        logging.getLogger().removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()
    assert "Logging error" not in capfd.readouterr().err
    assert read(Path(config.folder))["status"] == Status.COMPLETE


def one_sentence(done: "subprocess.CompletedProcess[str]", words: str) -> None:
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.slow
def test_a_limit_of_file_sizes_is_one_sentence(tmp_path: Path) -> None:
    line = [sys.executable, str(ROOT / "train.py"), *small("hydra.run.dir=run")]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 30; exec "$@"', "bash", *line], cwd=tmp_path, capture_output=True, text=True
    )
    one_sentence(done, "File too large")
    assert read(tmp_path / "run")["status"] == Status.FAILED
    assert not list((tmp_path / "run").glob("checkpoints/.*"))


@pytest.mark.slow
def test_a_limit_of_open_files_is_one_sentence(command: Command) -> None:
    hog = "+callbacks.hog._target_=tests.sweeplab.tracking.mishaps.OpensTooMany"
    one_sentence(command("train.py", *small(hog, "hydra.run.dir=run"), check=False), "Too many open files")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [[f"hydra.run.dir={LONG}"], [f"resume={LONG}"], [f"init_from={LONG}", "hydra.run.dir=run"]],
    ids=["dir", "resume", "init"],
)
def test_a_name_that_is_too_long_is_one_sentence(command: Command, tmp_path: Path, words: list[str]) -> None:
    done = command("train.py", *words, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "(300 characters): File name too long." in done.stderr or "... (" in done.stderr
    assert not list(tmp_path.rglob("run.json"))
