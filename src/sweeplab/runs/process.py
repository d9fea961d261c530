"""Which process a run belongs to, and whether it still lives."""

import os
import socket
from collections.abc import Mapping
from typing import Any

import psutil


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other: host, process id, and when it started."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def is_alive(process: Mapping[str, Any]) -> bool | None:
    """Say whether the process lives; None if it ran on another host and nobody here can tell."""
    if process["host"] != socket.gethostname():
        return None
    try:
        # A process id is used again after a while, together with its start time it is not.
        other = psutil.Process(process["pid"])
        return abs(other.create_time() - process["started"]) < 1.0 and other.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
