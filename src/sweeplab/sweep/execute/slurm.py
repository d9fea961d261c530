"""Nodes of a SLURM cluster: jobs that dask-jobqueue submits."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask_jobqueue

from sweeplab.sweep.execute.slurm_jobs import UnconnectedJobs
from sweeplab.sweep.execute.slurm_variables import forget_job

# By these a user's shell would overrule what a job script says.
OVERRULING = {
    "partition": "SBATCH_PARTITION",
    "account": "SBATCH_ACCOUNT",
    "qos": "SBATCH_QOS",
    "time": "SBATCH_TIMELIMIT",
    "gpus": "SBATCH_GRES",
    "memory": "SBATCH_MEM_PER_NODE",
}


class SLURMCluster(dask_jobqueue.SLURMCluster):  # type: ignore[misc,name-defined]  # it has no types
    """Jobs of one node each, which end their worker `leave_before` seconds before their time is over.

    `gpus` is a number, or a kind and a number (`a100:4`); `directives` are further options of sbatch; `logs` is a
    folder; `arguments` go to dask-jobqueue's own class. One that is `asynchronous` only tells its `job_script`.
    """

    def __init__(
        self,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        time: str | None = None,
        gpus: str | int | None = None,
        cpus: int = 1,
        memory: str = "4GB",
        directives: Sequence[str] = (),
        leave_before: int = 60,
        logs: str = "slurm",
        asynchronous: bool = False,
        **arguments: Any,
    ) -> None:
        logs = str(Path(logs).absolute())
        given = {"partition": partition, "account": account, "qos": qos, "time": time, "gpus": gpus, "memory": memory}
        lines = [
            f"--output={logs}/node-%j.log",
            "--no-requeue",  # the sweep submits another
            f"--signal=B:TERM@{leave_before}",
            *([f"--qos={qos}"] if qos is not None else []),
            *([f"--gres=gpu:{gpus}"] if gpus else []),
            *directives,
        ]
        self._overruling = [OVERRULING[key] for key, value in given.items() if value is not None]
        if not asynchronous:
            forget_job()
            for name in self._overruling:
                os.environ.pop(name, None)
            Path(logs).mkdir(parents=True, exist_ok=True)
        own: dict[str, Any] = {
            "queue": partition,
            "account": account,
            "walltime": time,
            "cores": cpus,
            "processes": 1,
            "memory": memory,
            "job_extra_directives": lines,
            "job_name": "sweep-node",
            "python": f"exec {shlex.quote(sys.executable)}",  # signals to the batch shell are the worker's
            "nanny": False,
            "scheduler_options": {"dashboard": False, "dashboard_address": ":0"},  # else a port that others have taken
        }
        super().__init__(asynchronous=asynchronous, **{**own, **arguments})
        self._unconnected = UnconnectedJobs(self, Path(logs))
        if not asynchronous:
            try:
                self.check_job()
            except BaseException:
                self.close()
                raise
            self.loop.add_callback(self._unconnected.watch)

    @property
    def failure(self) -> str:
        """Why no node will ever join, if that is so."""
        return self._unconnected.failure

    def check_job(self) -> None:
        """Let SLURM look at the script of a job, which else fails out of sight.

        Raises:
            RuntimeError: SLURM does not take it.
        """
        environment = {name: value for name, value in os.environ.items() if name not in self._overruling}
        command = ["sbatch", "--test-only"]
        try:
            done = subprocess.run(command, input=self.job_script(), env=environment, text=True, capture_output=True)
        except FileNotFoundError as error:
            raise RuntimeError("SLURM's sbatch is not on the PATH") from error
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
