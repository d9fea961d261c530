"""Git, as it is without the settings of whoever types: what it commits is the same everywhere."""

import os
import subprocess
from pathlib import Path

from sweeplab.errors import UserError

# Files that a user ignores in all projects are part of this one; nobody is asked for a key, and no hook runs.
PLAIN = ("-c", "core.excludesFile=/dev/null", "-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null")
ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}  # set where a hook of another repository runs this


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a command of git in a folder, and return what it prints.

    Raises:
        UserError: it fails, or there is no git.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    command = ["git", "-C", str(folder), *PLAIN, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=inherited | environment)
    except FileNotFoundError as error:
        raise UserError("git is not installed here.") from error
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {' '.join((done.stdout + done.stderr).split())}")
    return done.stdout.rstrip()
