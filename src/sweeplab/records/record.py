"""`run.json`: what a run is, and how it ended.

It is written before training starts, and finished on every ending that a process can see. A process that was killed
leaves `running` behind; `read` then looks whether it still lives, and says `killed` where it does not.
"""

import functools
import logging
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sweeplab.errors import UserError
from sweeplab.records import provenance
from sweeplab.records.earlier import upgraded_facts
from sweeplab.records.files import as_json, read_json, write_bytes, write_new, write_text
from sweeplab.records.layout import RunFile
from sweeplab.records.process import is_alive, this_process
from sweeplab.records.schema import RunFacts, misfit
from sweeplab.secrets import masked_words

log = logging.getLogger(__name__)

FORMAT = 2  # of run.json and config.yaml; `earlier` reads what was written before there was a number
# What each attempt has of its own; all else stays from the first to the last.
OF_AN_ATTEMPT = (
    *("format", "status", "command", "overrides", "git", "versions", "process"),
    *("started", "ended", "seconds", "error"),
)


class Status(StrEnum):
    """How a run stands, or how it ended."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"
    KILLED = "killed"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


class Record:
    """The facts of one run, and their file; before it `has_begun` nothing is written."""

    def __init__(self, folder: Path, facts: dict[str, Any], has_begun: bool = True) -> None:
        self.folder = folder
        self.facts = facts
        self.has_begun = has_begun

    def update(self, **facts: Any) -> None:
        """Change facts, and the file with them. A number that is not finite becomes null.

        Raises:
            UserError: the folder is gone.
        """
        self.facts |= facts
        if self.has_begun:
            if not self.folder.is_dir():
                raise UserError(f"{self.folder} is gone: it was moved or removed during its run.")
            write_text(self.folder / RunFile.RECORD, as_json(self.facts))

    def begin(self) -> None:
        """Write from now on."""
        self.has_begun = True
        self.update()


class _Attempt(Record):
    """The record of a run that goes on: what is there stays true until it does."""

    def __init__(self, folder: Path, facts: dict[str, Any], patch: bytes) -> None:
        super().__init__(folder, facts, has_begun=False)
        self._before, self._patch = (folder / RunFile.RECORD).read_bytes(), patch

    def begin(self) -> None:
        """Write from now on.

        Raises:
            UserError: another process has done so meanwhile.
        """
        if (self.folder / RunFile.RECORD).read_bytes() != self._before:
            raise UserError(f"{self.folder} was resumed by another process meanwhile.")
        super().begin()
        if self._patch:
            write_bytes(self.folder / self.facts["git"]["patch"], self._patch)


def is_run(folder: Path) -> bool:
    """Say whether `folder` already belongs to a run."""
    return (folder / RunFile.RECORD).exists()


def read(folder: Path) -> dict[str, Any]:
    """Return the facts of the run in `folder`.

    Raises:
        UserError: the folder holds no run, or its file is broken.
    """
    if not is_run(folder):
        where = f"has no {RunFile.RECORD}" if folder.is_dir() else "does not exist"
        raise UserError(f"{folder} {where}; give the folder of a run, such as outputs/2026-01-31/12-00-00-000000.")
    facts = _parsed(folder / RunFile.RECORD)
    if facts["status"] == Status.RUNNING and is_alive(facts["process"]) is False:
        facts |= {"status": Status.KILLED, "error": "the process ended without recording why"}
    return facts


def read_partial(folder: Path) -> dict[str, Any]:
    """Return what `run.json` in `folder` says, however little that is; nothing where there is none.

    Raises:
        UserError: the file is broken.
    """
    return _parsed(folder / RunFile.RECORD, is_whole=False) if is_run(folder) else {}


def _parsed(path: Path, is_whole: bool = True) -> dict[str, Any]:
    facts = read_json(path)
    if not isinstance(facts, dict):
        raise UserError(f"{path} is not the record of a run.")
    malformed = misfit(facts, RunFacts, is_whole)
    if malformed is None and facts.get("status", Status.RUNNING) not in list(Status):
        malformed = "status"
    if malformed is not None:
        raise UserError(f"{path} is not the record of a run: its {malformed} is malformed.")
    return upgraded_facts(facts)


def begin(folder: Path, overrides: Sequence[str], seed: int | None, attempt: int = 0, **more: Any) -> Record:
    """Claim `folder` for a new run, and note `more` facts of it.

    With an `attempt` above 0 it may hold what the trial of a sweep had recorded before it was cut: that moves to
    `attempts`.

    Raises:
        UserError: the folder already belongs to a run; nothing in it was touched.
    """
    before = _set_aside(folder, attempt) if attempt and is_run(folder) else []
    facts, patch = _beginning(overrides, RunFile.LATER_PATCH.format(len(before)) if before else RunFile.PATCH)
    record = Record(folder, facts | {"seed": seed} | more | ({"attempts": before} if before else {}))
    try:
        write_new(folder / RunFile.RECORD, as_json(record.facts))
    except FileExistsError:
        raise UserError(occupied(folder)) from None
    if patch:
        write_bytes(folder / facts["git"]["patch"], patch)
    return record


def _set_aside(folder: Path, attempt: int) -> list[dict[str, Any]]:
    """Move the record of a trial that begins anew aside; return the attempts that it tells of."""
    facts = as_left(folder)
    move_aside(folder, attempt, [RunFile.RECORD])
    return [] if facts is None else _attempts(facts)  # it may be damaged


def _attempts(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*(facts.get("attempts") or ()), {key: facts[key] for key in OF_AN_ATTEMPT if key in facts}]


def move_aside(folder: Path, attempt: int, names: Iterable[str]) -> None:
    """Move what an attempt finds of the one before it, and would be misled by, to a folder of its own."""
    for name in names:
        if (folder / name).exists():
            aside = folder / RunFile.EARLIER.format(attempt - 1)
            aside.mkdir(exist_ok=True)
            (folder / name).replace(aside / name)


def withdraw(folder: Path) -> None:
    """Remove what `begin` wrote, and the configuration: a mistake that was found before any training makes no run."""
    for name in (RunFile.RECORD, RunFile.CONFIG, RunFile.PATCH):
        (folder / name).unlink(missing_ok=True)


def begin_again(folder: Path, overrides: Sequence[str], **more: Any) -> Record:
    """Take up a run that stopped, and note `more` facts; earlier ones move to `attempts` when the new one begins."""
    before = read(folder)
    attempts = _attempts(before)
    carried = {key: value for key, value in before.items() if key not in OF_AN_ATTEMPT}
    facts, patch = _beginning(overrides, RunFile.LATER_PATCH.format(len(attempts)))
    return _Attempt(folder, carried | facts | more | {"attempts": attempts}, patch)


def occupied(folder: Path) -> str:
    """Say that a new run cannot be written to `folder`, and what to do."""
    return (
        f"{folder} already holds a run; remove hydra.run.dir to get a new folder, "
        f"or resume that run: {provenance.program()} resume={folder}"
    )


def drop_checkpoints(folder: Path) -> None:
    """Note that the checkpoints of a run that is over are removed."""
    Record(folder, _parsed(folder / RunFile.RECORD)).update(checkpoint=None, checkpoints_removed=True)


def note_constraints(folder: Path, constraints: Mapping[str, float]) -> None:
    """Note how far a trial that is over broke its constraints; 0 or less means that it kept them."""
    facts = as_left(folder)
    if facts is not None:
        Record(folder, facts).update(trial={**(facts.get("trial") or {}), "constraints": dict(constraints)})


def without_checkpoints(folder: Path) -> str:
    """Say that a sweep removed the checkpoints of a run, and how to have them."""
    program = shlex.join(shlex.split(str(read(folder).get("command") or "python train.py"))[:2])
    return (
        f"the sweep of {folder} removed its checkpoints, since others were better; {program} rerun={folder} "
        "trains it again, and a sweep with hydra.sweeper.listeners.checkpoints.keep=null keeps all."
    )


def conclude(folder: Path, status: Status, reason: str, seconds: float | None = None) -> None:
    """Write the ending of a run that could not do it itself, or that did not know why it was ended."""
    facts = as_left(folder)
    if facts is not None and facts["status"] != status:
        ended = {"ended": facts.get("ended", now()), "seconds": facts.get("seconds") or seconds}
        Record(folder, facts).update(status=status, error=reason, **ended)


def as_left(folder: Path) -> dict[str, Any] | None:
    """Return the facts of a run as its process left them; None where there is no run, or a damaged record.

    A power failure may have damaged it; a warning names the file, and its sweep continues without it.
    """
    try:
        return _parsed(folder / RunFile.RECORD) if is_run(folder) else None
    except UserError as error:
        _warn(f"{error} The sweep continues without it.")
        return None


@functools.cache
def _warn(text: str) -> None:
    """Say it once, however often it is seen."""
    log.warning(text)


def _beginning(overrides: Sequence[str], patch_name: str) -> tuple[dict[str, Any], bytes]:
    """Return the facts of a beginning, and the changes of the code that no commit holds."""
    git, patch = provenance.code(Path(sys.argv[0]).resolve().parent)
    if git is not None:
        git = {**git, "patch": patch_name if patch else None}
    facts = {
        "format": FORMAT,
        "status": Status.RUNNING,
        "command": provenance.command(),
        "directory": str(Path.cwd()),
        "overrides": masked_words(overrides),
        "git": git,
        "versions": dict(provenance.versions()),
        "process": this_process(),
        "started": now(),
    }
    return facts, patch


def now() -> str:
    """Return the time as `run.json` has it."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
