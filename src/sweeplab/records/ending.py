"""How a run ends: what an exception stands for, and the record of it."""

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from sweeplab.records.record import Record, Status, now
from sweeplab.secrets import without_secrets


class TrialPruned(Exception):  # noqa: N818 - Optuna's name for it
    """The run was stopped because others do better; Optuna's own exception of this name means the same."""


class Killed(SystemExit):
    """The process was asked to end by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.reason = f"signal {signal.Signals(number).name}"


@contextmanager
def recorded(record: Record) -> Iterator[Record]:
    """Write the ending of a run into its record, whatever the ending is."""
    start = time.monotonic()
    try:
        with _sigterm_raises():
            yield record
    except BaseException as error:
        if record.folder.is_dir():  # else somebody moved it, and would find a second one
            with suppress(OSError):  # the disk may be full: what happened first is told
                record.update(**_ending(error), **_time_since(start))
        raise
    if not record.has_begun:
        record.begin()
    record.update(status=Status.COMPLETE, **_time_since(start))


def status_of(error: BaseException) -> Status:
    """Return the ending that an exception stands for."""
    if isinstance(error, Killed):
        return Status.KILLED
    if is_pruned(error):
        return Status.PRUNED
    # Lightning turns Ctrl-C into SystemExit.
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return Status.INTERRUPTED
    return Status.FAILED


def is_pruned(error: BaseException) -> bool:
    """Say whether an exception is `TrialPruned`, ours or Optuna's, without importing Optuna."""
    return any(kind.__name__ == TrialPruned.__name__ for kind in type(error).__mro__)


def _ending(error: BaseException) -> dict[str, Any]:
    status = status_of(error)
    if status is Status.FAILED:
        return {"status": status, "error": without_secrets("".join(traceback.format_exception(error)))}
    if status is Status.PRUNED:
        return {"status": status}
    return {"status": status, "error": error.reason if isinstance(error, Killed) else "Ctrl-C"}


def _time_since(start: float) -> dict[str, Any]:
    return {"ended": now(), "seconds": round(time.monotonic() - start, 3)}


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that files are closed and endings written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Killed(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
