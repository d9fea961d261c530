"""Sending logs of runs to W&B, with the machinery of `wandb sync`."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeplab.errors import UserError

POLL = 0.1  # seconds between two looks at an upload
ERROR = 40  # W&B's severity of an error


@dataclass
class Sent:
    """What W&B said while a log was sent: where its run is to be seen, and what went wrong."""

    address: str = ""
    errors: list[str] = field(default_factory=list)

    def hear(self, severity: int, text: str) -> None:
        """Take in a message."""
        if seen := re.search(r"View run .* at (\S+)", text):
            self.address = seen[1]
        if severity >= ERROR:
            self.errors.append(re.sub(r"\s+", " ", text).rstrip("."))


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
        if not self.given_up:
            service = self._session.ensure_service()
            try:
                sent: Sent = self._session.asyncer.run(lambda: _send(service, self._settings, log, self._patience))
                return sent
            except SilentServerError as error:
                self.given_up = str(error)
        raise SilentServerError(self.given_up)


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
    with TemporaryDirectory() as debug_logs:
        settings.root_dir = debug_logs
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
    sent, well = Sent(), time.monotonic()
    while not (await asyncio.wait({upload}, timeout=POLL))[0]:
        status = await (await service.sync_status(id)).wait_async(timeout=None)
        for message in status.new_messages:
            sent.hear(message.severity, message.content)
        failing = _failing(status)
        if not failing:
            well = time.monotonic()
        elif time.monotonic() - well > patience:
            raise SilentServerError(failing)
    for message in upload.result().messages:
        sent.hear(message.severity, message.content)
    return sent


def _failing(status: Any) -> str:
    """Return what stands in the way of all that goes on in an upload; nothing if a part of it still gets on."""
    errors = [str(operation.error_status) for run in status.stats for operation in run.operations]
    return errors[0] if errors and all(errors) else ""
