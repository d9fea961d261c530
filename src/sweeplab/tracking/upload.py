"""Sending logs of runs to W&B, by the machinery behind `wandb sync`.

The command itself tells how it went in words only, ends with 0 whatever happened, and waits a quarter of an hour for
each run if the server is gone; so it is the machinery that is used here.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeplab.errors import UserError

POLL = 0.1  # seconds between two looks at an upload
ERROR = 40  # W&B's severity of an error
# W&B says of a file that it could not upload in its debug log only, and takes the run for uploaded.
FILE_ERRORS = ("sender: failed to log artifact: ", "file transfer: upload: failed to upload: ")


@dataclass
class Sent:
    """What W&B said while a log was sent: where its run is to be seen, what went wrong, and with which files."""

    address: str = ""
    errors: list[str] = field(default_factory=list)
    file_errors: list[str] = field(default_factory=list)

    def read_messages(self, messages: Iterable[Any]) -> None:
        """Take in W&B's messages."""
        for message in messages:
            if seen := re.search(r"View run .* at (\S+)", message.content):
                self.address = seen[1]
            if message.severity >= ERROR:
                self.errors.append(" ".join(message.content.split()).rstrip("."))


class SilentServerError(Exception):
    """The server has not taken anything for too long; the message is what it said last."""


class Uploads:
    """Sends logs, from several threads at once if need be.

    The first run for which nothing gets on for `patience` seconds is the last one: the server is given up.

    Attributes:
        given_up: What the server said, or did not, when it was given up; empty until then.
    """

    def __init__(self, session: Any, settings: Any, patience: float) -> None:
        self._session = session
        self._settings = settings
        self._patience = patience
        self.given_up = ""

    def send(self, log: Path) -> Sent:
        """Send a log from its beginning to its end, as far as there is one.

        Raises:
            SilentServerError: the server is gone, or fails.
        """
        if self.given_up:
            raise SilentServerError(self.given_up)
        service, settings = self._session.ensure_service(), self._settings.model_copy()
        with TemporaryDirectory() as debug_logs:
            settings.root_dir = debug_logs
            try:
                sent: Sent = self._session.asyncer.run(lambda: _send(service, settings, log, self._patience))
            except SilentServerError as error:
                self.given_up = self.given_up or str(error)
                raise SilentServerError(self.given_up) from error
            sent.file_errors = list(_file_errors(Path(debug_logs)))
        return sent


@contextmanager
def uploads(patience: float) -> Iterator[Uploads]:
    """Start W&B's service, and stop it again.

    Raises:
        UserError: no key, a key that is refused, or a server that does not answer.
    """
    import wandb
    from wandb.sdk import wandb_setup

    from sweeplab.tracking.settings import find_key, why_not

    os.environ.pop("WANDB_SERVICE", None)  # somebody else's service would go on with what is given up here
    wandb.setup(settings=wandb.Settings(silent=True, mode="online"))
    session = wandb_setup.singleton()
    settings = session.settings.model_copy()
    key = find_key(settings)
    if key is None:
        raise UserError("W&B has no key on this machine; run `wandb login`.")
    if trouble := why_not(settings.base_url, key):
        raise UserError(f"W&B: {trouble}.")
    settings.api_key = key
    try:
        yield Uploads(session, settings, patience)
    finally:
        wandb.teardown()


async def _send(service: Any, settings: Any, log: Path, patience: float) -> Sent:
    prepared = await service.init_sync(
        {log}, settings, cwd=None, live=False, entity="", project="", run_id="", job_type="", tag_replacements={}
    )
    id = (await prepared.wait_async(timeout=None)).id
    upload = asyncio.ensure_future((await service.sync(id, parallelism=1)).wait_async(timeout=None))
    try:
        return await _followed(service, id, upload, patience)
    finally:
        upload.cancel()


async def _followed(service: Any, id: str, upload: "asyncio.Future[Any]", patience: float) -> Sent:
    sent, last_progress = Sent(), time.monotonic()
    while not (await asyncio.wait({upload}, timeout=POLL))[0]:
        status = await (await service.sync_status(id)).wait_async(timeout=None)
        sent.read_messages(status.new_messages)
        obstacle = _obstacle(status)
        if not obstacle:
            last_progress = time.monotonic()
        elif time.monotonic() - last_progress > patience:
            raise SilentServerError(obstacle)
    sent.read_messages(upload.result().messages)
    return sent


def _obstacle(status: Any) -> str:
    """Return what stands in the way of all that goes on in an upload; nothing if a part of it still gets on."""
    errors = [str(operation.error_status) for run in status.stats for operation in run.operations]
    return errors[0] if errors and all(errors) else ""


def _file_errors(debug_logs: Path) -> Iterator[str]:
    for file in debug_logs.rglob("debug-sync*.log"):
        for line in file.read_text(encoding="utf-8").splitlines():
            message = str(json.loads(line).get("msg"))
            yield from (message.removeprefix(start) for start in FILE_ERRORS if message.startswith(start))
