"""What keeps a training alive when the W&B service behind its run dies, and tells where its record is then."""

import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal

import wandb
from wandb.sdk import wandb_setup
from wandb.sdk.lib import module
from wandb.sdk.lib.asyncio_manager import AlreadyJoinedError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.sdk.lib.service.service_token import WandbServiceConnectionError
from wandb.sdk.mailbox.mailbox import MailboxClosedError
from wandb.sdk.mailbox.mailbox_handle import HandleAbandonedError

from sweeplab.tracking.offline_run import mark_unsent, read
from sweeplab.tracking.settings import find_key, first_line, why_not

log = logging.getLogger(__name__)

Kept = Literal["server", "disk", "both", "partly", "nowhere"]  # where the record of a run is
FULL = 2**16  # bytes: a disk with less can't take what is logged
# What calls on a run raise when its service is gone; none of them is a mistake of the user's.
GONE = (ConnectionError, AlreadyJoinedError, MailboxClosedError, HandleAbandonedError, WandbServiceConnectionError)
# And what the calls raise that ask the server something.
SILENT = (wandb.errors.CommError, WandbApiFailedError)
_ABANDONED: list[Any] = []  # services that nothing waits for, kept until the process ends and they with it


class Target(Enum):
    """Where what a run records goes now."""

    FIRST = auto()  # the run itself
    SECOND = auto()  # the one that took over when the service of the first died
    NOWHERE = auto()  # while the second starts, when its service died too, and when all has ended


class Failover:
    """Sends what a run records to a second run if the service of the first dies, and nowhere if that dies as well.

    Calls on the run never raise for it, whoever makes them: a logger, a callback, a hook in the backward pass. All of
    them end in two methods of the run's interface, so these are what is guarded. Tables and artifacts, for which W&B
    asks its server first, are left out where that does not answer.
    """

    def __init__(self, run: Any, start_second: Callable[[], Any]) -> None:
        self._run, self._start_second = run, start_second
        self._second: Any = None
        self._target = Target.FIRST
        self._leaves_out = False  # tables and artifacts, since the server did not answer
        self._lock = threading.RLock()
        interface = run._interface
        for name in ("_publish", "_deliver"):
            setattr(interface, name, self._guarded(name, getattr(interface, name)))
        run.log, run.log_artifact = self._optional(run.log), self._optional(run.log_artifact)

    @property
    def directory(self) -> str:
        """The directory of the run, or of the one that took over."""
        return str((self._second or self._run).settings.sync_dir)

    def finish(self, exit_code: int) -> None:
        """End the run, or the one that took over."""
        if self._target is Target.FIRST:
            try:
                self._run.finish(exit_code=exit_code)
            except GONE:
                self._switch()
            except OSError as error:  # of the disk; what was sent before is there
                log.warning("W&B: the end of the run was not written: %s", first_line(error))
        if self._target is not Target.FIRST:
            if self._second is not None:
                with contextlib.suppress(*GONE):
                    self._second.finish(exit_code=exit_code)
            self._run._restore()  # what is printed from now on is not the run's
            self._target = Target.NOWHERE
            if wandb.run is self._run:
                module.unset_globals()  # type: ignore[no-untyped-call]  # W&B's

    def abandon(self) -> None:
        """Send nothing more, and let nothing take over."""
        self._run._wl.remove_active_run(self._run)
        self._run._restore()
        self._target = Target.NOWHERE

    def kept(self, online: bool) -> Kept:
        """Say where the record is when the run has ended, and warn where it is not whole or not there."""
        directory = Path(self.directory)
        if shutil.disk_usage(directory).free < FULL and not _is_whole(directory):
            log.warning("W&B: the disk is full, so the end of the record in %s is missing.", directory)
            return "partly"
        trouble = self._trouble() if online else ""
        has_failed = self._target is not Target.FIRST
        if online and (trouble or has_failed):
            mark_unsent(Path(self._run.settings.sync_dir))
        if trouble:
            log.warning("W&B: upload incomplete (%s); later: python -m sweeplab.tracking.sync %s", trouble, directory)
        if self._leaves_out or (has_failed and self._second is None):
            return "partly"
        if trouble or not online:
            return "disk"
        return "both" if has_failed else "server"

    def _trouble(self) -> str:
        """Say why the server cannot have all: W&B ends a run in silence if its key is no longer good."""
        if self._run._finish_timed_out:
            return "timed out"
        return why_not(self._run.settings.base_url, find_key(self._run.settings) or "")

    def _optional(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Let a call leave out what needs an answer of the server, once there was none; each would wait for seconds."""

        def call(what: Any, *arguments: Any, **more: Any) -> Any:
            if not self._leaves_out:
                try:
                    return method(what, *arguments, **more)
                except (*GONE, *SILENT, OSError) as error:
                    self._leaves_out = True
                    log.warning("W&B: tables and files are left out from here on: %s", first_line(error))
            rest = {key: value for key, value in what.items() if _is_plain(value)} if isinstance(what, dict) else {}
            return method(rest, *arguments, **more) if rest else None

        return call

    def _guarded(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def send(record: Any, **how: Any) -> Any:
            if self._target is Target.FIRST:
                try:
                    return method(record, **how)
                except GONE:
                    self._switch()
            return self._send_to_second(name, record, how)

        return send

    def _send_to_second(self, name: str, record: Any, how: dict[str, Any]) -> Any:
        if self._target is Target.NOWHERE:
            return _NoAnswer()
        try:
            return getattr(self._second._interface, name)(record, **how)
        except GONE:
            _forget_service_of(self._second)
            self._second, self._target = None, Target.NOWHERE
            log.warning("W&B: its service died again; the run continues without it.")
            return _NoAnswer()

    def _switch(self) -> None:
        with self._lock:
            if self._target is not Target.FIRST:
                return
            self._target = Target.NOWHERE  # before anything else: what is sent meanwhile must not come here again
            _forget_service_of(self._run)
            try:
                self._second = self._start_second()
            except (*GONE, OSError, wandb.errors.Error) as error:
                log.warning("W&B: its service died, and no other starts (%s); the run continues.", first_line(error))
            else:
                self._target = Target.SECOND
                log.warning("W&B: its service died; the run continues, and is recorded offline.")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_whole(directory: Path) -> bool:
    return all(run is not None and run.is_whole for run in map(read, directory.glob("run-*.wandb")))


class _NoAnswer:
    """What W&B hands out in place of an answer, where none will ever come."""

    def wait_or(self, *arguments: Any, **more: Any) -> None:
        raise HandleAbandonedError

    async def wait_async(self, *arguments: Any, **more: Any) -> None:
        raise HandleAbandonedError

    def map(self, function: Any) -> "_NoAnswer":
        return self

    def cancel(self, *arguments: Any) -> None:
        return None

    abandon = cancel


def forget_service() -> None:
    """Let the next run of this process start a service of its own; the one that there was is gone."""
    with contextlib.suppress(*GONE):
        wandb.teardown()
    os.environ.pop("WANDB_SERVICE", None)


def abandon_service() -> None:
    """Let the next run of this process start a service of its own; nothing waits for the one that there is."""
    session, wandb_setup._singleton = wandb_setup._singleton, None
    _ABANDONED.append(session)
    if session is not None and session._connection is not None and session._connection._cleanup is not None:
        session._connection._cleanup()  # else this process waits for it as it exits; the service ends with the process
    os.environ.pop("WANDB_SERVICE", None)


def _forget_service_of(run: Any) -> None:
    run._wl.remove_active_run(run)  # else it would be ended now
    if wandb_setup._singleton is run._wl:  # else another run has done it already
        forget_service()
