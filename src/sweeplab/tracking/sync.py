"""Upload offline runs: `python -m sweeplab.tracking.sync multirun/cnn`, as often as one likes.

The machinery of `wandb sync` does the uploading. What it gets wrong is put right here: it takes a run that was cut
short for a whole one, leaves out what follows a torn log of the same run, marks a run as uploaded whose artifacts'
files are gone or moved, sends artifacts to the old project where another is named, and waits long for a server that
is gone.
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from sweeplab.errors import UserError, nearest
from sweeplab.records import record
from sweeplab.records.files import write_text
from sweeplab.records.layout import RunFile, StudyFile
from sweeplab.tracking.offline_run import ArtifactFile, OfflineRun, home_of, read, rewrite
from sweeplab.tracking.upload import SilentServerError, Uploads, uploads

if TYPE_CHECKING:
    from rich.console import Console

OFFLINE = "offline-run-"  # how W&B begins the name of an offline run's folder
ABOVE = 3  # folders above a run's own that may hold its W&B run: its study's, and one more for a repeat
UNSENT = "unsent"  # a file in the folder of a run that was online, but did not reach its server whole

State = Literal["uploaded", "uploaded in part", "not uploaded"]


@dataclass(frozen=True)
class Result:
    """What became of a run, and why not all of it is uploaded."""

    log: Path
    state: State
    why: str = ""
    address: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload what the arguments name; return 0 if all of it arrived."""
    asked = _parser().parse_args(arguments)
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        return _sync(asked, console)
    except UserError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        console.print("Interrupted; the same command uploads the rest.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sweeplab.tracking.sync", description="Upload offline runs to W&B.")
    parser.add_argument("paths", nargs="+", type=Path, help="folders of studies or runs, or folders above them")
    parser.add_argument("-n", dest="parallel", type=int, default=8, help="how many runs at once (%(default)s)")
    parser.add_argument("--project", default="", help="upload to this project, not the one that was named at the time")
    parser.add_argument("--entity", default="", help="upload to this account or team")
    parser.add_argument("--again", action="store_true", help="upload what is uploaded already once more")
    parser.add_argument("--online", action="store_true", help="upload all runs that were online too")
    parser.add_argument("--list", action="store_true", help="only say what would be uploaded")
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds to bear a server that fails or is gone (%(default)s)"
    )
    return parser


def _sync(asked: argparse.Namespace, console: "Console") -> int:
    logs = find_logs(asked.paths, online=asked.online)
    waiting = [log for log in logs if asked.again or not is_uploaded(log)]
    homes = Counter(home_of(log) for log in logs)
    views = [home for home in homes if asked.again or _has_new_view(home)]
    if asked.list:
        for log in waiting:
            console.print(_near(log.parent))
    if asked.list or not (waiting or views):
        console.print(f"{len(waiting)} runs to upload, {len(logs) - len(waiting)} uploaded already.")
        return 0
    results: list[Result] = []
    with uploads(asked.patience) as service:
        for home, of_home in _upload_all(waiting, asked, service):
            _say(console, home, of_home, already=homes[home] - len(of_home))
            results += of_home
        pushed = [_push_view(home, asked, console) for home in views if not service.given_up]
    _conclude(console, results)
    return 0 if all(pushed) and all(result.state == "uploaded" for result in results) else 1


def find_logs(paths: Iterable[Path], online: bool = False) -> list[Path]:
    """Return the logs of the offline runs below the paths, and of the runs whose own folders the paths are.

    Raises:
        UserError: a path that does not exist, or has no such run.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            near = nearest(path.name, (other.name for other in path.absolute().parent.glob("*/")))
            raise UserError(f"there is no {path}" + (f"; did you mean '{path.with_name(near)}'?" if near else "."))
        below = [path.resolve()] if path.is_file() else path.resolve().rglob("*.wandb")
        every = sorted(log for log in {*below, *_of_run(path)} if _is_log(log))
        chosen = [log for log in every if online or log.parent.name.startswith(OFFLINE) or _is_unsent(log)]
        if not chosen:
            hint = "; --online uploads those that were online" if every else ""
            raise UserError(f"{path} holds no offline runs of W&B{hint}.")
        found |= dict.fromkeys(chosen)
    return list(found)


def _is_log(path: Path) -> bool:
    """Tell a log from the copy of one that `latest-run` becomes where links are not kept."""
    return path.suffix == ".wandb" and path.parent.name.startswith((OFFLINE, "run-"))


def note_unsent(directory: Path) -> None:
    """Note in the folder of a run that was online that its server did not take all of it."""
    with suppress(OSError):  # the disk may be full
        (directory / UNSENT).touch()


def _is_unsent(log: Path) -> bool:
    """Say whether a run that was online has noted that its server did not take all of it."""
    return (log.parent / UNSENT).exists()


def _of_run(folder: Path) -> Iterator[Path]:
    """Find what belongs to a trial: its W&B runs lie in the folder of its study."""
    if not folder.is_dir() or not record.is_run(folder):
        return
    facts = record.read_partial(folder)
    if id := (facts.get("wandb") or {}).get("id"):
        for above in [folder.resolve(), *folder.resolve().parents][: 1 + ABOVE]:
            yield from above.glob(f"{RunFile.WANDB}/*run-*-{id}*/run-{id}.wandb")


def is_uploaded(log: Path) -> bool:
    """Say whether W&B's mark is there, and a log that broke off has not gone on since."""
    mark = _mark(log)
    return mark.exists() and mark.read_text(encoding="utf-8") in ("", str(log.stat().st_size))


def _mark(log: Path) -> Path:
    return log.with_name(f"{log.name}.synced")


def _upload_all(
    logs: Sequence[Path], asked: argparse.Namespace, service: Uploads
) -> Iterator[tuple[Path, list[Result]]]:
    """Upload runs in parallel; yield each folder with its runs' results once it has them all."""
    due = Counter(home_of(log) for log in logs)
    results: dict[Path, list[Result]] = {home: [] for home in due}
    by_id = sorted(logs, key=lambda log: (home_of(log), log.stem))
    pool = ThreadPoolExecutor(max(asked.parallel, 1))
    try:
        parts = [list(same) for _, same in groupby(by_id, key=lambda log: (home_of(log), log.stem))]
        for done in as_completed([pool.submit(_upload_parts, part, asked, service) for part in parts]):
            home = home_of(done.result()[0].log)
            results[home] += done.result()
            if len(results[home]) == due[home]:
                yield home, results[home]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _upload_parts(logs: Iterable[Path], asked: argparse.Namespace, service: Uploads) -> list[Result]:
    """Upload the parts of a run that was resumed, in their order: the server counts on from what it has."""
    found = {log: read(log) for log in logs}
    runs = sorted((run for run in found.values() if run), key=lambda run: run.started)
    results: list[Result] = []
    for run in runs:
        if results and results[-1].state == "not uploaded":
            results.append(Result(run.log, "not uploaded", "what came before it was not"))
        else:
            results.append(_upload(run, asked, service, is_last=run is runs[-1]))
    for log in (log for log, run in found.items() if run is None):
        if runs:  # the service died before it had written a line, and another one took over
            write_text(_mark(log), "")
            results.append(Result(log, "uploaded", ""))
        else:
            why = "its log is empty, for it was killed as it began; delete its folder"
            results.append(Result(log, "not uploaded", why))
    return results


def _upload(run: OfflineRun, asked: argparse.Namespace, service: Uploads, is_last: bool) -> Result:
    places = {file.path: file.find(home_of(run.log)) for file in run.files}
    lost = [file for file in run.files if places[file.path] is None]
    moved = {was: now for was, now in places.items() if now and str(now) != was}
    try:
        with _as_asked(run, asked, moved) as log:
            sent = service.send(log)
    except SilentServerError as error:
        return Result(run.log, "not uploaded", f"the server is gone or fails ({error})")
    if sent.errors:
        return Result(run.log, "not uploaded", "; ".join(sent.errors))
    mark = _mark(run.log)
    if lost or sent.lost:
        mark.unlink(missing_ok=True)
        why = _lost(lost) if lost else f"W&B did not take all files ({sent.lost[0]})"
        return Result(run.log, "uploaded in part", why, sent.address)
    # W&B asks only whether the mark is there, and leaves it empty.
    write_text(mark, "" if run.is_whole else str(run.size))
    if not run.is_whole and is_last:
        why = "the log breaks off, for the run was killed or still goes on; W&B shows it as failed"
        return Result(run.log, "uploaded in part", why, sent.address)
    return Result(run.log, "uploaded", "", sent.address)


@contextmanager
def _as_asked(run: OfflineRun, asked: argparse.Namespace, moved: Mapping[str, Path]) -> Iterator[Path]:
    """Hand out the log, or a copy of it where it must not say what it says; the run's own stays as it is."""
    if run.is_whole and not (asked.project or asked.entity or moved):
        yield run.log
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder, run.log.parent.name, run.log.name)
        copy.parent.mkdir()
        copy.parent.joinpath("files").symlink_to(run.log.parent / "files")
        rewrite(run.log, copy, asked.entity, asked.project, moved)
        # W&B notes there at which step it began, so that the same rows are at the same steps next time.
        state, of_copy = (log.with_name(f"{log.name}.syncstate") for log in (run.log, copy))
        if state.exists():
            shutil.copy(state, of_copy)
        try:
            yield copy
        finally:
            if of_copy.exists():
                shutil.copy(of_copy, state)


def _lost(files: Sequence[ArtifactFile]) -> str:
    names = ", ".join(sorted({file.artifact for file in files}))
    return f"without {names}, for {files[0].path} is gone; bring it back, or the folder wandb/data of the study"


def _has_new_view(home: Path) -> bool:
    view, mark = home / StudyFile.WANDB_VIEW, _mark(home / StudyFile.WANDB_VIEW)
    return view.exists() and not (mark.exists() and mark.stat().st_mtime_ns >= view.stat().st_mtime_ns)


def _push_view(home: Path, asked: argparse.Namespace, console: "Console") -> bool:
    """Save the study's view; return whether there is nothing more to do for it."""
    from sweeplab.tracking.view import available, push

    if not (home / StudyFile.WANDB_VIEW).exists():
        return True
    if not available():
        console.print(f"{_near(home)}: its saved view needs wandb-workspaces: pip install -e '.[views]'")
        return True
    try:
        address = push(home / StudyFile.WANDB_VIEW, entity=asked.entity or None, project=asked.project or None)
    except UserError as error:
        console.print(f"{_near(home)}: {error}")
        return False
    _mark(home / StudyFile.WANDB_VIEW).touch()
    console.print(f"{_near(home)}: saved view {address}")
    return True


def _say(console: "Console", home: Path, results: Iterable[Result], already: int) -> None:
    by_reason = sorted(results, key=lambda result: (result.state, result.why, result.log))
    counts = Counter(result.state for result in by_reason)
    said = [f"{counts[state]} {state}" for state in sorted(counts)] + [f"{already} uploaded already"] * bool(already)
    console.print(f"{_near(home)}: {', '.join(said)}")
    for (state, why), same in groupby(by_reason, key=lambda result: (result.state, result.why)):
        if why:
            names = ", ".join(result.log.stem.removeprefix("run-") for result in same)
            console.print(f"  {state}: {names}: {why}")


def _conclude(console: "Console", results: Sequence[Result]) -> None:
    arrived = sum(result.state != "not uploaded" for result in results)
    console.print(f"{arrived} of {len(results)} runs uploaded.")
    for address in sorted({result.address.partition("/runs/")[0] for result in results if result.address}):
        console.print(address)
    if arrived < len(results):
        console.print("The same command uploads the rest.")


def _near(path: Path) -> str:
    """Return a path as a user of this folder writes it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    sys.exit(main())
