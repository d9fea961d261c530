"""Sending logs of runs to W&B, by the machinery behind `wandb sync`.

The command itself tells how it went in words only, ends with 0 whatever happened, and waits a quarter of an hour for
each run if the server is gone; so it is the machinery that is used here.
"""

import asyncio
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeplab.errors import UserError

POLL = 0.1  # seconds between two looks at an upload
ERROR = 40  # W&B's severity of an error
# W&B says of a file that it could not upload in its debug log only, and takes the run for uploaded.
FILE_ERRORS = ("sender: failed to log artifact: ", "file transfer: upload: failed to upload: ")


class Upload:
    """Sends logs, several at once, but the parts of a run one after the other; W&B marks those that arrived.

    Attributes:
        addresses: Where the runs are to be seen.
        errors: Why logs did not arrive.
        file_errors: Why files of a log did not arrive.
        given_up: What the server said last, if nothing got on for `patience` seconds.
    """

    def __init__(self, parallel: int, patience: float) -> None:
        self.parallel, self.patience = max(parallel, 1), patience
        self.addresses: set[str] = set()
        self.errors: list[str] = []
        self.file_errors: defaultdict[str, list[str]] = defaultdict(list)
        self.given_up = ""

    def send(self, logs: Collection[Path]) -> None:
        """Send logs from their beginning to their end; in `logged_in` only."""
        from wandb.sdk import wandb_setup

        session = wandb_setup.singleton()
        service, settings = session.ensure_service(), session.settings.model_copy()
        with TemporaryDirectory() as debug_logs:
            settings.root_dir = debug_logs
            try:
                session.asyncer.run(lambda: self._send(service, settings, logs))
            finally:
                self._read_debug_logs(Path(debug_logs))

    async def _send(self, service: Any, settings: Any, logs: Collection[Path]) -> None:
        prepared = await service.init_sync(
            {*logs}, settings, cwd=None, live=False, entity="", project="", run_id="", job_type="", tag_replacements={}
        )
        id = (await prepared.wait_async(timeout=None)).id
        handle = await service.sync(id, parallelism=self.parallel)
        upload = asyncio.ensure_future(handle.wait_async(timeout=None))
        last_progress = time.monotonic()
        try:
            while not (await asyncio.wait({upload}, timeout=POLL))[0]:
                status = await (await service.sync_status(id)).wait_async(timeout=None)
                self._read_messages(status.new_messages)
                obstacle = _obstacle(status)
                if not obstacle:
                    last_progress = time.monotonic()
                elif time.monotonic() - last_progress > self.patience:
                    self.given_up = obstacle
                    return
            self._read_messages(upload.result().messages)
        finally:
            upload.cancel()

    def _read_messages(self, messages: Iterable[Any]) -> None:
        for message in messages:
            if seen := re.search(r"View run .* at (\S+)", message.content):
                self.addresses.add(seen[1])
            if message.severity >= ERROR:
                self.errors.append(" ".join(message.content.split()).rstrip("."))

    def _read_debug_logs(self, folder: Path) -> None:
        for file in folder.rglob("debug-sync*.log"):
            for line in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
                message = str(line.get("msg"))
                errors = [message.removeprefix(start) for start in FILE_ERRORS if message.startswith(start)]
                self.file_errors[str(line.get("sync_path"))] += errors


@contextmanager
def logged_in() -> Iterator[None]:
    """Start W&B's service, and stop it again.

    Raises:
        UserError: no key, a key that is refused, or a server that does not answer.
    """
    import wandb

    from sweeplab.tracking.settings import find_key, why_not

    os.environ.pop("WANDB_SERVICE", None)  # somebody else's service would go on with what is given up here
    settings = wandb.setup(settings=wandb.Settings(silent=True, mode="online")).settings
    key = find_key(settings)
    if key is None:
        raise UserError("W&B has no key on this machine; run `wandb login`.")
    if trouble := why_not(settings.base_url, key):
        raise UserError(f"W&B: {trouble}.")
    settings.api_key = key
    try:
        yield
    finally:
        wandb.teardown()


def _obstacle(status: Any) -> str:
    """Return what stands in the way of all that goes on in an upload; nothing if a part of it still gets on."""
    errors = [str(operation.error_status) for run in status.stats for operation in run.operations]
    return errors[0] if errors and all(errors) else ""
