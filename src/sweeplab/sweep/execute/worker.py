"""One trial in a process of its own: from its job to its outcome."""

import contextlib
import faulthandler
import io
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from omegaconf import open_dict

from sweeplab.errors import SetupError
from sweeplab.records.ending import Killed, is_pruned
from sweeplab.records.layout import RunFile
from sweeplab.records.record import Status, as_left, is_run, note_constraints
from sweeplab.secrets import without_secrets
from sweeplab.streams import open_closed_streams
from sweeplab.sweep import trial as current_trial
from sweeplab.sweep.config.hydra_job import HydraJob, make_hydra_job
from sweeplab.sweep.execute import signals
from sweeplab.sweep.execute.outcome import write_outcome
from sweeplab.sweep.execute.process_state import ProcessState
from sweeplab.sweep.job import Job, Outcome
from sweeplab.sweep.trial import Report, Trial

IDLE = "idle"  # what a process says that waits for another job
LONGEST = 500  # characters of a reason


def work(job: Job, channel: Connection, alive: Connection, reuse: int = 1) -> None:
    """Run a job in this fresh process, send reports and the outcome through `channel`, and end with the controller.

    The job starts when `channel` has brought the environment of its slot. `alive` ends when the controller does,
    however it died. Up to `reuse` jobs run here, one after the other, as long as they come to a good end and leave
    nothing behind: after each but the last the process says that it is idle, and waits for the next.
    """
    signals.restore()
    open_closed_streams()
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C on the terminal is the controller's alone; and the whole group can be killed
    threading.Thread(target=_die_with, args=(alive,), daemon=True).start()
    state = ProcessState() if reuse > 1 else None
    for left in range(reuse - 1, -1, -1):
        if not _work(job, channel) or not left or state is None or not state.restore():
            return
        channel.send(IDLE)
        try:
            job = channel.recv()
        except EOFError:  # the sweep needs it no more
            return


def _work(job: Job, channel: Connection) -> bool:
    """Run a job; say whether another may follow it in this process."""
    ready, output = None, io.StringIO()  # for the file that the job will have
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), contextlib.suppress(Exception):
        ready = compose(job)  # what it raises is raised again where it is recorded
    try:
        environment: Mapping[str, str] = channel.recv()
    except EOFError:  # nobody wants it any more
        return False
    os.environ |= environment
    _capture(job.folder / RunFile.OUTPUT)
    sys.stdout.write(output.getvalue() if ready else "")
    sys.argv = [job.task.script, *job.arguments]

    sending = threading.Lock()  # a task may report from threads of its own

    def report(value: float, step: int) -> bool:
        with sending:
            channel.send((value, step))
            return bool(channel.recv()) if job.prunes else False

    outcome = perform(job, report, ready)
    write_outcome(job, outcome)
    with sending:
        channel.send(outcome)
    return outcome.status in (Status.COMPLETE, Status.PRUNED)


def compose(job: Job) -> HydraJob:
    """Make this process ready for a job."""
    config, for_task = job.trial_config.config(job.number), job.trial_config.config(job.number)
    with open_dict(config):
        if job.subdir:
            config.hydra.sweep.subdir = job.subdir
        if job.node_root:
            config.hydra.sweep.dir, config.hydra.runtime.cwd = str(job.home), str(job.node_root)
    return make_hydra_job(config, for_task, job.name, job.context)


def perform(job: Job, report: Report, ready: HydraJob | None = None) -> Outcome:
    """Run a job in this process as a Hydra launcher would, and say how it ended."""
    start = time.monotonic()
    trial = Trial(
        study=job.study,
        number=job.number,
        params=job.params,
        command=job.rerun_command,
        repeat=job.repeat,
        attempt=job.attempt,
        prunes=job.prunes,
        id=job.id,
        home=job.home,
        seed_key=job.seed_key,
        searched=job.searched,
        _report=report,
    )
    current_trial.enter(trial)
    before = _record_of(job) if job.attempt else {}
    if job.attempt:
        sys.stdout.write(f"Attempt {job.attempt + 1} of trial {job.number}, in the folder of the one that was cut.\n")
    try:
        outcome = Outcome(Status.COMPLETE, values=_values(_run(job, ready), job.objectives, job.has_objective))
    except KeyboardInterrupt:
        if job.interactive:
            raise
        outcome = Outcome(Status.KILLED, "signal SIGINT")
    except BaseException as error:  # noqa: BLE001 - whatever ended the task is what the trial came to
        outcome = _outcome(error)
    finally:
        current_trial.enter(None)
    outcome.seconds, outcome.constraints = round(time.monotonic() - start, 3), trial.constraints
    _agree_with_record(outcome, _record_of(job), before)
    if trial.constraints and is_run(job.folder):
        with contextlib.suppress(OSError):  # the disk may be full
            note_constraints(job.folder, trial.constraints)
    return outcome


def _record_of(job: Job) -> Mapping[str, Any]:
    return as_left(job.folder) or {}


def _agree_with_record(outcome: Outcome, facts: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Take over what the run has written of itself: how long it took, and the best value of one that was pruned.

    What it had written `before` is of an earlier attempt, which may have come to the same.
    """
    if facts.get("started") == before.get("started") and facts.get("status") != outcome.status:
        return
    outcome.seconds = facts.get("seconds") or outcome.seconds
    best = (facts.get("objective") or {}).get("value")
    if outcome.status is Status.PRUNED and best is not None:
        outcome.values = (best,)


def _run(job: Job, ready: HydraJob | None) -> Any:
    return (ready or compose(job)).run(job.task.function())


def _values(returned: Any, objectives: int, has_objective: bool) -> tuple[float, ...] | None:
    """Return the objectives that a task returned; None where nobody asked for one, and it returned something else."""
    try:
        values = _numbers(returned, objectives)
    except (TypeError, ValueError):
        if has_objective:
            raise
        return None
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"the objective is {value}")
    return values


def _numbers(returned: Any, objectives: int) -> tuple[float, ...]:
    if returned is None:
        raise TypeError("the task returned no objective")
    if hasattr(returned, "tolist"):  # of numpy or torch
        returned = returned.item() if objectives == 1 and returned.shape and _size(returned) == 1 else returned.tolist()
    many = isinstance(returned, Iterable) and not isinstance(returned, str | bytes | Mapping)
    listed = list(returned) if many else [returned]
    if len(listed) != objectives:
        raise ValueError(f"the task returned {len(listed)} values for {objectives} objectives")
    return tuple(_number(value) for value in listed)


def _number(value: Any) -> float:
    try:
        if not isinstance(value, bool | bytes):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"the task returned {value!r}, which is not a number")


def _size(array: Any) -> int:
    return math.prod(array.shape)


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, Killed):
        return Outcome(Status.KILLED, error.reason)
    if is_pruned(error):
        return Outcome(Status.PRUNED)
    if isinstance(error, SetupError):
        return Outcome(Status.FAILED, str(error), is_shared=True)
    if isinstance(error, SystemExit):
        if isinstance(error.__context__, KeyboardInterrupt):  # as Lightning ends on Ctrl-C
            return Outcome(Status.KILLED, "signal SIGINT")
        words = error.code if isinstance(error.code, str) else f"the task called sys.exit({error.code!r})"
        return Outcome(Status.FAILED, words)
    try:
        text = without_secrets("".join(traceback.format_exception(error)))
        reason = without_secrets(" ".join(f"{type(error).__name__}: {error}".strip(": \n").split()))
    except Exception:  # noqa: BLE001 - whatever the message of somebody's exception does
        text = reason = f"{type(error).__name__}, which cannot say why"
    sys.stderr.write(text)
    return Outcome(Status.FAILED, reason[:LONGEST], traceback=text)


def _capture(path: Path) -> None:
    """Send all that this process and its children print to a file, the traceback of a crash included."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(log, number)
    os.close(log)
    how: Any = {"buffering": 1, "encoding": "utf-8", "errors": "backslashreplace", "closefd": False}
    sys.stdout, sys.stderr = os.fdopen(1, "w", **how), os.fdopen(2, "w", **how)
    faulthandler.enable(file=2)


def _die_with(alive: Connection) -> None:
    try:
        alive.recv_bytes()
    except (EOFError, OSError):
        if hasattr(os, "killpg"):
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)
