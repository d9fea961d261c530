"""The files of runs on nodes that share no folder with the controller: each side asks the other for what it lacks.

Files travel among the messages, one piece at a time: the next is asked for when the last has come, so that no report
waits behind a whole checkpoint. What is here already, by its size and time, does not travel again.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any

from sweeplab.records import provenance
from sweeplab.records.files import as_json, written_whole
from sweeplab.records.layout import RunFile, StudyFile

PIECE = 2_000_000  # bytes
AT_ONCE = 4  # jobs whose files travel; those of the others wait
State = tuple[int, int]  # the size of a file, and when it changed, in nanoseconds
Files = Mapping[str, State]  # by their names below the folder of a study, as `12/run.json`
Moves = Sequence[tuple[str, str]]  # what a folder is called there, and here
Say = Callable[[Any], None]
Fetching = Generator["Read", "Piece", Sequence[str]]  # asks for pieces; returns what could not be read, and why
Done = Callable[[str, Sequence[str]], None]  # is told why files did not come, or which of them could not be read
CONFIGS = (RunFile.CONFIG, RunFile.EARLIER_CONFIG.format("*"), ".hydra/*.yaml")


@dataclass(frozen=True)
class Read:
    """To the other side: send a piece of a file of a job, which had this state when it was listed."""

    id: int
    name: str
    offset: int
    state: State


@dataclass(frozen=True)
class Piece:
    """To who has asked for it; without content where the file is gone, or for this reason."""

    id: int
    content: bytes | None
    reason: str = ""


def files_of(run: str, home: Path, *others: str) -> Files:
    """Return the files of a run below the folder of its study, and those of it in others there; no links."""
    files = {}
    for top, _, names in chain.from_iterable(os.walk(home / folder) for folder in (run, *others)):
        for path in (Path(top, name) for name in names):
            name = path.relative_to(home).as_posix()
            if _is_of(run, name) and path.is_file() and not path.is_symlink():
                with suppress(FileNotFoundError):  # a temporary one
                    files[name] = _state(path.stat())
    return files


class Exchange:
    """Sends files of this side, and fetches those of the other: of a few jobs at a time, in order."""

    def __init__(self) -> None:
        self._fetches: dict[int, tuple[Fetching, Say, Done]] = {}
        self._begun: set[int] = set()

    def fetch(self, id_: int, fetching: Fetching, say: Say, done: Done) -> None:
        """Fetch the files of a job by what is said; tell when that is done, or why it cannot be."""
        self._fetches[id_] = fetching, say, done
        self._begin_next()

    def exchange(self, message: Read | Piece, run: str, home: Path, say: Say) -> None:
        """Take in a piece of a file, or send one."""
        if isinstance(message, Read):
            say(_piece(message, run, home))
        elif message.id in self._begun:
            self._go_on(message.id, message)
            self._begin_next()

    def drop(self, *ids: int) -> None:
        """Fetch nothing more for some jobs; what has come is removed as their generators are."""
        if dropped := [id_ for id_ in ids if self._fetches.pop(id_, None)]:
            self._begun.difference_update(dropped)
            self._begin_next()

    def _begin_next(self) -> None:
        while waiting := [id_ for id_ in islice(self._fetches, AT_ONCE) if id_ not in self._begun]:
            self._begun.add(waiting[0])
            self._go_on(waiting[0], None)

    def _go_on(self, id_: int, piece: Piece | None) -> None:
        fetching, say, done = self._fetches[id_]
        failure = ""
        unread: Sequence[str] = ()
        try:
            say(next(fetching) if piece is None else fetching.send(piece))
            return
        except StopIteration as end:
            unread = end.value
        except OSError as error:
            failure = str(error) or type(error).__name__
        del self._fetches[id_]
        self._begun.remove(id_)
        done(failure, unread)


def fetching(
    id_: int, files: Files, gone: Sequence[str], run: str, home: Path, moves: Moves, is_last: bool
) -> Fetching:
    """Bring files of a run below its `home`, by pieces that are asked for: all take their places when all have come.

    Those that are `gone` are removed. `is_last` says that nobody writes there any more, so that records and checkpoints
    have to come; else one that changes on its way is left as it is here, and so is an outcome: it says that all came.
    """
    (home / run).mkdir(parents=True, exist_ok=True)
    paths = {name: _inside(run, home, name) for name in (*files, *gone)}
    wanted = [name for name in files if is_last or paths[name].name != RunFile.OUTCOME]
    missing = [name for name in wanted if not _is_here(paths[name], files[name])]
    missing.sort(key=lambda name: files[name], reverse=True)  # no checkpoint is then newer than what tells of it
    staging, arrived, unread = Path(tempfile.mkdtemp(prefix=StudyFile.ARRIVING, dir=home)), [], []
    try:
        for name in missing:
            path, (size, changed) = staging / name, files[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                piece = yield Read(id_, name, 0, files[name])
                while piece.content:
                    file.write(piece.content)
                    is_whole = size <= PIECE or file.tell() >= size
                    piece = Piece(id_, b"") if is_whole else (yield Read(id_, name, file.tell(), files[name]))
            if piece.content is not None:
                os.utime(path, ns=(changed, changed))
                arrived.append(name)
            elif is_last and _is_needed(name):
                raise FileNotFoundError(f"{name} cannot be read there")
            elif is_last and piece.reason:
                unread.append(f"{name} ({piece.reason})")
        arrived.sort(key=lambda name: (paths[name].name == RunFile.OUTCOME, paths[name].name == RunFile.RECORD))
        for name in arrived:
            _correct(staging / name, paths[name], moves)
            with written_whole(paths[name]) as temporary:
                (staging / name).replace(temporary)
        for name in gone:
            paths[name].unlink(missing_ok=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return unread


def _piece(read: Read, run: str, home: Path) -> Piece:
    try:
        with _inside(run, home, read.name).open("rb") as file:
            file.seek(read.offset)
            content, now = file.read(PIECE), _state(os.fstat(file.fileno()))
    except FileNotFoundError:
        return Piece(read.id, None)
    except OSError as error:
        return Piece(read.id, None, error.strerror or str(error))
    is_whole = now == read.state or max(now[0], read.state[0]) <= PIECE  # else it would be a part, or of two files
    return Piece(read.id, content) if is_whole else Piece(read.id, None, "it changes")


def _is_here(path: Path, state: State) -> bool:
    """Say whether a file is here in this state; a configuration has another size, since its paths are of this side."""
    if path.name == RunFile.RECORD or not path.is_file():  # a record is signed again
        return False
    size, changed = _state(path.stat())
    return changed == state[1] and (size == state[0] or _is_config(path))


def _is_config(path: Path) -> bool:
    return any(path.match(pattern) for pattern in CONFIGS)


def _is_needed(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix == ".ckpt" or bool({RunFile.CHECKPOINTS, RunFile.RECORD, RunFile.CONFIG} & set(path.parts))


def _state(status: os.stat_result) -> State:
    return status.st_size, status.st_mtime_ns


def _is_of(run: str, name: str) -> bool:
    """Say whether a file is in the folder of a run, or of a log of W&B."""
    path = PurePosixPath(name)
    return path.is_relative_to(run) or (path.parts[:1] == (RunFile.WANDB,) and len(path.parts) > 2)


def _inside(run: str, home: Path, name: str) -> Path:
    """Return the path of a file of a run; for one that would lie elsewhere, raise an error."""
    path = home / name
    is_ours = _is_of(run, name) and ".." not in path.parts and not path.is_symlink()
    if not is_ours or not path.parent.resolve().is_relative_to(home.resolve()):
        raise PermissionError(f"{name} is no file of this run")
    return path


def _correct(path: Path, target: Path, moves: Moves) -> None:
    """Let a file tell of paths of this side, and a record have the signature of a configuration with such paths."""
    if target.name != RunFile.RECORD and not _is_config(target):
        return
    with suppress(ValueError, TypeError, FileNotFoundError):  # a file of this name that is somebody else's
        text = before = path.read_text(encoding="utf-8")
        text = _moved(text, dict(moves))
        if target.name == RunFile.RECORD and "signature" in (facts := json.loads(text)):
            config = target.with_name(RunFile.CONFIG).read_text(encoding="utf-8")
            text = as_json(facts | {"signature": provenance.sign(config)})
        if text != before:
            changed = path.stat().st_mtime_ns
            path.write_text(text, encoding="utf-8")
            os.utime(path, ns=(changed, changed))


def _moved(text: str, moves: Mapping[str, str]) -> str:
    """Return a text with all paths moved at once: one folder may lie in another, there or here."""
    folders = "|".join(re.escape(folder) for folder in sorted(moves, key=len, reverse=True))
    return re.sub(rf"(?<![^\s'\"])({folders})(?=[/\s'\"]|$)", lambda match: moves[match[1]], text)
