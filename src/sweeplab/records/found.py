"""Runs, found below folders that a user names."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

from sweeplab.errors import UserError, nearest
from sweeplab.records import record
from sweeplab.records.layout import RunFile
from sweeplab.records.run import Run

# Folders in which no run lies, however deep: W&B's of a study, and what is hidden.
SKIPPED_FOLDERS = (RunFile.WANDB, "__pycache__")
EMPTY = "no run is in it"


@dataclass
class Found:
    """The runs that were found, and what was passed by, each with the reason."""

    runs: list[Run] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)


def find(paths: Sequence[str | Path]) -> Found:
    """Find the runs in `paths`: folders of runs, of studies, of many of both, and patterns such as `outputs/2026-*`.

    What cannot be read is named in `skipped`. A run that two paths hold counts once.

    Raises:
        UserError: a path does not exist, or no run is there at all.
    """
    found, seen = Found(), set[Path]()
    for path in paths:
        for root in _expanded(str(path)):
            before, empty = len(found.skipped), True
            for folder in _run_folders(root, found.skipped):
                empty = False
                if folder.resolve() not in seen:
                    seen.add(folder.resolve())
                    _read(folder, found)
            if empty and len(found.skipped) == before:
                found.skipped.append((root, EMPTY))
    if not found.runs:
        raise UserError(_nothing(paths, found))
    return found


def _expanded(pattern: str) -> list[Path]:
    if not has_magic(pattern) or Path(pattern).exists():
        path = Path(pattern)
        if not path.exists():
            others = sorted(str(other) for other in path.parent.glob("[!.]*/")) if path.parent.is_dir() else []
            near = nearest(pattern, others)
            hint = f"did you mean '{near}'?" if near else "name folders of runs or studies, such as multirun/cnn."
            raise UserError(f"{pattern} does not exist; {hint}")
        return [path]
    matches = [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - absolute patterns too
    if not matches:
        raise UserError(f"{pattern} matches nothing; name folders of runs or studies, such as multirun/cnn.")
    return [match for match in matches if match.is_dir()]


def _run_folders(root: Path, skipped: list[tuple[Path, str]], linked: bool = False) -> Iterator[Path]:
    """Walk down to the folders of runs, in the order of their numbers, and no further; `linked` if through a link."""
    if not root.is_dir():
        skipped.append((root, "it is a file, not the folder of a run"))
        return
    try:
        if record.is_run(root):
            yield root
            return
        entries = [entry for entry in os.scandir(root) if entry.is_dir()]
    except OSError as error:
        skipped.append((root, f"it cannot be read: {error.strerror}"))
        return
    inner = [Path(entry) for entry in entries if entry.name not in SKIPPED_FOLDERS and not entry.name.startswith(".")]
    if root.name.isdigit() and not any(folder.name.isdigit() for folder in inner):
        skipped.append((root, f"it has no {RunFile.RECORD}: its run never began, or begins now"))
        return
    for folder in sorted(inner, key=_order):
        if folder.is_symlink() and (linked or root.resolve().is_relative_to(folder.resolve())):
            continue  # one link is followed, not a chain, nor one that leads back
        yield from _run_folders(folder, skipped, linked or folder.is_symlink())


def _order(folder: Path) -> tuple[int, str]:
    return (int(folder.name) if folder.name.isdigit() else -1, folder.name)


def _read(folder: Path, found: Found) -> None:
    try:
        run = Run.read(folder)
        if not (folder / RunFile.CONFIG).exists():
            raise UserError(f"{folder} has no {RunFile.CONFIG}: its run never began to train.")
        _ = run.settings  # now, where a broken configuration can still be passed by
        found.runs.append(run)
    except (UserError, OSError) as error:
        found.skipped.append((folder, str(error)))


def _nothing(paths: Sequence[str | Path], found: Found) -> str:
    where = ", ".join(map(str, paths))
    broken = [f"{folder}: {reason}" for folder, reason in found.skipped if reason != EMPTY]
    why = f" ({broken[0]})" if broken else ""
    return f"no run is in {where}{why}; name folders of runs or studies, such as multirun/cnn."
