"""Where a study is kept: a journal in the sweep's folder, or any URL that Optuna takes; and the lock beside it."""

import contextlib
import re
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from sweeplab.errors import UserError
from sweeplab.runs.files import write_bytes

JOURNAL = "study.journal"
Lock = contextlib.AbstractContextManager[Any]


def open_storage(url: str | None, folder: Path) -> tuple[BaseStorage, Lock]:
    """Return the storage, and the lock under which a controller takes a trial from it.

    Databases lock their rows themselves; files need the lock, or two controllers would take the same trial.
    """
    try:
        if url is None:
            folder.mkdir(parents=True, exist_ok=True)
        lock: Lock = FileLock(f"{folder / JOURNAL}.ask") if url is None else _lock(url)
        with lock:  # two that make the same tables at once fail
            return JournalStorage(_journal(folder / JOURNAL)) if url is None else _connect(url), lock
    except UserError:
        raise
    except Exception as error:
        name = f"the folder {folder}" if url is None else f"hydra.sweeper.storage={masked(url)}"
        raise UserError(f"{name} cannot be opened: {_first_line(error)}") from error


class _JournalLock(BaseJournalFileLock):
    """A lock that the system takes from a killed process; Optuna's own is left behind for half a minute."""

    def __init__(self, path: Path) -> None:
        # Not `<path>.lock`: the file stays, and Optuna's own lock would take it for one that is held.
        self._lock = FileLock(f"{path}.write")

    def acquire(self) -> bool:
        """Wait for the lock, and take it."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def _journal(path: Path) -> JournalFileBackend:
    """Return the journal at `path`; a last line that its writer was killed in is cut off."""
    lock = _JournalLock(path)
    if path.exists():
        lock.acquire()
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            write_bytes(path, content[: content.rfind(b"\n") + 1])
        lock.release()
    return JournalFileBackend(str(path), lock_obj=lock)


def masked(text: str) -> str:
    """Return a URL, or a text with URLs in it, without their passwords."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


def _lock(url: str) -> Lock:
    kind, _, path = url.partition("://")
    if kind.startswith("sqlite") and path.lstrip("/"):
        file = Path(path.removeprefix("/").partition("?")[0])
        if not file.absolute().parent.is_dir():
            raise UserError(
                f"hydra.sweeper.storage={url}: there is no folder {file.parent}; make it, or mend the path."
            )
        return FileLock(f"{file}.ask")
    return contextlib.nullcontext()


def _connect(url: str) -> BaseStorage:
    scheme, _, rest = url.partition("://")
    if scheme in ("redis", "rediss"):
        return JournalStorage(optuna.storages.journal.JournalRedisBackend(url))
    if scheme == "grpc":
        host, _, port = rest.partition(":")
        proxy = optuna.storages.GrpcStorageProxy(host=host, port=int(port or 13000))
        proxy.wait_server_ready(timeout=10)
        return proxy
    return optuna.storages.get_storage(url)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
