"""Signals to the processes of a sweep."""

import contextlib
import os
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psutil

# SIGTERM and SIGHUP end a sweep at once, SIGINT lets its trials end; nothing can be done about SIGKILL.
SIGNALS: Mapping[signal.Signals, int] = {signal.SIGKILL: 6, signal.SIGTERM: 2, signal.SIGINT: 2, signal.SIGHUP: 1}
TO_A_TRIAL: Mapping[signal.Signals, int] = {**SIGNALS, signal.SIGSEGV: 2, signal.SIGABRT: 1}
VICTIMS: Mapping[str, int] = {"controller": 2, "fork server": 1, "trial": 10, "sampler process": 4, "everybody": 1}


Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Hit:
    """A signal that was sent, and to whom."""

    victim: str
    number: signal.Signals


def victims(controller: int) -> dict[str, list[psutil.Process]]:
    """Return the processes of a sweep by their role."""
    found: dict[str, list[psutil.Process]] = {role: [] for role in VICTIMS}
    try:
        root = psutil.Process(controller)
        everybody = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return found
    found["controller"], found["everybody"] = [root], everybody
    servers = set()
    for process in everybody[1:]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            line = " ".join(process.cmdline())
            if process.ppid() == controller and "forkserver" in line:
                servers.add(process.pid)
                found["fork server"].append(process)
            elif process.ppid() in servers:
                found["trial"].append(process)
            elif process.ppid() == controller and "spawn_main" in line:
                found["sampler process"].append(process)
    return found


def strike(controller: int, chance: random.Random) -> Hit | None:
    """Send a random signal to a random one of a sweep's processes, or to all; None if none is there."""
    found = {role: processes for role, processes in victims(controller).items() if processes}
    if not found:
        return None
    role = _drawn({role: VICTIMS[role] for role in found}, chance)
    # The fork server and the sampler process pass the others over, or end with their controller.
    only_kill = role in ("fork server", "sampler process")
    number = signal.SIGKILL if only_kill else _drawn(TO_A_TRIAL if role == "trial" else SIGNALS, chance)
    targets: Sequence[psutil.Process] = found[role] if role == "everybody" else [chance.choice(found[role])]
    for process in targets:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(process.pid, number)
    return Hit(role, number)


def _drawn(weights: Mapping[Choice, int], chance: random.Random) -> Choice:
    return chance.choices(list(weights), list(weights.values()))[0]
