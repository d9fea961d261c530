"""The workers of a cluster under attack: others come in place of those that are gone."""

import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.sweeplab.sweep.dask_cluster import DaskCluster

SILENT = 15.0  # seconds that a stopped worker stays silent: longer than a sweep gives its node


class Workers:
    """So many workers of a Dask cluster, none of them for a sweep on this machine."""

    def __init__(self, count: int, folder: Path, temporary: Path) -> None:
        self._cluster: DaskCluster | None = None
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopped_at: dict[int, float] = {}
        if count:
            folder.mkdir()
            self._cluster = DaskCluster(folder, TMPDIR=str(temporary))
            self._running = [self._cluster.add() for _ in range(count)]

    @property
    def pids(self) -> list[int]:
        """Their processes."""
        return [worker.pid for worker in self._running]

    def replace(self, now: bool = False) -> None:
        """Start a worker for each that is gone, and continue those that were stopped long enough ago, or `now`."""
        for number, worker in enumerate(self._running):
            if worker.poll() is not None and self._cluster is not None:
                self._running[number] = self._cluster.add()
            elif worker.poll() is None and psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED:
                stopped_at = self._stopped_at.setdefault(worker.pid, time.monotonic())
                if now or time.monotonic() - stopped_at > SILENT:
                    del self._stopped_at[worker.pid]
                    worker.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the cluster."""
        if self._cluster is not None:
            self._cluster.close()
