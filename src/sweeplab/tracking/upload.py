"""Sending logs of runs to W&B, with the machinery of `wandb sync`."""

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
# It says of a file that it could not upload in its debug log only, and takes the run for uploaded.
LOST = ("sender: failed to log artifact: ", "file transfer: upload: failed to upload: ")


@dataclass
class Sent:
    """What W&B said while a log was sent: where its run is to be seen, what went wrong, and with which files."""

    address: str = ""
    errors: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def hear(self, messages: Iterable[Any]) -> None:
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

    W&B itself bears a server that is gone for a quarter of an hour, for each run. Here the first run that finds it gone
    for `patience` seconds is the last one.

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
            sent.lost = list(_lost(Path(debug_logs)))
        return sent


@contextmanager
def uploads(patience: float) -> Iterator[Uploads]:
    """Start W&B's service, and stop it again.

    Raises:
        UserError: no key, a key that is refused, or a server that does not answer.
    """
    import wandb
    from wandb.sdk import wandb_setup

    from sweeplab.tracking.mode import find_key, why_not

    os.environ.pop("WANDB_SERVICE", None)  # somebody else's service would go on with what is given up here
    wandb.setup(settings=wandb.Settings(silent=True, mode="online"))
    session = wandb_setup.singleton()
    settings = session.settings.model_copy()
    key = find_key(settings)
    if key is None:
        raise UserError("W&B has no key on this machine; write `wandb login`.")
    if trouble := why_not(settings.base_url, key):
        raise UserError(f"W&B: {trouble}.")
    settings.api_key = key
    try:
        yield Uploads(session, settings, patience)
    finally:
        wandb.teardown()


async def _send(service: Any, settings: Any, log: Path, patience: float) -> Sent:
    begun = await service.init_sync(
        {log}, settings, cwd=None, live=False, entity="", project="", run_id="", job_type="", tag_replacements={}
    )
    id = (await begun.wait_async(timeout=None)).id
    upload = asyncio.ensure_future((await service.sync(id, parallelism=1)).wait_async(timeout=None))
    try:
        return await _heard(service, id, upload, patience)
    finally:
        upload.cancel()


async def _heard(service: Any, id: str, upload: "asyncio.Future[Any]", patience: float) -> Sent:
    sent, well = Sent(), time.monotonic()
    while not (await asyncio.wait({upload}, timeout=POLL))[0]:
        status = await (await service.sync_status(id)).wait_async(timeout=None)
        sent.hear(status.new_messages)
        failing = _failing(status)
        if not failing:
            well = time.monotonic()
        elif time.monotonic() - well > patience:
            raise SilentServerError(failing)
    sent.hear(upload.result().messages)
    return sent


def _failing(status: Any) -> str:
    """Return what stands in the way of all that goes on in an upload; nothing if a part of it still gets on."""
    errors = [str(operation.error_status) for run in status.stats for operation in run.operations]
    return errors[0] if errors and all(errors) else ""


def _lost(debug_logs: Path) -> Iterator[str]:
    for file in debug_logs.rglob("debug-sync*.log"):
        for line in file.read_text(encoding="utf-8").splitlines():
            said = str(json.loads(line).get("msg"))
            yield from (said.removeprefix(sign) for sign in LOST if said.startswith(sign))
