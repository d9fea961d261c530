"""Mistakes of users, told in one sentence."""

import difflib
import errno
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from sweeplab.secrets import masked
from sweeplab.streams import open_closed_streams

MAX_NAME_LENGTH = 80  # characters of a file's name in a message


class UserError(ValueError):
    """A mistake of the user: its message is one sentence that says what is wrong and what to write instead."""


class SetupError(UserError):
    """A mistake that every run of the command shares: a sweep ends with the first trial that finds it."""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `word` was probably meant to be, if any.

    A choice counts as meant when it is spelt like the word, alone begins with it, or when its last dotted part is.
    """
    choices = list(choices)
    if close := difflib.get_close_matches(word, choices, n=1, cutoff=0.75):
        return close[0]
    if len(word) > 3 and len(longer := [choice for choice in choices if choice.startswith(word)]) == 1:
        return longer[0]
    tails = {choice.rpartition(".")[2]: choice for choice in reversed(choices)}
    close = difflib.get_close_matches(word.rpartition(".")[2], tails, n=1, cutoff=0.75)
    return tails[close[0]] if close else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or `; choose from a, b, c.` where no choice is near."""
    choices = list(choices)
    if near := nearest(word, choices):
        return f"; did you mean '{near}'?"
    return f"; choose from {', '.join(choices[:12])}{', ...' if len(choices) > 12 else ''}." if choices else "."


# What a machine refuses whatever the program: no room, no descriptors, no right to write, a name that is too long.
REFUSED = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EMFILE,
    errno.ENFILE,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.EIO,
)
GONE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def machine_trouble(error: OSError, ours: Sequence[Path] = ()) -> str | None:
    """Say in one sentence what the machine refused, or None where it is something else.

    A file that is not there may be anybody's mistake; in the folders that are `ours` somebody took it away. The first
    of them is named where the error names nothing.
    """
    name = str(error.filename or "")
    is_gone = error.errno in GONE and any(Path(name).is_relative_to(folder) for folder in ours if name)
    if error.errno not in REFUSED and not is_gone:
        return None
    if error.errno == errno.ENAMETOOLONG and len(name) > MAX_NAME_LENGTH:
        name = f"{name[:MAX_NAME_LENGTH]}... ({len(name)} characters)"
    name = name or str(next(iter(ours), ""))
    return f"{name}: {error.strerror}." if name else f"{error.strerror}."


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """End a single run on the user's mistake before Hydra adds words of its own; a sweep gets the error itself."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    try:
        yield
    except UserError as error:
        if HydraConfig.get().mode is RunMode.RUN:
            sys.exit(f"Error: {masked(str(error))}")
        raise


@contextmanager
def no_early_exit(what: str) -> Iterator[None]:
    """Make a failure of an exit that says all is well: what has left before its end has not done what it was to do.

    Raises:
        UserError: somebody's code called `sys.exit(0)` inside the block.
    """
    try:
        yield
    except SystemExit as error:
        if error.code is None or (isinstance(error.code, int) and error.code % 256 == 0):
            message = f"{what} called sys.exit({error.code}) before it finished, so it counts as failed."
            raise UserError(message) from error
        raise


@contextmanager
def plain_errors(conf: Path) -> Iterator[None]:
    """End the program on an error: with one sentence where a user made it, with a traceback of the task where not.

    `conf` is the folder of the configuration, for choices that do not exist. `HYDRA_FULL_ERROR=1` in the environment
    shows every traceback whole.
    """
    open_closed_streams()
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        yield
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands its errors on, instead of printing them its own way
    try:
        yield
    except UserError as error:
        sys.exit(f"Error: {masked(str(error))}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last stop before the shell
        from sweeplab.hydra_errors import sentence

        if text := sentence(error, conf) or (machine_trouble(error) if isinstance(error, OSError) else None):
            sys.exit(f"Error: {masked(text)}")
        lines = traceback.format_exception(error.with_traceback(_of_the_task(error.__traceback__)))
        sys.stderr.write(masked("".join(lines)))
        sys.exit(1)
    finally:
        os.environ.pop("HYDRA_FULL_ERROR", None)


def _of_the_task(frames: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of Hydra above the task, if the error came from a task."""
    below = frames
    while below is not None:
        if below.tb_frame.f_code.co_name == "run_job":
            return below.tb_next
        below = below.tb_next
    return frames
