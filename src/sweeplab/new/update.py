"""What a newer sweeplab gives new projects, merged by git into a project that an older one made.

The commits that sweeplab makes name the example in a trailer, so that any clone of the project has the last one.
Another one on top of it has the files of now; merging that keeps what the user changed.
"""

import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path

from sweeplab.errors import UserError
from sweeplab.new.files import TASKS
from sweeplab.new.git import git
from sweeplab.new.project import TRAILER, write_files


def update(folder: Path) -> str:
    """Merge the files of a new project into the one at this folder, and return what git said; "" if nothing is new.

    Raises:
        UserError: it is no such project, something in it is not committed, or git leaves conflicts to the user.
    """
    root = Path(git(folder, "rev-parse", "--show-toplevel"))
    begun = git(root, "log", f"--grep=^{TRAILER}: ", "--max-count=1", "--topo-order", "--format=%H")
    if not begun:
        raise UserError(f"no commit of {root} was made by sweeplab new, so there is nothing to merge with.")
    if changed := git(root, "status", "--porcelain", "--untracked-files=no"):
        raise UserError(f"commit or stash your changes first ({changed.splitlines()[0][3:]}), then update.")
    newer = _commit(root, begun)
    if not newer:
        return ""
    return git(root, "merge", "--no-edit", "--no-ff", "-m", f"Update to sweeplab {version('sweeplab')}", newer)


def _commit(root: Path, begun: str) -> str:
    """Commit what sweeplab would write now, on top of what it wrote before; return its hash, "" if it is the same."""
    name = tomllib.loads(git(root, "show", f"{begun}:pyproject.toml"))["project"]["name"]
    task = git(root, "log", "-1", f"--format=%(trailers:key={TRAILER},valueonly)", begun)
    if task not in TASKS:
        raise UserError(f"sweeplab {version('sweeplab')} has no example '{task}' any more, with which {name} began.")
    with tempfile.TemporaryDirectory() as temporary:
        files, index = Path(temporary, "files"), Path(temporary, "index")
        write_files(files, name, TASKS[task])
        apart = {"GIT_INDEX_FILE": str(index)}  # the user's index and work tree stay as they are
        git(root, "--work-tree", str(files), "add", "--all", **apart)
        tree = git(root, "write-tree", **apart)
    if tree == git(root, "rev-parse", f"{begun}^{{tree}}"):
        return ""
    message = f"A new project of sweeplab {version('sweeplab')}\n\n{TRAILER}: {task}"
    return git(root, "commit-tree", tree, "-p", begun, "-m", message)
