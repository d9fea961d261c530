"""The command of a sweep as a job of SLURM, which submits itself again as long as its time does not suffice."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from sweeplab.errors import UserError, did_you_mean
from sweeplab.secrets import masked_words
from sweeplab.sweep.config.settings import ClusterSettings
from sweeplab.sweep.execute.connect import check_job
from sweeplab.sweep.execute.slurm_variables import forget_job
from sweeplab.sweep.spec import SweepSpec

TURN = "SWEEPLAB_CONTROLLER_TURN"  # in the environment of such a job: how many in a row came no further
MAX_TURNS = 10  # of that kind
TIMEOUT = "hydra.sweeper.timeout"
RETRIES_OVER = ("hydra.sweeper.retry_failed=false", "hydra.sweeper.retry=null")
# The keys of `cluster.controller`, and the options of sbatch that they are.
OPTIONS = {
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "time": "time",
    "cpus": "cpus-per-task",
    "memory": "mem",
}


def run_controller(spec: SweepSpec, cluster: ClusterSettings | None, run: Callable[[], tuple[int, bool]]) -> int:
    """Run a sweep's controller, or submit the job that does, if the user wants one; return the exit code.

    `run` returns an exit code, and whether any trial came further.

    Raises:
        UserError: SLURM does not take the job, or that of a node.
    """
    if cluster is None or not cluster.submit_controller:
        return run()[0]
    if TURN not in os.environ:
        check_job(cluster)
        sys.stdout.write(_submitted(spec, _submit(spec, cluster, 0, sys.orig_argv[1:])))
        return 0
    start, turns, job = time.monotonic(), int(os.environ.pop(TURN)), forget_job()
    over = _TimeIsOver()
    signal.signal(signal.SIGUSR1, over)
    code, came_further = run()
    if not over.has_come or not code:
        return code
    turns = 0 if came_further else turns + 1
    if turns == MAX_TURNS:
        raise UserError(
            f"in {MAX_TURNS} jobs of the controller in a row no trial has ended, or reported a step that was new; "
            "give it a longer time."
        )
    words = _following_words(spec, time.monotonic() - start)
    following = _submit(spec, cluster, turns, words, f"--dependency=afterany:{job}")
    sys.stdout.write(f"The time of job {job} is nearly over; job {following} resumes the sweep.\n")
    return 0


def controller_options(spec: SweepSpec, cluster: ClusterSettings) -> list[str]:
    """Return what sbatch is told of the controller's job.

    Raises:
        UserError: a key that is not known.
    """
    given = cluster.controller if cluster.controller is not None else {}
    names = [*OPTIONS, "directives"]
    if not isinstance(given, Mapping):
        raise UserError(f"cluster.controller={given} must be a mapping with keys as {', '.join(names)}.")
    for name in given:
        if name not in names:
            raise UserError(f"cluster.controller has no key '{name}'{did_you_mean(str(name), names)}")
    return [
        f"--job-name={spec.name}",
        f"--output={_logs(spec)}/controller-%j.log",
        "--open-mode=append",
        "--requeue",
        f"--signal=B:USR1@{cluster.leave_before}",
        *(f"--{option}={_value(key, given[key])}" for key, option in OPTIONS.items() if given.get(key) is not None),
        *given.get("directives", ()),
    ]


def _value(key: str, value: Any) -> str:
    """Return a value as sbatch reads it, for which 64GiB is 64G."""
    return re.sub(r"\s*([KMGT])(i?B)?$", r"\1", str(value), flags=re.IGNORECASE) if key == "memory" else str(value)


class _TimeIsOver:
    """Ends the sweep when SLURM says that the job's time is nearly over."""

    def __init__(self) -> None:
        self.has_come = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # the sweep is under way
            signal.raise_signal(signal.SIGTERM)


def _following_words(spec: SweepSpec, seconds: float) -> list[str]:
    """Return this command for the next job: it has the rest of the time, and failures are run again only once."""
    words, settings = sys.orig_argv[1:], spec.settings
    if settings.timeout is not None:
        words = [word for word in words if word.lstrip("+").partition("=")[0] != TIMEOUT]
        words.append(f"{TIMEOUT}={max(1, round(settings.timeout - seconds))}")
    return [*words, *(RETRIES_OVER if _retries(spec) else ())]


def _retries(spec: SweepSpec) -> bool:
    return spec.settings.retry_failed or spec.settings.retry is not None


def _submit(spec: SweepSpec, cluster: ClusterSettings, turns: int, words: Sequence[str], *more: str) -> str:
    """Submit this very command; return the number of its job."""
    _logs(spec).mkdir(parents=True, exist_ok=True)
    words = [sys.executable, *words, *spec.naming]
    _check_for_secrets(words)
    command = shlex.join(words)
    if _retries(spec):
        command += f" ${{SLURM_RESTART_COUNT:+{' '.join(RETRIES_OVER)}}}"  # when SLURM requeues the job
    # No environment of sbatch: a site may keep that from jobs, which would submit jobs in turn.
    script = f"#!/bin/sh\nexport PYTHONUNBUFFERED=1 {TURN}={turns}\nexec {command}\n"
    options: list[Any] = [*controller_options(spec, cluster), *more]
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", *options], input=script, text=True, capture_output=True, check=True
        )
    except FileNotFoundError as error:
        raise UserError("cluster.submit_controller=true needs SLURM's sbatch, which is not on the PATH.") from error
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
        raise UserError(f"SLURM does not take the job of the controller: {reason}") from error
    return done.stdout.strip().partition(";")[0]  # a cluster's name may follow


def _check_for_secrets(words: list[str]) -> None:
    """Refuse a command that SLURM, which keeps the scripts of jobs, should not see."""
    for word, masked in zip(words, masked_words(words), strict=True):
        if word != masked:
            raise UserError(
                f"SLURM would keep the password in {masked}; put it into a variable of the environment, and write "
                f"'{word.partition('=')[0]}=${{oc.env:NAME}}'."
            )


def _submitted(spec: SweepSpec, job: str) -> str:
    log = _logs(spec) / f"controller-{job}.log"
    return (
        f"The controller of {spec.name} is job {job}; you may log out.\n"
        f"  what it prints: tail -F {log}\n"
        f"  its jobs:       squeue --me\n"
        f"  to end it:      scancel {job}\n"
        f"  to resume it:   {spec.resume_command}\n"
    )


def _logs(spec: SweepSpec) -> Path:
    return spec.folder / "slurm"
