import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import optuna
import psutil
import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from tests.sweeplab.sweep.app import app

APP = Path(app.__file__).parent
IS_1_3 = hydra.__version__.startswith("1.3")
Sweep = Callable[..., int]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of the test's own, and the name of a program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["app.py"])
    yield tmp_path
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


@pytest.fixture
def sweep() -> Sweep:
    """Run a sweep of the app in this process, its trials in processes of their own; return the exit code."""

    def run(*overrides: str, task: Any = app.app, conf: Path = APP / "conf") -> int:
        GlobalHydra.instance().clear()
        engine = Hydra.create_main_hydra2("app", create_config_search_path(str(conf)))
        try:
            engine.multirun(
                config_name="config", task_function=getattr(task, "__wrapped__", task), overrides=[*overrides]
            )
        except SystemExit as error:
            if isinstance(error.code, str):
                raise
            return int(error.code or 0)
        return 0

    return run


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start the app as a program, with its own copy of the configuration; what is left of it dies with the test."""
    shutil.copytree(APP, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    started: list[subprocess.Popen[str]] = []

    def run(*overrides: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "app/app.py", "-m", *overrides],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Hydra 1.4 warns of version_base, which 1.3 wants.
            env={**os.environ, "PYTHONUNBUFFERED": "1"} | ({"PYTHONWARNINGS": "error"} if IS_1_3 else {}),
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def output(process: subprocess.Popen[str]) -> str:
    """Wait for a program, and return what it wrote."""
    text, _ = process.communicate(timeout=120)
    return text


def trials(study: str = "study", storage: str | None = None) -> list[FrozenTrial]:
    """Read a study as Optuna does, whatever the engine says of it."""
    backend = JournalFileBackend(f"multirun/{study}/study.journal")
    opened: Any = storage or optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name=study, storage=opened).trials


def states(study: str = "study", storage: str | None = None) -> list[str]:
    """Return the states of a study's trials, in order."""
    return [trial.state.name for trial in trials(study, storage)]


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes that work in a folder, besides the tests' own."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
