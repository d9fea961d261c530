"""What a run was made from: command, code, versions; and by whom, which a signature says."""

import functools
import hmac
import json
import os
import platform
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sweeplab.records.files import write_new
from sweeplab.secrets import masked_words

ORIGIN = ".sweeplab-project.json"  # in a copy of a project: which it is, and what `code` found there
ENVIRONMENT = (".env", ".env.*", "*.env")  # files of secrets
PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "omegaconf", "optuna", "wandb", "numpy")


def command() -> str:
    """Return the command line that started this process, ready to be pasted into a shell but for secrets in it."""
    return shlex.join([*words(), *masked_words(sys.argv[1:])])


def program() -> str:
    """Return how a user starts this program: `python train.py`."""
    return shlex.join(words())


def script() -> Path:
    """Return the program's file as it was started; where that is in a copy of its project, the one in the project."""
    path = Path(sys.argv[0])
    copy, origin = _origin(path.absolute().parent)
    return Path(origin["project"], path.absolute().relative_to(copy)) if origin else path


def words() -> list[str]:
    """Return the words that start this program: a module by its name, what was installed by its own, else a script."""
    path, main = script(), sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", "__main__")
    if name != "__main__" and sys.argv[0] == getattr(main, "__file__", None):
        return ["python", "-m", name.removesuffix(".__main__")]
    if not path.suffix and path.is_absolute() and shutil.which(path.name) == str(path):
        return [path.name]
    here = path.is_absolute() and path.is_relative_to(Path.cwd())
    return ["python", str(path.relative_to(Path.cwd()) if here else path)]


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that decide a run's numbers."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


@functools.cache
def code(folder: Path) -> tuple[dict[str, Any] | None, bytes]:
    """Return the git commit that `folder` stands at, and the uncommitted changes as a patch; None outside a repository.

    Files that git does not track are named, not copied; those that it tracks though it is told to ignore them, and
    `.env`, are not in the patch. A process has one answer: that of the moment when it, or the process it was forked
    from, first asked; in a copy of a project that of when it was made.
    """
    if origin := _origin(folder)[1]:
        return origin["git"], origin["patch"].encode("latin-1")
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, b""
    status = (_git(folder, "status", "--porcelain", "--untracked-files=normal") or b"").decode().splitlines()
    untracked = [line[3:] for line in status if line.startswith("??")]
    changed = len(status) > len(untracked)
    patch = None
    if changed:
        ignored = (_git(folder, "ls-files", "-ci", "--exclude-standard", "-z", "--full-name", ":/") or b"").decode()
        names = [f":(top,exclude,literal){name}" for name in ignored.split("\0") if name]
        paths = [":/", *(f":(top,exclude,glob)**/{name}" for name in ENVIRONMENT), *names]
        patch = _git(folder, "diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--", *paths)
    return {"commit": commit.decode().strip(), "dirty": bool(status), "untracked": untracked}, patch or b""


@functools.cache
def _origin(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """Return the copy of a project that a folder lies in, and what it was made from; nothing where it is in none."""
    for parent in (folder, *folder.parents):
        with suppress(OSError, ValueError):
            return parent, json.loads((parent / ORIGIN).read_text(encoding="utf-8"))
    return folder, {}


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True)
    except OSError:  # there is no git, or there are too many files to name
        return None
    return done.stdout if done.returncode == 0 else None


def sign(text: str) -> str | None:
    """Return the signature of this user, by which a run of their own is known; None for a user without a home."""
    key = _key()
    return hmac.new(key, text.encode(), "sha256").hexdigest() if key else None


def is_signed(text: str, signature: Any) -> bool:
    """Say whether this user signed a text."""
    ours = sign(text)
    return ours is not None and isinstance(signature, str) and hmac.compare_digest(ours, signature)


def _key() -> bytes | None:
    """Return the key that signs, which nobody else can read, and which is made when it is first needed."""
    with suppress(OSError, RuntimeError):  # no home, or one that cannot be written to
        state = os.environ.get("XDG_STATE_HOME")
        path = (Path(state) if state else Path.home() / ".local" / "state") / "sweeplab" / "key"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileExistsError):  # another process was first
                write_new(path, secrets.token_hex(32))
                path.chmod(0o600)
        return path.read_bytes() or None
    return None
