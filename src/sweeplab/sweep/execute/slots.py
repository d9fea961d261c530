"""How many trials run at once, and what of the machine each of them owns."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweeplab.errors import UserError

JOBS_PER_CORE = 16  # more than that is a slip of the finger
NVIDIA, AMD = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"
# What the driver of AMD's GPUs says of each node, a GPU or a CPU.
AMD_NODES = Path("/sys/class/kfd/kfd/topology/nodes")


@dataclass(frozen=True)
class Slot:
    """What one trial at a time may use: its GPUs, the variable that chooses them, and its share of the cores."""

    gpus: tuple[str, ...] = ()
    threads: int = 1
    variable: str | None = NVIDIA

    @property
    def environment(self) -> dict[str, str]:
        """What a process must have in its environment before it touches a GPU."""
        return {self.variable: ",".join(self.gpus)} if self.gpus and self.variable else {}


def slots(n_jobs: int | str, jobs_per_gpu: int, gpus_per_job: int, budget: int | None) -> list[Slot]:
    """Share out this machine: its GPUs if it has some, else its cores.

    Raises:
        UserError: a number that makes no sense, or that the machine cannot run.
    """
    for name, number in (("jobs_per_gpu", jobs_per_gpu), ("gpus_per_job", gpus_per_job)):
        if number < 1:
            raise UserError(f"hydra.sweeper.{name}={number} must be 1 or more.")
    if n_jobs != "auto" and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs < 1):
        raise UserError(f"hydra.sweeper.n_jobs={n_jobs} must be auto, or a number from 1.")
    variable, cards = gpus()
    groups = [tuple(cards[i : i + gpus_per_job]) for i in range(0, len(cards) - gpus_per_job + 1, gpus_per_job)]
    if cards and not groups:
        raise UserError(f"hydra.sweeper.gpus_per_job={gpus_per_job}, but this machine has {len(cards)}.")
    shares: list[tuple[str, ...]] = groups * jobs_per_gpu or [()] * cores()
    if n_jobs == "auto":
        count = max(1, min(len(shares), budget or len(shares)))
    else:
        count = int(n_jobs)
        _check_fits(count, len(shares), bool(cards))
    threads = max(1, cores() // count)
    return [Slot(shares[i % len(shares)], threads, variable) for i in range(count)]


def _check_fits(count: int, most: int, on_gpus: bool) -> None:
    if on_gpus and count > most:
        raise UserError(
            f"hydra.sweeper.n_jobs={count}, but the GPUs of this machine have room for {most}; "
            "raise hydra.sweeper.jobs_per_gpu, or leave n_jobs=auto."
        )
    if count > JOBS_PER_CORE * cores():
        raise UserError(
            f"hydra.sweeper.n_jobs={count} is too many for {cores()} cores; "
            f"n_jobs=auto takes {cores()}, and {JOBS_PER_CORE * cores()} is the maximum."
        )


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> tuple[str | None, list[str]]:
    """Return the GPUs that this process may use, and the variable that chooses among them; a Mac's one has none.

    The driver is asked: torch would spoil a fork.
    """
    if (amd := _amd_gpus()) and not _nvidia_gpus():
        return AMD, _visible_of_amd(amd)
    if (visible := _listed(NVIDIA)) is not None:
        return NVIDIA, visible
    if (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        return None, ["mps"]
    return NVIDIA, _nvidia_gpus()


def _listed(variable: str) -> list[str] | None:
    value = os.environ.get(variable)
    return None if value is None else [name for name in value.split(",") if name not in ("", "-1")]


def _nvidia_gpus() -> list[str]:
    if (tool := shutil.which("nvidia-smi")) is None:
        return []
    done = subprocess.run([tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return done.stdout.split() if done.returncode == 0 else []


def _amd_gpus() -> list[str]:
    """Return AMD's GPUs; without ROCm there are none, though many a laptop has one for its screen."""
    if shutil.which("amd-smi") is None and shutil.which("rocm-smi") is None:
        return []
    return [str(index) for index, _ in enumerate(_amd_nodes())]


def _amd_nodes() -> Iterator[Path]:
    for path in AMD_NODES.glob("*/properties"):
        try:
            facts = dict(line.split(maxsplit=1) for line in path.read_text().splitlines() if " " in line)
        except OSError:  # a GPU that this container may not use
            continue
        if facts.get("simd_count", "0") != "0":
            yield path


def _visible_of_amd(cards: list[str]) -> list[str]:
    """Return those that variables leave: HIP counts what ROCR leaves, and reads CUDA's where its own is not set."""
    if (visible := _listed(AMD)) is not None:
        return visible
    if (visible := _listed("ROCR_VISIBLE_DEVICES")) is not None:
        return [str(index) for index, _ in enumerate(visible)]
    visible = _listed(NVIDIA)
    return cards if visible is None else visible
