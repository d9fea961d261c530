"""Upload offline runs: `python -m sweeplab.tracking.sync multirun/cnn`, as often as one likes.

The machinery of `wandb sync` does the uploading, in the module `upload`. What it gets wrong is put right here: it takes
a run that was cut short for a whole one, leaves out what follows a torn log of the same run, marks a run as uploaded
whose artifacts' files are gone or moved, and sends artifacts to the old project where another is named.
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from sweeplab.environment import read_dotenv
from sweeplab.errors import UserError, nearest
from sweeplab.records import record
from sweeplab.records.layout import RunFile, StudyFile
from sweeplab.records.names import short_path
from sweeplab.tracking.offline_run import (
    ArtifactFile,
    OfflineRun,
    home_of,
    is_unsent,
    is_uploaded,
    mark_of,
    mark_uploaded,
    read,
    rewrite,
)
from sweeplab.tracking.upload import SilentServerError, Uploads, uploads

if TYPE_CHECKING:
    from rich.console import Console

OFFLINE = "offline-run-"  # how W&B begins the name of an offline run's folder
ABOVE = 3  # folders above a run's own that may hold its W&B run: its study's, and one more for a repeat

State = Literal["uploaded", "uploaded in part", "not uploaded"]


@dataclass(frozen=True)
class Result:
    """What became of a log, and why not all of it is uploaded."""

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
        read_dotenv(Path.cwd())  # which is the project, as a rule: the key may be there
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
    parser.add_argument("--again", action="store_true", help="upload again what is already uploaded")
    parser.add_argument("--online", action="store_true", help="also upload runs that were online")
    parser.add_argument("--list", action="store_true", help="only list what would be uploaded")
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds to wait for a server that fails or is gone (%(default)s)"
    )
    return parser


def _sync(asked: argparse.Namespace, console: "Console") -> int:
    logs = find_logs(asked.paths, online=asked.online)
    waiting = [log for log in logs if asked.again or not is_uploaded(log)]
    homes = Counter(home_of(log) for log in logs)
    views = [home for home in homes if asked.again or _has_new_view(home)]
    if asked.list:
        for log in waiting:
            console.print(short_path(log.parent))
    if asked.list or not (waiting or views):
        console.print(f"{len(waiting)} runs to upload, {len(logs) - len(waiting)} uploaded already.")
        return 0
    results: list[Result] = []
    with uploads(asked.patience) as service:
        for home, of_home in _upload_all(waiting, asked, service):
            _print_results(console, home, of_home, total=homes[home])
            results += of_home
        pushed = [_push_view(home, asked, console) for home in views if not service.given_up]
    _print_total(console, results)
    return 0 if all(pushed) and all(result.state == "uploaded" for result in results) else 1


def find_logs(paths: Iterable[Path], online: bool = False) -> list[Path]:
    """Return the logs of the offline runs below the paths, and of the runs whose own folders the paths are.

    Raises:
        UserError: a path that does not exist, or has no such run.
    """
    logs: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            near = nearest(path.name, (other.name for other in path.absolute().parent.glob("*/")))
            raise UserError(f"there is no {path}" + (f"; did you mean '{path.with_name(near)}'?" if near else "."))
        below = [path.resolve()] if path.is_file() else path.resolve().rglob("*.wandb")
        every = sorted(log for log in {*below, *_of_run(path)} if _is_log(log))
        chosen = [log for log in every if online or log.parent.name.startswith(OFFLINE) or is_unsent(log)]
        if not chosen:
            hint = "; --online uploads those that were online" if every else ""
            raise UserError(f"{path} holds no offline runs of W&B{hint}.")
        logs |= dict.fromkeys(chosen)
    return list(logs)


def _is_log(path: Path) -> bool:
    """Tell a log from the copy of one that `latest-run` becomes where links are not kept, and from one on its way."""
    is_log = path.suffix == ".wandb" and path.parent.name.startswith((OFFLINE, "run-"))
    return is_log and not any(part.startswith(StudyFile.ARRIVING) for part in path.parts)


def _of_run(folder: Path) -> Iterator[Path]:
    """Find what belongs to a trial: its W&B runs lie in the folder of its study."""
    if not folder.is_dir() or not record.is_run(folder):
        return
    facts = record.read_partial(folder)
    if id := (facts.get("wandb") or {}).get("id"):
        for above in [folder.resolve(), *folder.resolve().parents][: 1 + ABOVE]:
            yield from above.glob(f"{RunFile.WANDB}/*run-*-{id}*/run-{id}.wandb")


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
    read_logs = {log: read(log) for log in logs}
    runs = sorted((run for run in read_logs.values() if run), key=lambda run: run.started)
    results: list[Result] = []
    for run in runs:
        if results and results[-1].state == "not uploaded":
            results.append(Result(run.log, "not uploaded", "what came before it was not"))
        else:
            results.append(_upload(run, asked, service, is_last=run is runs[-1]))
    for log in (log for log, run in read_logs.items() if run is None):
        if runs:  # the service died before it had written a line, and another one took over
            mark_uploaded(log)
            results.append(Result(log, "uploaded"))
        else:
            why = "its log is empty, for it was killed as it began; delete its folder"
            results.append(Result(log, "not uploaded", why))
    return results


def _upload(run: OfflineRun, asked: argparse.Namespace, service: Uploads, is_last: bool) -> Result:
    """Upload a log, and mark it as uploaded if all that there is has arrived."""
    files = {file: file.find(home_of(run.log)) for file in run.files}
    missing = [file for file, path in files.items() if path is None]
    moved = {file.path: path for file, path in files.items() if path and str(path) != file.path}
    try:
        with _copied(run, asked, moved) as log:
            sent = service.send(log)
    except SilentServerError as error:
        return Result(run.log, "not uploaded", f"the server is gone or fails ({error})")
    if sent.errors:
        return Result(run.log, "not uploaded", "; ".join(sent.errors))
    if missing or sent.file_errors:
        mark_of(run.log).unlink(missing_ok=True)
        why = _without(missing) if missing else f"W&B did not take all files ({sent.file_errors[0]})"
        return Result(run.log, "uploaded in part", why, sent.address)
    mark_uploaded(run.log, None if run.is_whole else run.size)
    if not run.is_whole and is_last:
        why = "the log is incomplete: the run was killed or is still running; W&B shows it as failed"
        return Result(run.log, "uploaded in part", why, sent.address)
    return Result(run.log, "uploaded", "", sent.address)


@contextmanager
def _copied(run: OfflineRun, asked: argparse.Namespace, moved: Mapping[str, Path]) -> Iterator[Path]:
    """Hand out a copy of a log to send, as it is asked for.

    W&B marks what it has sent as uploaded, whether all files arrived or not; so it never sends a run's own log.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder, run.log.parent.name, run.log.name)
        copy.parent.mkdir()
        copy.parent.joinpath("files").symlink_to(run.log.parent / "files")
        rewrite(run.log, copy, asked.entity, asked.project, moved)
        # W&B notes there at which step it began, so that the same rows are at the same steps next time.
        state, state_of_copy = (log.with_name(f"{log.name}.syncstate") for log in (run.log, copy))
        if state.exists():
            shutil.copy(state, state_of_copy)
        try:
            yield copy
        finally:
            if state_of_copy.exists():
                shutil.copy(state_of_copy, state)


def _without(files: Sequence[ArtifactFile]) -> str:
    names = ", ".join(sorted({file.artifact for file in files}))
    return f"without {names}, for {files[0].path} is missing; restore it, or the folder wandb/data of the study"


def _has_new_view(home: Path) -> bool:
    view, mark = home / StudyFile.WANDB_VIEW, mark_of(home / StudyFile.WANDB_VIEW)
    return view.exists() and not (mark.exists() and mark.stat().st_mtime_ns >= view.stat().st_mtime_ns)


def _push_view(home: Path, asked: argparse.Namespace, console: "Console") -> bool:
    """Save the study's view; return whether there is nothing more to do for it."""
    from sweeplab.tracking.view import available, push

    if not (home / StudyFile.WANDB_VIEW).exists():
        return True
    if not available():
        console.print(f"{short_path(home)}: its saved view needs wandb-workspaces; run: pip install 'sweeplab[views]'")
        return True
    try:
        address = push(home / StudyFile.WANDB_VIEW, entity=asked.entity or None, project=asked.project or None)
    except UserError as error:
        console.print(f"{short_path(home)}: {error}")
        return False
    mark_of(home / StudyFile.WANDB_VIEW).touch()
    console.print(f"{short_path(home)}: saved view {address}")
    return True


def _print_results(console: "Console", home: Path, results: Sequence[Result], total: int) -> None:
    counts = Counter(result.state for result in results)
    words = [f"{counts[state]} {state}" for state in sorted(counts)]
    if total > len(results):
        words.append(f"{total - len(results)} uploaded already")
    console.print(f"{short_path(home)}: {', '.join(words)}")
    by_reason = sorted(results, key=lambda result: (result.state, result.why))
    for (state, why), same in groupby(by_reason, key=lambda result: (result.state, result.why)):
        if why:
            names = ", ".join(result.log.stem.removeprefix("run-") for result in same)
            console.print(f"  {state}: {names}: {why}")


def _print_total(console: "Console", results: Sequence[Result]) -> None:
    arrived = sum(result.state != "not uploaded" for result in results)
    console.print(f"{arrived} of {len(results)} runs uploaded.")
    for project in sorted({result.address.partition("/runs/")[0] for result in results if result.address}):
        console.print(project)
    if arrived < len(results):
        console.print("The same command uploads the rest.")


if __name__ == "__main__":
    sys.exit(main())
