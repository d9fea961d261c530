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
TO_A_WORKER: Mapping[signal.Signals, int] = {signal.SIGKILL: 2, signal.SIGTERM: 2, signal.SIGSTOP: 1}
TO_A_HOST: Mapping[signal.Signals, int] = {signal.SIGKILL: 2, signal.SIGTERM: 2, signal.SIGUSR2: 1}
ONLY_KILL: Mapping[signal.Signals, int] = {signal.SIGKILL: 1}
VICTIMS: Mapping[str, int] = {
    **{"controller": 2, "fork server": 1, "trial": 10, "sampler process": 4, "everybody": 1},
    **{"worker": 2, "host": 2},  # of a cluster
}
SENT: Mapping[str, Mapping[signal.Signals, int]] = {
    "controller": SIGNALS,
    "everybody": SIGNALS,
    "trial": TO_A_TRIAL,
    # They pass the others over, or end with their controller.
    "fork server": ONLY_KILL,
    "sampler process": ONLY_KILL,
    "worker": TO_A_WORKER,
    "host": TO_A_HOST,
}


Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Hit:
    """A signal that was sent, and to whom."""

    victim: str
    number: signal.Signals


def victims(controller: int, workers: Sequence[int] = ()) -> dict[str, list[psutil.Process]]:
    """Return the processes of a sweep by their role; those of its trials' nodes are children of these workers."""
    found: dict[str, list[psutil.Process]] = {role: [] for role in VICTIMS}
    everybody = _tree(controller)
    found["controller"], found["everybody"] = everybody[:1], everybody
    found["worker"] = [process for worker in workers for process in _tree(worker)[:1]]
    parents = {controller}
    for process in [*everybody[1:], *(child for worker in workers for child in _tree(worker)[1:])]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            line = " ".join(process.cmdline())
            if "sweeplab.sweep.execute.host" in line and process.ppid() in workers:
                parents.add(process.pid)
                found["host"].append(process)
            elif process.ppid() in parents and "forkserver" in line:
                found["fork server"].append(process)
            elif process.ppid() in [server.pid for server in found["fork server"]]:
                found["trial"].append(process)
            elif process.ppid() == controller and "spawn_main" in line:
                found["sampler process"].append(process)
    return found


def _tree(root: int) -> list[psutil.Process]:
    """Return a process and all below it, parents first; none if it has ended."""
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def strike(controller: int, chance: random.Random, workers: Sequence[int] = ()) -> Hit | None:
    """Send a random signal to a random one of a sweep's processes, or to all; None if none is there."""
    found = {role: processes for role, processes in victims(controller, workers).items() if processes}
    if not found:
        return None
    role = _drawn({role: VICTIMS[role] for role in found}, chance)
    number = _drawn(SENT[role], chance)
    targets: Sequence[psutil.Process] = found[role] if role == "everybody" else [chance.choice(found[role])]
    for process in targets:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(process.pid, number)
    return Hit(role, number)


def _drawn(weights: Mapping[Choice, int], chance: random.Random) -> Choice:
    return chance.choices(list(weights), list(weights.values()))[0]
