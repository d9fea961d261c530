"""What a trial may leave in its process is put back before the next, or the process ends."""

import gc
import io
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from sweeplab.sweep.execute.process_state import ProcessState

LOGGER = "tests.of.a.trial"


@pytest.fixture
def state() -> Iterator[ProcessState]:
    """The process as it was before the test, which it is again behind it."""
    before = ProcessState()
    yield before
    before.restore()


def seen() -> dict[str, Any]:
    """What a trial could find of an earlier one."""
    logger = logging.getLogger(LOGGER)
    return {
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "mask": _mask(),
        "temporary": tempfile.tempdir,
        "path": list(sys.path),
        "limit": sys.getrecursionlimit(),
        "collects": gc.isenabled(),
        "hooks": (sys.excepthook, threading.excepthook),
        "streams": (sys.stdout, sys.stderr, os.fstat(1).st_ino, os.fstat(2).st_ino),
        "signal": signal.getsignal(signal.SIGUSR1),
        "filters": list(warnings.filters),
        "show": warnings.showwarning,
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "logger": (logger.level, list(logger.handlers), logger.propagate, logger.disabled),
        "resolver": OmegaConf.has_resolver("of_a_trial"),
        "random": (random.getstate(), str(np.random.get_state()), np.geterr()),
    }


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def spoil(folder: Path) -> None:
    """Change all of it."""
    os.environ.update(OF_A_TRIAL="1", PATH="nowhere")
    del os.environ["HOME"]
    os.chdir(folder)
    os.umask(0o077)
    tempfile.tempdir = str(folder)
    sys.path.insert(0, str(folder))
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)
    gc.disable()
    sys.excepthook = lambda *args: None
    threading.excepthook = lambda *args: None
    log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    sys.stdout = sys.stderr = io.StringIO()
    signal.signal(signal.SIGUSR1, lambda *args: None)
    warnings.simplefilter("ignore")
    warnings.showwarning = lambda *args, **more: None
    logging.disable(logging.CRITICAL)
    for logger in (logging.root, logging.getLogger(LOGGER)):
        logger.setLevel(logging.DEBUG)
        logger.addHandler(logging.FileHandler(folder / "trial.log"))
        logger.propagate, logger.disabled = False, True
    OmegaConf.register_new_resolver("of_a_trial", lambda: 1)
    random.seed(1)
    np.random.seed(1)
    np.seterr(all="raise")


def test_what_a_trial_leaves_is_put_back(tmp_path: Path) -> None:
    logging.getLogger(LOGGER)
    before, state = seen(), ProcessState()
    (tmp_path / "elsewhere").mkdir()
    spoil(tmp_path / "elsewhere")
    spoilt = seen()
    clear = state.restore()
    assert [name for name, value in spoilt.items() if value == before[name]] == []
    assert {name: value for name, value in seen().items() if value != before[name]} == {}
    assert clear


def test_the_log_of_a_trial_is_closed(state: ProcessState, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "trial.log")
    logging.getLogger("tests.another").addHandler(handler)
    assert state.restore()
    assert handler.stream is None


def test_a_warning_is_given_again_to_the_next_trial(state: ProcessState) -> None:
    def warned() -> int:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            warnings.warn("of a trial", UserWarning, stacklevel=1)
        return len(caught)

    assert warned() == 1
    state.restore()
    assert warned() == 1


def _thread() -> Callable[[], None]:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    return end


def _child() -> Callable[[], None]:
    child = subprocess.Popen(["sleep", "100"])

    def end() -> None:
        child.kill()
        child.wait()

    return end


def _limit() -> Callable[[], None]:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.parametrize("leave", [_thread, _child, _limit])
def test_a_process_in_which_something_goes_on_takes_no_other_trial(
    state: ProcessState, leave: Callable[[], Callable[[], None]]
) -> None:
    clear_away = leave()
    try:
        assert not state.restore()
    finally:
        clear_away()
    assert state.restore()


def test_a_library_that_a_trial_was_the_first_to_import_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    state = ProcessState()
    assert not state._is_left()
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert state._is_left()
