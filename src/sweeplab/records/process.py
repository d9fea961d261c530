"""Which process a run belongs to, and whether it still lives."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

PROC = Path("/proc")


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other: host, container, process id, and when it started."""
    started = psutil.Process().create_time()
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": started, **_ticks(os.getpid())}


def is_alive(process: Mapping[str, Any]) -> bool | None:
    """Say whether the process lives; None if it ran on another host or in another container: nobody here can tell."""
    if process["host"] != socket.gethostname():
        return None
    here = _boot()
    if "boot" in process and "boot" in here and process["boot"] != here["boot"]:
        return False
    if "namespace" in process and process["namespace"] != here.get("namespace"):
        return None
    try:
        other = psutil.Process(process["pid"])
        if other.status() == psutil.STATUS_ZOMBIE:
            return False
        # A process id is used again after a while, together with its start time it is not.
        now = _ticks(process["pid"]) if "ticks" in process else {}
        if now:
            return all(process[key] == value for key, value in now.items() if key in process)
        return bool(abs(other.create_time() - process["started"]) < 1.0)
    except psutil.NoSuchProcess:
        return False


def _boot() -> dict[str, Any]:
    """Return which boot this is, and in which namespace process ids mean what they do here, as far as known."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return {"boot": boot, "namespace": str((PROC / "self/ns/pid").readlink())}
    except OSError:
        return {}


def _ticks(pid: int) -> dict[str, Any]:
    """Return when a process started in ticks since the boot, where the system says so: no step of a clock changes that.

    psutil gives the time of the day, which moves with the clock.
    """
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()  # a name may hold blanks
    except OSError:
        return {}
    return {**_boot(), "ticks": int(fields[19])}
