"""Where a study is kept: a journal in the sweep's folder, or any URL that Optuna takes; and the lock beside it."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock
from optuna.storages.journal._file import BaseJournalFileLock

from sweeplab.errors import UserError
from sweeplab.records.files import write_bytes
from sweeplab.records.layout import StudyFile
from sweeplab.secrets import masked
from sweeplab.sweep.study.algorithms import build
from sweeplab.sweep.study.databases import connect, first_line, reconnecting
from sweeplab.sweep.study.reconnecting import ReconnectingStorage

POLL = 0.002  # seconds between two attempts at a lock, which others hold for milliseconds
LEFT_BEHIND = 120  # seconds after which a lock in a shared folder counts as that of a dead controller
# File systems of other machines, with or without `fuse.` before them.
SHARED = (
    *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "afs", "9p", "sshfs", "lustre", "gpfs", "beegfs"),
    *("ceph", "ceph-fuse", "glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "juicefs", "moosefs", "davfs"),
)
Lock = contextlib.AbstractContextManager[Any]


def open_storage(url: str | Mapping[str, Any] | None, folder: Path) -> tuple[BaseStorage, Lock]:
    """Return the storage, and the lock under which a controller takes a trial from it.

    Databases lock their rows themselves; files need the lock, or two controllers would take the same trial. The storage
    may also be described, with its `_target_`.
    """
    if isinstance(url, Mapping):
        built = build(url, "hydra.sweeper.storage")
        if isinstance(built, BaseStorage):
            return reconnecting(built), _lock_of(url)
        url = str(built)
    try:
        if url is None:
            folder.mkdir(parents=True, exist_ok=True)
        lock = _beside(folder / StudyFile.JOURNAL) if url is None else _lock(url)
        with lock:  # two that make the same tables at once fail
            return _journal(folder / StudyFile.JOURNAL) if url is None else connect(url), lock
    except UserError:
        raise
    except Exception as error:
        name = f"the folder {folder}" if url is None else f"hydra.sweeper.storage={masked(url)}"
        raise UserError(f"{name} cannot be opened: {masked(first_line(error))}") from error


def is_shared(folder: Path) -> bool:
    """Say whether a folder lies on a disk of another machine, where `flock` may keep out nobody but this machine."""
    real = folder.resolve()
    mounts = [mount for mount in psutil.disk_partitions(all=True) if real.is_relative_to(mount.mountpoint)]
    # Of those at one point the last counts: it covers the others.
    kinds = [mount.fstype for mount in sorted(mounts, key=lambda mount: len(Path(mount.mountpoint).parts))]
    return bool(kinds) and kinds[-1].removeprefix("fuse.") in SHARED


def _beside(file: Path) -> Lock:
    """Return the lock under which trials are taken from what is in a file."""
    return _SharedLock(Path(f"{file}.ask")) if is_shared(file.parent) else FileLock(f"{file}.ask", poll_interval=POLL)


class _SharedLock(contextlib.AbstractContextManager[None]):
    """A file that only one process can make, as NFS promises; one whose maker has died is removed after a while."""

    def __init__(self, path: Path) -> None:
        self._lock = JournalFileOpenLock(str(path), grace_period=LEFT_BEHIND)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(RuntimeError):  # somebody took us for gone
            self._lock.release()


def together(storage: BaseStorage) -> contextlib.AbstractContextManager[None]:
    """Let a journal take what is done in the block in one write."""
    return storage.together() if isinstance(storage, Journal) else contextlib.nullcontext()


def follow(storage: BaseStorage, tell: Callable[[str], None], may_wait: Callable[[], bool]) -> None:
    """Have a sentence told when a storage goes away or is back, and `may_wait` asked while it is away."""
    if isinstance(storage, ReconnectingStorage):
        storage.tell, storage.may_wait = tell, may_wait


def returned_at(storage: BaseStorage) -> float:
    """Return when a storage was last back after it had been away, by the clock; 0 if it never was away."""
    return storage.returned_at if isinstance(storage, ReconnectingStorage) else 0.0


def write_reports(storage: BaseStorage, trial_id: int, values: Mapping[int, float]) -> None:
    """Write what a trial has reported, by steps: in one transaction to a database.

    Raises:
        UpdateFinishedTrialError: the trial is over.
    """

    def one_by_one() -> bool:
        for step, value in values.items():
            storage.set_trial_intermediate_value(trial_id, step, value)
        return True

    if isinstance(storage, ReconnectingStorage) and isinstance(cached := storage.storage, _CachedStorage):
        # Those that are there already are no error when they are written one by one.
        storage.reach(lambda: _insert_reports(cached._backend, trial_id, values), one_by_one)
    else:
        one_by_one()


def _insert_reports(database: RDBStorage, trial_id: int, values: Mapping[int, float]) -> bool:
    """Add rows that Optuna would look for before it adds each, in a transaction of its own."""
    from optuna.storages._rdb.models import TrialIntermediateValueModel as Row

    with database.scoped_session() as session:
        for step, value in values.items():
            stored, kind = Row.intermediate_value_to_stored_repr(value)
            session.add(Row(trial_id=trial_id, step=step, intermediate_value=stored, intermediate_value_type=kind))
        session.commit()
    return True


class _JournalLock(BaseJournalFileLock):
    """A lock that the system takes from a killed process; Optuna's own is left behind for half a minute."""

    def __init__(self, path: Path) -> None:
        # Not `<path>.lock`: the file stays, and Optuna's own lock would take it for one that is held.
        self._lock = FileLock(f"{path}.write", poll_interval=POLL)

    def acquire(self) -> bool:
        """Wait for the lock, and take it."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


class Journal(JournalStorage):
    """A study in a file, which can take several operations in one locked and synced write."""

    def __init__(self, path: Path, lock: BaseJournalFileLock) -> None:
        self._file = _JournalFile(str(path), lock)
        super().__init__(self._file)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what is done in the block when it ends; until then nobody reads it, this process included."""
        self._file.buffer = []
        try:
            yield
        finally:
            self._file.flush()
        with self._thread_lock:
            self._sync_with_backend()  # which raises if an operation cannot be


class _JournalFile(JournalFileBackend):
    buffer: list[dict[str, Any]] | None = None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        if self.buffer is None:
            super().append_logs(logs)
        else:
            self.buffer += logs

    def flush(self) -> None:
        logs, self.buffer = self.buffer, None
        if logs:
            self.append_logs(logs)


def _journal(path: Path) -> Journal:
    """Return the journal at `path`; a last line that its writer was killed in is cut off.

    Raises:
        UserError: another line is damaged, or somebody else's.
    """
    lock = JournalFileSymlinkLock(str(path)) if is_shared(path.parent) else _JournalLock(path)
    if path.exists():
        lock.acquire()
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            write_bytes(path, content[: content.rfind(b"\n") + 1])
        lock.release()
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            if line.endswith(b"\n") and not _is_entry(line):
                raise UserError(
                    f"{path} is damaged: line {number} is not an entry of a study; restore the file, or make a copy "
                    "of it and remove that line."
                )
    return Journal(path, lock)


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and isinstance(entry.get("op_code"), int) and "worker_id" in entry


def _lock(url: str) -> Lock:
    kind, _, path = url.partition("://")
    if kind.startswith("sqlite") and path.lstrip("/"):
        file = Path(path.removeprefix("/").partition("?")[0])
        if not file.absolute().parent.is_dir():
            raise UserError(
                f"hydra.sweeper.storage={masked(url)}: there is no folder {file.parent}; create it, or fix the path."
            )
        if is_shared(file.absolute().parent):
            raise UserError(
                f"hydra.sweeper.storage={masked(url)}: SQLite is not safe on a shared file system; remove "
                "hydra.sweeper.storage to use the default journal, which is, or use PostgreSQL."
            )
        return FileLock(f"{file}.ask", poll_interval=POLL)
    return contextlib.nullcontext()


def _lock_of(described: Mapping[str, Any]) -> Lock:
    """Return the lock of a storage that is described: beside the file that it names, itself or further in."""
    if path := described.get("file_path"):
        return _beside(Path(path))
    inner = next((value for value in described.values() if isinstance(value, Mapping)), None)
    return _lock_of(inner) if inner else _lock(str(described.get("url", "")))
