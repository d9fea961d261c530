"""Jobs of nodes that end before their worker has connected, of which dask-jobqueue takes no notice."""

import asyncio
import logging
import os
import subprocess
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

LOOK_EVERY = 30.0  # seconds between two looks at SLURM's queue
SETTLE = 2.0  # seconds within which the cluster itself forgets the job of a worker that has left
# In a row that find such jobs: after them a sweep without nodes ends, and one with nodes looks less often.
MAX_LOOKS = 3
MAX_DOUBLINGS = 5  # of the time between two looks


class UnconnectedJobs:
    """Lets a cluster submit others in place of such jobs; `failure` says why it gave up."""

    def __init__(self, cluster: Any, logs: Path) -> None:
        self._cluster, self._logs = cluster, logs
        self._in_a_row = 0
        self._workers: set[str] = set()  # the addresses of the last look
        self.failure = ""

    async def watch(self) -> None:
        """Look again and again, until none of the jobs connects."""
        while not self.failure:
            await asyncio.sleep(LOOK_EVERY * 2 ** min(max(0, self._in_a_row - MAX_LOOKS), MAX_DOUBLINGS))
            await self._look()

    async def _look(self) -> None:
        submitted = {name: job.job_id for name, job in self._cluster.workers.items()}
        queued = await asyncio.to_thread(_queued)
        if queued is None:
            return
        await asyncio.sleep(SETTLE)
        workers = self._cluster.scheduler_info["workers"]
        if set(workers) - self._workers:
            self._in_a_row = 0
        self._workers = set(workers)
        connected = {worker["name"] for worker in workers.values()}
        current = {name: job.job_id for name, job in self._cluster.workers.items()}
        ended = {
            name: job
            for name, job in submitted.items() & current.items()
            if job not in queued and name not in connected
        }
        if ended:
            await self._replace(ended, any(job in queued for job in submitted.values()))

    async def _replace(self, ended: dict[str, str | None], others_wait: bool) -> None:
        for name in ended:  # its name is planned still, so that the cluster submits a job for it
            await self._cluster.workers.pop(name).close()
        numbers = sorted((job for job in ended.values() if job is not None), key=int)
        if numbers or not others_wait:  # a site may take only so many jobs at once
            self._in_a_row += 1
        last = self._explained(numbers[-1]) if numbers else "SLURM took no job for it."
        if self._in_a_row >= MAX_LOOKS and not self._workers:
            self.failure = f"no node can join, {MAX_LOOKS} attempts in a row have failed: {last}"
        elif self._in_a_row == 1:
            log.warning("A node could not join, and is asked for again: %s", last)

    def _explained(self, job: str) -> str:
        path = self._logs / f"node-{job}.log"
        why = f"its log is {path}" if path.exists() else f"it has no log; 'scontrol show job {job}' may say why"
        return f"job {job} ended before its worker had connected; {why}"


def _queued() -> set[str] | None:
    """Return the jobs that wait or run, None where SLURM does not say."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        done = subprocess.run(
            ["squeue", "--me", "--noheader", "--format=%i"],
            env=environment,
            text=True,
            capture_output=True,
            timeout=LOOK_EVERY,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return set(done.stdout.split()) if done.returncode == 0 else None
