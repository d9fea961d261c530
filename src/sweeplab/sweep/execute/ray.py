"""Ray as the engine of a cluster: it has nodes, carries messages, and notices when a node is gone.

Ray itself is used by a process of its own, `ray_driver.py`, so that what it prints, and how it ends where its cluster
is gone, does not concern the controller. Where the controller dies, that process is there to tell the hosts.
"""

import contextlib
import logging
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from sweeplab.errors import UserError
from sweeplab.sweep.execute.cluster import place_of
from sweeplab.sweep.execute.local import GRACE
from sweeplab.sweep.execute.messages import packed

HEARTBEATS_PER_LEASE = 5.0  # so that some may be late
CONNECT = 60.0  # seconds for Ray to answer

log = logging.getLogger(__name__)


class Ray:
    """The engine over the Ray cluster at `address`, which runs already."""

    def __init__(self, address: str, setup: bytes, lease: float) -> None:
        self._address, self._lease = address, lease
        self._sent_at: dict[str, float] = {}
        self._arrived: list[tuple[str, bytes | None]] = []
        self._error = ""
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        near, far = socket.socketpair()
        with far:
            module = "sweeplab.sweep.execute.ray_driver"
            self._driver = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", module, str(far.fileno()), address],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process alone
            )  # fmt: skip
        self.wake = Connection(near.detach())
        try:
            self._connect(setup)
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._keep_talking, daemon=True).start()

    def receive(self) -> list[tuple[str, bytes | None]]:
        """Return what the driver has passed on."""
        try:
            while self.wake.poll():
                self._take(*self.wake.recv())
        except (EOFError, OSError) as error:
            if not self._arrived:
                raise self._failure(self._error or "its driver has ended; Ray's own logs say why") from error
        arrived, self._arrived = self._arrived, []
        return arrived

    def send(self, host: str, message: Any) -> None:
        """Let the driver send a message to a host."""
        self._ask("put", host, packed(message))

    def drain(self) -> None:
        """Place no further hosts."""
        self._ask("drain")

    def avoid(self, host: str) -> None:
        """Place no further host on the node of this one."""
        self._ask("avoid", place_of(host))

    def sent_at(self, host: str) -> float:
        """Return the time of the last heartbeat that was sent to a host that is gone, or of now."""
        return self._sent_at.get(host, time.monotonic())

    def close(self) -> None:
        """Let go of Ray, which ends the hosts that are left."""
        self._is_over.set()
        self._ask("close")
        self.wake.close()
        try:
            self._driver.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.wait()

    def _connect(self, setup: bytes) -> None:
        """Give the driver the setup, and wait until it is connected."""
        try:
            self.wake.send_bytes(setup)
        except OSError as error:
            reason = f"its driver ends as it starts; {sys.executable} -c 'import ray' may say why"
            raise self._failure(reason) from error
        if not self.wake.poll(CONNECT):
            raise self._failure(f"it has not answered for {CONNECT:g} s")
        self.receive()

    def _take(self, kind: str, *content: Any) -> None:
        """Take in what the driver says; that it is connected need only have come."""
        if kind == "message":
            host, message = content
            self._arrived.append((host, message))
        elif kind == "end":
            host, sent_at = content
            self._sent_at[host] = sent_at
            self._arrived.append((host, None))
        elif kind == "notice":
            log.info("%s", *content)
        elif kind == "error":
            (self._error,) = content

    def _failure(self, reason: str) -> UserError:
        return UserError(f"the Ray cluster at {self._address} cannot be used: {reason.rstrip('.')}.")

    def _ask(self, method: str, *arguments: Any) -> None:
        with self._lock, contextlib.suppress(OSError):  # the driver has ended, as `receive` says
            self.wake.send((time.monotonic(), method, arguments))

    def _keep_talking(self) -> None:
        """Let the driver know that this process lives, and is not at a halt."""
        while not self._is_over.wait(self._lease / HEARTBEATS_PER_LEASE):
            self._ask("send_heartbeat")
