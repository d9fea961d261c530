"""How many trials run at once, and what of the machine each of them owns."""

import os
import shutil
import subprocess
from dataclasses import dataclass

from sweeplab.errors import UserError

JOBS_PER_CORE = 16  # more than that is a slip of the finger


@dataclass(frozen=True)
class Slot:
    """What one trial at a time may use: its GPUs, and its share of the cores."""

    gpus: tuple[str, ...] = ()
    threads: int = 1

    @property
    def environment(self) -> dict[str, str]:
        """What a process must have in its environment before it touches a GPU."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)} if self.gpus else {}


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
    cards = gpus()
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
    return [Slot(shares[i % len(shares)], threads) for i in range(count)]


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


def gpus() -> list[str]:
    """Return the GPUs that this process may use, asked of the driver: torch would spoil a fork."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    if (tool := shutil.which("nvidia-smi")) is None:
        return []
    done = subprocess.run([tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return done.stdout.split() if done.returncode == 0 else []
