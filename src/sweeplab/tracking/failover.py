"""What keeps a training alive when the W&B service behind its run dies."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import wandb
from wandb.sdk import wandb_setup
from wandb.sdk.lib import module
from wandb.sdk.lib.asyncio_manager import AlreadyJoinedError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.sdk.lib.service.service_token import WandbServiceConnectionError
from wandb.sdk.mailbox.mailbox import MailboxClosedError
from wandb.sdk.mailbox.mailbox_handle import HandleAbandonedError

_LEFT: list[Any] = []  # services that nothing waits for, kept until the process ends and they with it
log = logging.getLogger(__name__)

# What calls on a run raise when its service is gone; none of them is a mistake of the user's.
GONE = (ConnectionError, AlreadyJoinedError, MailboxClosedError, HandleAbandonedError, WandbServiceConnectionError)
# And what the calls raise that ask the server something.
SILENT = (wandb.errors.CommError, WandbApiFailedError)


class Failover:
    """Sends what a run records to a second run if the service of the first dies, and nowhere if that dies as well.

    Calls on the run never raise for it, whoever makes them: a logger, a callback, a hook in the backward pass. All of
    them end in two methods of the run's interface, so these are what is held. Tables and artifacts, for which W&B asks
    its server first, are left out where that does not answer.
    """

    def __init__(self, run: Any, revive: Callable[[], Any]) -> None:
        self._run, self._revive = run, revive
        self._spare: Any = None
        self._lost = self._over = self._unanswered = False
        self._lock = threading.RLock()
        interface = run._interface
        for name in ("_publish", "_deliver"):
            setattr(interface, name, self._held(name, getattr(interface, name)))
        run.log, run.log_artifact = self._patient(run.log), self._patient(run.log_artifact)

    @property
    def broken(self) -> bool:
        """Whether the first service is gone."""
        return self._lost

    @property
    def silent(self) -> bool:
        """Whether nothing that is sent arrives anywhere."""
        return self._lost and self._spare is None

    @property
    def left_out(self) -> bool:
        """Whether tables or files were left out."""
        return self._unanswered

    @property
    def first_directory(self) -> str:
        """The directory of the run itself."""
        return str(self._run.settings.sync_dir)

    @property
    def directory(self) -> str:
        """The directory of the run, or of the one that took over."""
        return str((self._spare or self._run).settings.sync_dir)

    def finish(self, exit_code: int) -> None:
        """End the run, or the one that took over."""
        if not self._lost:
            try:
                self._run.finish(exit_code=exit_code)
            except GONE:
                self._lose()
            except OSError as error:  # of the disk; what was sent before is there
                log.warning("W&B: the end of the run was not written: %s", first_line(error))
        if self._lost:
            if self._spare is not None:
                with contextlib.suppress(*GONE):
                    self._spare.finish(exit_code=exit_code)
            self._run._restore()  # what is printed from now on is not the run's
            self._over = True
            if wandb.run is self._run:
                module.unset_globals()  # type: ignore[no-untyped-call]  # W&B's

    def cut(self) -> None:
        """Send nothing more, and let nothing take over."""
        self._run._wl.remove_active_run(self._run)
        self._run._restore()
        self._lost = self._over = True

    def _patient(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Let a call leave out what needs an answer of the server, once there was none; each would wait for seconds."""

        def call(what: Any, *arguments: Any, **more: Any) -> Any:
            if not self._unanswered:
                try:
                    return method(what, *arguments, **more)
                except (*GONE, *SILENT, OSError) as error:
                    self._unanswered = True
                    log.warning("W&B: tables and files are left out from here on: %s", first_line(error))
            rest = {key: value for key, value in what.items() if _is_plain(value)} if isinstance(what, dict) else {}
            return method(rest, *arguments, **more) if rest else None

        return call

    def _held(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def send(record: Any, **how: Any) -> Any:
            if not self._lost:
                try:
                    return method(record, **how)
                except GONE:
                    self._lose()
            return self._send_on(name, record, how)

        return send

    def _send_on(self, name: str, record: Any, how: dict[str, Any]) -> Any:
        if self._spare is None or self._over:
            return _Nothing()
        try:
            return getattr(self._spare._interface, name)(record, **how)
        except GONE:
            _forget_service_of(self._spare)
            self._spare = None
            log.warning("W&B: its service died again; the run continues without it.")
            return _Nothing()

    def _lose(self) -> None:
        with self._lock:
            if self._lost:
                return
            self._lost = True  # before anything else: what is sent meanwhile must not come here again
            _forget_service_of(self._run)
            try:
                self._spare = self._revive()
            except (*GONE, OSError, wandb.errors.Error) as second:
                log.warning("W&B: its service died, and no other starts (%s); the run goes on.", first_line(second))
            else:
                log.warning("W&B: its service died; the run goes on, and so does its record, offline.")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


class _Nothing:
    """What is promised in place of an answer that will never come."""

    def wait_or(self, *arguments: Any, **more: Any) -> None:
        raise HandleAbandonedError

    async def wait_async(self, *arguments: Any, **more: Any) -> None:
        raise HandleAbandonedError

    def map(self, function: Any) -> "_Nothing":
        return self

    def cancel(self, *arguments: Any) -> None:
        return None

    abandon = cancel


def forget_service() -> None:
    """Let the next run of this process start a service of its own; the one that there was is gone."""
    with contextlib.suppress(*GONE):
        wandb.teardown()
    os.environ.pop("WANDB_SERVICE", None)


def leave_service() -> None:
    """Let the next run of this process start a service of its own; nothing waits for the one that there is."""
    left, wandb_setup._singleton = wandb_setup._singleton, None
    _LEFT.append(left)
    if left is not None and left._connection is not None and left._connection._cleanup is not None:
        left._connection._cleanup()  # else this process waits for it as it exits; the service ends with the process
    os.environ.pop("WANDB_SERVICE", None)


def _forget_service_of(run: Any) -> None:
    run._wl.remove_active_run(run)  # else it would be ended now
    if wandb_setup._singleton is run._wl:  # else another run has done it already
        forget_service()


def first_line(error: BaseException) -> str:
    """Return what an error of W&B says, without its advice."""
    return (str(error) or type(error).__name__).splitlines()[0]
