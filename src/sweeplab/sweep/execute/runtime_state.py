"""What the program has set before the sweep began, and a process that imports it again does not have."""

import contextlib
import importlib
import logging
import re
import sys
import sysconfig
from collections.abc import Container, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.utils import setup_globals
from omegaconf.basecontainer import BaseContainer

from sweeplab.sweep.program import IMPORTER, importable_main

log = logging.getLogger(__name__)

STDLIB = Path(sysconfig.get_path("stdlib"))
IMPORT_TIMEOUT = 300.0  # seconds
EXCLUDED = ("sweeplab", "hydra_plugins", "__main__", "__mp_main__")  # not the program's, or named otherwise
MAX_ITEMS, MAX_CHARACTERS = 100, 1000  # of a container, and of the words for a value, that are compared


def beyond_import(context: Any) -> list[str]:
    """Name what the program has set that the processes of `context`, which import it, do not have."""
    modules = [*(["__main__"] if importable_main() else []), *sorted(_own_modules())]
    near, far = context.Pipe(duplex=False)
    process = context.Process(target=_send_state, args=(far, modules), name=IMPORTER)
    process.start()
    far.close()
    try:
        if not near.poll(IMPORT_TIMEOUT):
            raise EOFError
        there: dict[str, str] = near.recv()
    except EOFError:  # it could not import the program
        return ["__main__"]
    finally:
        process.kill()  # a thread that the program started would keep it
        process.join()
        near.close()
    return [name for name, words in _state(modules).items() if there.get(name) != words]


def warn_of_missing(names: Sequence[str], why: str) -> None:
    """Say that trials do not have what the program has set, if that is so."""
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        log.warning("trials import the program again, without what was set at run time, %s%s: %s", names[0], more, why)


def _send_state(channel: Connection, modules: Sequence[str]) -> None:
    setup_globals()
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    channel.send(_state(modules))


def _own_modules() -> Iterator[str]:
    """Find the modules that lie beside the program or below it: its own, which it may have changed."""
    home = getattr(sys.modules["__main__"], "__file__", None)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not home or not file or name.partition(".")[0] in EXCLUDED or "site-packages" in Path(file).parts:
            continue
        if Path(file).is_relative_to(STDLIB):  # of an environment that lies beside the program
            continue
        if Path(file).is_relative_to(Path(home).parent):
            yield name


def _state(modules: Sequence[str]) -> dict[str, str]:
    """Return which resolvers there are, and what the modules hold, in words that two processes can compare."""
    ours = {"__main__", "__mp_main__", *modules}
    # Hydra registers some of its own when it first instantiates; `data` is our plugin's.
    names = [name for name in BaseContainer._resolvers if name != "data" and not name.startswith("hydra.")]
    resolvers = {f"resolver {name}": "" for name in names}
    return resolvers | {
        f"{name}.{key}": _words(value, ours)
        for name in modules
        for key, value in vars(sys.modules.get(name, object)).items()
        if not key.startswith("__")
    }


def _words(value: Any, ours: Container[str], depth: int = 6) -> str:
    """Say what a value is: all of plain data, of the program's own objects what they hold, of others their kind."""
    kind = type(value).__qualname__
    try:
        if (inner := _inner(value, ours)) is not None:
            return f"{kind} {[_words(item, ours, depth - 1) for item in inner if depth]}"
        words = re.sub(r"\bat 0x[0-9a-fA-F]+", "", repr(value))
    except Exception:  # noqa: BLE001 - whatever somebody's object does when it is looked at
        return kind
    return f"{kind} {words}" if len(words) <= MAX_CHARACTERS and not words.startswith("<") else kind


def _inner(value: Any, ours: Container[str]) -> Iterable[Any] | None:
    """Return what a container or an object of the program holds, None for any other value."""
    if isinstance(value, dict | list | tuple | set | frozenset):
        if len(value) > MAX_ITEMS:
            return (len(value),)
        items = value.items() if isinstance(value, dict) else value
        return items if isinstance(value, list | tuple) else sorted(items, key=repr)
    if isinstance(value, ModuleType) or getattr(value, "__module__", None) not in ours:
        return None
    attributes = getattr(value, "__dict__", {}).items()
    return getattr(value, "__qualname__", ""), *sorted(item for item in attributes if not item[0].startswith("__"))
