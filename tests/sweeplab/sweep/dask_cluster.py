"""A Dask cluster on this machine, as people start one: a scheduler and workers, each a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.sweeplab.sweep.conftest import APP

ROOT = APP.parents[3]


class DaskCluster:
    """Started in a folder, where the scheduler leaves `scheduler.json`; everything ends with `close`.

    `variables` are further ones of the environment.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self._variables = folder, variables
        self.file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file)
        )
        self.workers: list[subprocess.Popen[bytes]] = []
        until = time.monotonic() + 60
        while not self.address:
            assert time.monotonic() < until, "no scheduler"
            time.sleep(0.05)

    @property
    def address(self) -> str:
        """The scheduler's, empty until it has one."""
        try:
            return str(json.loads(self.file.read_text())["address"])
        except (OSError, ValueError):
            return ""

    def add(self, *options: str) -> "subprocess.Popen[bytes]":
        """Add a worker of one thread."""
        plain = ("--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--local-directory", str(self.folder))
        worker = self._start("worker", self.address, *plain, *(options or ("--no-nanny",)))
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End all of it."""
        for process in [*self.workers, self.scheduler]:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        log = (self.folder / f"{program}.log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", f"distributed.cli.dask_{program}", *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self._variables},
            )  # fmt: skip
