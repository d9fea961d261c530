"""The program that sweeps, as other processes find it."""

import contextlib
import io
import multiprocessing
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from multiprocessing import spawn
from pathlib import Path
from types import ModuleType
from typing import Any

from sweeplab.sweep import job
from sweeplab.sweep.job import Task

# The names of processes that import the program and are no trials.
IMPORTER, SAMPLER_PROCESS = "importer", "sampler process"


def task_of(function: Callable[..., Any]) -> Task:
    """Say where other processes find a task function: by importing it, or else only in forks of this process."""
    script = str(Path(sys.argv[0]).resolve())
    module, name = getattr(function, "__module__", None), getattr(function, "__name__", None)
    if isinstance(module, str) and isinstance(name, str) and _is_importable(module):
        outer, layers = getattr(sys.modules[module], name, None), 0
        while outer is not None and outer is not function:
            outer, layers = getattr(outer, "__wrapped__", None), layers + 1
        if outer is not None:
            return Task(script, module, name, layers)
    job.keep_for_forks(function)
    return Task(script, name=str(name or type(function).__name__))


def _is_importable(module: str) -> bool:
    if module == "__main__":
        return bool(importable_main())
    return getattr(sys.modules.get(module), "__spec__", None) is not None


def importable_main() -> dict[str, str]:
    """Return how another process imports the program's own module, in multiprocessing's words; nothing if none can."""
    data = spawn.get_preparation_data(IMPORTER)
    if (name := data.get("init_main_from_name")) and name != "__main__" and not name.endswith(".__main__"):
        return {"init_main_from_name": name}
    if (path := data.get("init_main_from_path")) and Path(path).is_file() and Path(path).stem != "ipython":
        return {"init_main_from_path": path}
    return {}


def import_main(words: Mapping[str, str]) -> None:
    """Import the program's own module as the trials would, so that they need not."""
    output = io.StringIO()  # what the controller has printed already
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            spawn.prepare({"name": IMPORTER, **words})
    except BaseException:  # noqa: BLE001 - whatever somebody's module does, an exit included
        empty = ModuleType("__mp_main__")  # that is not tried again
        empty.__file__ = words.get("init_main_from_path")
        empty.__spec__ = ModuleSpec(words.get("init_main_from_name", ""), None)
        sys.modules["__main__"] = empty


def is_imported_elsewhere() -> bool:
    """Say whether the program sweeps while another process imports it, for want of `if __name__ == "__main__":`."""
    name = multiprocessing.current_process().name
    return name in (IMPORTER, SAMPLER_PROCESS) or name.startswith("trial-")
