"""A process's own folder among the temporary files: nothing in it outlives the process, however that ends."""

import functools
import json
import os
import shutil
import tempfile
import time
from multiprocessing import util
from pathlib import Path

from sweeplab.records.files import write_text
from sweeplab.records.process import is_alive, this_process

PREFIX, OWNER = "sweeplab-", "owner.json"
LONGEST = 52  # bytes: sockets lie three levels below, in paths of at most 103 bytes on some systems
SHORT = "/tmp"  # as in Python 3.14, where the paths of sockets would be too long
PATIENCE = 2.0  # seconds that a controller may take to end, which has let go of its pipes
OLD = 3600.0  # seconds after which a folder without an owner's name is not about to get one
FOLDER = "SWEEPLAB_TEMPORARY"  # where a fork server finds the folder of its controller


@functools.cache
def own_folder() -> Path:
    """Return this process's folder, in which multiprocessing keeps its sockets too.

    It goes when the process ends. Where the process is killed, its fork server removes the folder; where that is killed
    too, the next process that wants a folder does.
    """
    _clear()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_parent()))
    write_text(folder / OWNER, json.dumps(this_process()))
    util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-200)  # behind multiprocessing's own, -100
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        util.get_temp_dir()
    finally:
        tempfile.tempdir = before
    os.environ[FOLDER] = str(folder)
    return folder


def _parent() -> str:
    """Return the directory of temporary files, or a shorter one where sockets in it would have too long a path."""
    parent = tempfile.gettempdir()
    return SHORT if len(os.fsencode(parent)) > LONGEST and os.access(SHORT, os.W_OK) else parent


def remove_left_behind() -> None:
    """Remove the controller's folder, in its fork server: that ends behind it, or while it is ending."""
    folder = Path(os.environ.get(FOLDER, "/nowhere"))
    until = time.monotonic() + PATIENCE
    while folder.exists() and time.monotonic() < until:
        if _is_left_behind(folder):
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def _clear() -> None:
    """Remove the folders of processes that are gone."""
    for folder in Path(_parent()).glob(f"{PREFIX}*"):
        if _is_left_behind(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left_behind(folder: Path) -> bool:
    """Say whether a folder is ours, and its process gone; one that says of no process may be about to."""
    try:
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
            return False
        if not (folder / OWNER).exists():  # new, or half removed
            return time.time() - folder.stat().st_mtime > OLD
        return is_alive(json.loads((folder / OWNER).read_text(encoding="utf-8"))) is False
    except (OSError, ValueError, KeyError, TypeError):
        return False
