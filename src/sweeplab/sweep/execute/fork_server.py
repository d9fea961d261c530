"""The server that trials are forked from: warm, and with all that the program has.

It is multiprocessing's, which begins as a fresh interpreter: nothing that this process has started or spoilt reaches
the trials. But it has only what an import of the program gives. Where the program has more, the server begins as a fork
of this process instead.
"""

import json
import os
import signal
import stat
import sys
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import Any

from sweeplab.sweep.config.trial_config import local_classes
from sweeplab.sweep.execute.runtime_state import beyond_import, warn_of_missing
from sweeplab.sweep.execute.temporary import remove_left_behind
from sweeplab.sweep.job import Task
from sweeplab.sweep.program import importable_main

# Where the server finds what to import, and the jobs to warm up with (see `preload`).
MAIN, MODULES, WARM_UP = "SWEEPLAB_MAIN", "SWEEPLAB_MODULES", "SWEEPLAB_WARM_UP"
PATH = "SWEEPLAB_PATH"  # `sys.path` here, which older Pythons do not hand on
CUDA = "libcuda.so"


class ForkServer:
    """Makes `context`, one of multiprocessing's, fork its processes from a warm server that can run the task.

    `is_fork` says whether the server is a fork of this process, not one that has imported the program.
    """

    def __init__(self, context: Any, task: Task, modules: Sequence[str], warm_up: Path) -> None:
        os.environ[MAIN], os.environ[PATH] = json.dumps(importable_main()), json.dumps(sys.path)
        os.environ[MODULES], os.environ[WARM_UP] = " ".join(modules), str(warm_up)
        context.set_forkserver_preload(["sweeplab.sweep.execute.preload"])
        self.is_fork = not task.module or bool(local_classes)
        if not self.is_fork and (names := beyond_import(context)):
            self.is_fork = not _uses_gpu()
            if not self.is_fork:
                warn_of_missing(
                    names, "the program has already used a GPU and cannot be forked; use the GPU only inside the task."
                )
        if self.is_fork:
            _start_as_fork()
        self._pid = _server_pid()

    @property
    def is_replaced(self) -> bool:
        """Whether multiprocessing has put a server that lacks what the program has in the place of a dead one."""
        return self.is_fork and _server_pid() != self._pid

    def close(self) -> None:
        """End the server, if it is a fork: the next sweep of this process finds other things here."""
        if self.is_fork:
            _end()


def _start_as_fork() -> None:
    _end()
    resource_tracker.ensure_running()  # or that would be a fork, too
    launcher: Any = util
    before, launcher.spawnv_passfds = launcher.spawnv_passfds, _fork
    try:
        forkserver.ensure_running()
    finally:
        launcher.spawnv_passfds = before


def _server_pid() -> int | None:
    server: Any = forkserver._forkserver
    return server._forkserver_pid  # type: ignore[no-any-return]  # multiprocessing's own number


def _end() -> None:
    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()


def _fork(path: bytes, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
    """Do in a fork of this process what the command line `arguments` would do in another interpreter."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        _close_other_ends(descriptors)
        server: Any = forkserver._forkserver
        server.__init__()  # its lock is held, and what is preloaded is for this server alone
        if "torch" in sys.modules:
            # Threads that computed before a fork are not there after it, and would be waited for.
            sys.modules["torch"].set_num_threads(1)
        begin = arguments.index("-c") + 1
        if rest := arguments[begin + 1 :]:  # from Python 3.14 on, that of sys.argv
            sys.argv[1:] = rest
        exec(arguments[begin], {})
        code = 0
    except SystemExit:
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of this process may go on in its fork
        sys.excepthook(*sys.exc_info())
    finally:
        remove_left_behind()
        os._exit(code)


def _close_other_ends(descriptors: Sequence[int]) -> None:
    """Close the ends of pipes that are this process's, so that the server sees when it is gone."""
    pipes = {_identity(number) for number in descriptors if stat.S_ISFIFO(os.fstat(number).st_mode)}
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        try:
            if number not in descriptors and _identity(number) in pipes:
                os.close(number)
        except OSError:  # the one that the folder was read with
            continue


def _identity(number: int) -> tuple[int, int]:
    facts = os.fstat(number)
    return facts.st_dev, facts.st_ino


def _uses_gpu() -> bool:
    """Say whether this process has called its GPUs' driver, after which no fork of it can."""
    maps = Path("/proc/self/maps")
    return maps.exists() and CUDA in maps.read_text()
