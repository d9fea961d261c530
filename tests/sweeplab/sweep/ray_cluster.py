"""A Ray cluster on this machine, as people start one: a head and further nodes, each with processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.sweeplab.sweep.dask_cluster import ROOT

START = 90.0  # seconds, on a machine that has other things to do
HIDING = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"')
TRIES = 3  # Ray's own patience with its processes is shorter than that


class RayCluster:
    """A head and nodes of one CPU each; everything ends with `close`, and nothing of another Ray does.

    Nothing on them sees what is in the folder that is `hidden`.
    """

    def __init__(self, hidden: Path | None = None) -> None:
        self._hiding = (*HIDING, str(hidden)) if hidden is not None else ()
        self._temporary = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)  # the paths of Ray's sockets may not be longer
        self.address = f"127.0.0.1:{_free_port()}"
        self.client = f"ray://127.0.0.1:{_free_port()}"
        self.nodes: list[psutil.Process] = []
        head = ("--head", "--port", self.address.rpartition(":")[2], "--include-dashboard=false", "--num-cpus=0")
        client = ("--ray-client-server-port", self.client.rpartition(":")[2])
        self.head = self._start(*head, *client, "--temp-dir", str(self.folder / "ray"))

    def add(self, *options: str) -> psutil.Process:
        """Add a node."""
        node = self._start("--address", self.address, *(options or ("--num-cpus=1",)))
        self.nodes.append(node)
        return node

    def close(self) -> None:
        """End all of it."""
        for node in [*self.nodes, self.head]:
            kill(node)
        self._temporary.cleanup()

    def _start(self, *arguments: str) -> psutil.Process:
        for _ in range(TRIES):
            process, log = self._begin(*arguments)
            until = time.monotonic() + START
            while process.poll() is None and time.monotonic() < until:
                if "runtime started" in log.read_text():
                    return process
                time.sleep(0.1)
            kill(process)
        raise AssertionError(log.read_text())

    def _begin(self, *arguments: str) -> tuple[psutil.Popen, Path]:
        log = self.folder / f"node-{len(list(self.folder.glob('node-*.log')))}.log"
        ports = ("--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0")
        with log.open("wb") as file:
            process = psutil.Popen(
                [*self._hiding, sys.executable, "-W", "ignore", "-m", "ray.scripts.scripts", "start",
                 "--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats", "--block",
                 *ports, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        return process, log


def kill(node: psutil.Process) -> None:
    """Kill a node as a machine that is switched off does: its raylet, its workers, and the hosts beside them."""
    _send(node, signal.SIGKILL)
    if isinstance(node, psutil.Popen):
        node.wait()


def halt(node: psutil.Process) -> None:
    """Stop all processes of a node, whose sockets stay open."""
    _send(node, signal.SIGSTOP)


def processes_of(node: psutil.Process) -> list[psutil.Process]:
    """Return the processes of a node, also the hosts that its actors have started, which have left its tree."""
    try:
        tree = [node, *node.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    raylets = {process.pid for process in tree if _is_raylet(process)}
    return [*tree, *(one for one in psutil.process_iter() if one not in tree and raylet_of(one) in raylets)]


def _is_raylet(process: psutil.Process) -> bool:
    try:
        return process.name() == "raylet"
    except psutil.NoSuchProcess:
        return False


def raylet_of(process: psutil.Process) -> int | None:
    """Return the raylet that a process belongs to."""
    try:
        raylet = process.environ().get("RAY_RAYLET_PID")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return int(raylet) if raylet else None


def _send(node: psutil.Process, number: int) -> None:
    for process in processes_of(node):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
