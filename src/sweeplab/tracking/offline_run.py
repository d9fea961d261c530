"""An offline run of W&B on disk: what its log says, where its artifacts' files are, whether it is uploaded."""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sweeplab.records.files import write_text, written_whole

Record = Any  # W&B's, which has no types

# A LevelDB log behind a header of W&B's own, which counts as part of the first block.
IDENT = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
BLOCK = 32 * 1024
PIECE = struct.Struct("<IHB")  # checksum, length, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

UNSENT = "unsent"  # a file in the folder of a run that was online, but did not reach its server whole


class TornLogError(Exception):
    """A log that ends within a record."""


@dataclass(frozen=True)
class OfflineRun:
    """One start of a run: a run that was resumed has several, of one id.

    Attributes:
        started: Nanoseconds since the epoch.
        size: The length of the log when it was read: a run may go on meanwhile.
        is_whole: Whether the log goes up to the end of the run.
    """

    log: Path
    entity: str
    project: str
    started: int
    size: int
    is_whole: bool
    files: tuple["ArtifactFile", ...]


@dataclass(frozen=True)
class ArtifactFile:
    """A file that waits outside the log for its upload."""

    artifact: str
    path: str
    size: int
    digest: str
    algorithm: str

    def find(self, home: Path) -> Path | None:
        """Return where the file is: where it was, or in the same place below `home`, if the run was moved."""
        was = Path(self.path)
        below = (home.joinpath(*was.parts[start:]) for start in range(1, len(was.parts)))
        return next((path for path in (was, *below) if self._is(path)), None)

    def _is(self, path: Path) -> bool:
        from wandb.sdk.lib import hashutil

        if not path.is_file() or path.stat().st_size != self.size:
            return False
        digest = hashutil.xxh128_file_b64 if "XXH128" in self.algorithm else hashutil.md5_file_b64
        return digest(path) == self.digest


def home_of(log: Path) -> Path:
    """Return the folder that holds the run's `wandb/`: a study's, or a single run's."""
    return log.parent.parent.parent


def mark_of(log: Path) -> Path:
    """Return the file by which W&B knows that a log is uploaded."""
    return log.with_name(f"{log.name}.synced")


def mark_uploaded(log: Path, size: int | None = None) -> None:
    """Mark a log as uploaded; with a size, as far as that, since it breaks off there. W&B leaves its marks empty."""
    write_text(mark_of(log), "" if size is None else str(size))


def is_uploaded(log: Path) -> bool:
    """Say whether a log is marked as uploaded, and has not grown since if it broke off."""
    mark = mark_of(log)
    return mark.exists() and mark.read_text(encoding="utf-8") in ("", str(log.stat().st_size))


def mark_unsent(directory: Path) -> None:
    """Note in the folder of a run that was online that its server did not take all of it."""
    with suppress(OSError):  # the disk may be full
        (directory / UNSENT).touch()


def is_unsent(log: Path) -> bool:
    """Say whether a run that was online has noted that its server did not take all of it."""
    return (log.parent / UNSENT).exists()


def read(log: Path) -> OfflineRun | None:
    """Return what a log says; None if it stops before it says which run it is."""
    size = log.stat().st_size
    run, is_whole = None, False
    files: list[ArtifactFile] = []
    try:
        for record in _parsed(log):
            kind = record.WhichOneof("record_type")
            if kind == "run" and run is None:
                run = record.run
            elif kind == "exit":
                is_whole = True
            files += _files(record)
    except TornLogError:
        is_whole = False
    if run is None:
        return None
    return OfflineRun(log, run.entity, run.project, run.start_time.ToNanoseconds(), size, is_whole, tuple(files))


def rewrite(log: Path, copy: Path, entity: str, project: str, moved: Mapping[str, Path]) -> None:
    """Copy a log, for another project or entity if one is named, and with the files of its artifacts where they are."""
    with written_whole(copy) as temporary, temporary.open("wb") as file:
        _write(file, (_changed(record, entity, project, moved).SerializeToString() for record in _parsed_so_far(log)))


def _changed(record: Record, entity: str, project: str, moved: Mapping[str, Path]) -> Record:
    kind = record.WhichOneof("record_type")
    if kind in ("run", "artifact"):
        where = getattr(record, kind)
        where.entity, where.project = entity or where.entity, project or where.project
    for entry in _local(record):
        if entry.local_path in moved:
            entry.local_path = str(moved[entry.local_path])
    return record


def _local(record: Record) -> Iterable[Any]:
    if record.WhichOneof("record_type") != "artifact":
        return []
    return [entry for entry in record.artifact.manifest.contents if entry.local_path and not entry.ref]


def _files(record: Record) -> Iterator[ArtifactFile]:
    for entry in _local(record):
        kind = record.artifact.digest_algorithm
        yield ArtifactFile(record.artifact.name, entry.local_path, entry.size, entry.digest, kind)


def _parsed(log: Path) -> Iterator[Record]:
    from wandb.proto import wandb_internal_pb2

    with log.open("rb") as file:
        for content in _records(file):
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # as generated, without types
            record.ParseFromString(content)
            yield record


def _parsed_so_far(log: Path) -> Iterator[Record]:
    try:
        yield from _parsed(log)
    except TornLogError:
        return


def _records(file: BinaryIO) -> Iterator[bytes]:
    if file.read(len(IDENT)) != IDENT:
        raise TornLogError
    parts: list[bytes] = []
    while True:
        left = BLOCK - file.tell() % BLOCK
        if left < PIECE.size:
            file.seek(left, os.SEEK_CUR)  # also past the end
            continue
        head = file.read(PIECE.size)
        if not head and not parts:
            return
        if len(head) < PIECE.size:
            raise TornLogError
        checksum, length, kind = PIECE.unpack(head)
        part = file.read(length)
        if len(part) < length or checksum != _checksum(kind, part):
            raise TornLogError
        parts.append(part)
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []


def _write(file: BinaryIO, records: Iterable[bytes]) -> None:
    file.write(IDENT)
    for record in records:
        rest, kind = record, FIRST
        while kind not in (FULL, LAST):
            left = BLOCK - file.tell() % BLOCK
            if left < PIECE.size:
                file.write(bytes(left))
                left = BLOCK
            part, rest = rest[: left - PIECE.size], rest[left - PIECE.size :]
            if not rest:
                kind = FULL if kind == FIRST else LAST
            file.write(PIECE.pack(_checksum(kind, part), len(part), kind) + part)
            kind = MIDDLE if kind == FIRST else kind


def _checksum(kind: int, part: bytes) -> int:
    return zlib.crc32(part, zlib.crc32(bytes([kind])))
