"""What a file or a folder that somebody sent may bring about: it is data, and builds what a run is made of alone.

`_target_`s are the project's own, public names of sweeplab, and classes of torch, Lightning and torchmetrics of the
kinds below; never their functions, some of which load and run code. Interpolations refer to keys; those that ask the
environment, or call whatever function is registered, are text. What a run writes lies in its folder. `trust=true` on
the command line, and `trust=True` in Python, lift all of this, and so does the signature of whoever made the run.
"""

import importlib
import importlib.util
import inspect
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from sweeplab.errors import UserError

WORD = "trust"
TARGET = "_target_"
PUBLIC = ("sweeplab.callbacks", "sweeplab.loggers", "sweeplab.listeners", "sweeplab.tasks", "sweeplab.trainers")
LIBRARIES = ("torch", "lightning", "pytorch_lightning", "torchmetrics")
KINDS = (
    "torch.nn.Module",
    "torch.optim.Optimizer",
    "torch.optim.lr_scheduler.LRScheduler",
    "torch.utils.data.DataLoader",
    "torchmetrics.Metric",
    "lightning.pytorch.Callback",
    "lightning.pytorch.LightningDataModule",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.loggers.Logger",
    "lightning.pytorch.profilers.Profiler",
    "lightning.pytorch.strategies.Strategy",
)
_NAME = re.compile(r"[A-Za-z]\w*(\.(?!__)\w+)+")
# An interpolation that is neither of a key nor of one of these: the links, Hydra's own facts, the clock, other keys.
_ASKS = re.compile(r"\$\{(?!\s*(?:(?:data|hydra|now|oc\.select|oc\.dict\.keys|oc\.dict\.values):|[\w.\[\]-]+\s*\}))")
# Groups of which something is written, and keys that say where to.
_WRITING = ("callbacks", "logger", "trainer", "task", "folder")
_PLACE = re.compile(r"(?:^|_)(?:dir|path|folder|file)$|^dirpath$")


@dataclass(frozen=True)
class Source:
    """Where a configuration comes from: the `file`, for messages, and the `folder` that came with it.

    Paths in it lie in `inside`, which is the folder unless another name stands for it; `allowed` are targets and
    interpolations that may stand in it all the same.
    """

    file: Path
    folder: Path
    inside: str = ""
    allowed: frozenset[str] = frozenset()
    remedy: str = f"if you trust whoever made it, add {WORD}=true."


def is_given(words: Iterable[str]) -> bool:
    """Say whether `trust=true` is among the words of a command line.

    Raises:
        UserError: it has another value than true and false.
    """
    values = [word.partition("=")[2] for word in words if is_word(word)]
    for value in values:
        if value.lower() not in ("true", "false"):
            raise UserError(f"{WORD}={value} must be true or false.")
    return bool(values) and values[-1].lower() == "true"


def is_word(word: str) -> bool:
    """Say whether a word of a command line is `trust=...`."""
    return word.partition("=")[0].lstrip("+") == WORD


def check(config: Any, source: Source) -> None:
    """Make sure that a configuration of unknown origin, with its interpolations, builds and asks nothing it may not.

    Raises:
        UserError: the first thing that it may not, and what to write.
    """
    for key, value in leaves(config):
        if TARGET in key.split("."):
            if value is not None and not (isinstance(value, str) and is_buildable(value, source)):
                raise UserError(
                    f"{source.file} names {key}={value}, which is neither of this project nor a class of torch, "
                    f"lightning or torchmetrics that runs are made of; {source.remedy}"
                )
        elif isinstance(value, str) and asks(value) and value not in source.allowed:
            raise UserError(f"{source.file} asks for {key}={value}, which is not evaluated; {source.remedy}")


def check_places(config: Mapping[str, Any], source: Source) -> None:
    """Make sure that what a configuration, resolved as far as it can be, says where to write lies in the run's folder.

    Raises:
        UserError: the first place outside.
    """
    inside = source.inside or str(source.folder.resolve())
    for key, value in leaves({group: config[group] for group in _WRITING if group in config}):
        if isinstance(value, str) and not key.endswith(TARGET) and _leads_out(key, value, inside):
            raise UserError(f"{source.file} names {key}={value}, which is outside of its folder; {source.remedy}")


def check_files(paths: Iterable[Path], folder: Path, trusted: bool = False) -> None:
    """Make sure that nothing which is written in a folder goes elsewhere, or waits for ever.

    Raises:
        UserError: one of the paths is a link that leads out of the folder, unless it is `trusted`, or no file at all.
    """
    home = folder.resolve()
    for path in paths:
        if path.is_symlink() and not trusted and not path.resolve().is_relative_to(home):
            raise UserError(
                f"{path} is a link that leads out of {folder}; put what it leads to in its place, or if you made it, "
                f"add {WORD}=true."
            )
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path} is neither a file nor a folder; remove it.")


def asks(text: str) -> bool:
    """Say whether a text has an interpolation that asks for more than other keys."""
    return _ASKS.search(text) is not None


def inert(config: Any) -> Any:
    """Return a configuration in which interpolations that ask for more than other keys are text."""
    if isinstance(config, Mapping):
        return {key: inert(value) for key, value in config.items()}
    if isinstance(config, list):
        return [inert(value) for value in config]
    return config.replace("${", r"\${") if isinstance(config, str) and asks(config) else config


def named(config: Any) -> frozenset[str]:
    """Return all that a configuration can build, and the interpolations in it that ask for more than other keys."""
    texts = ((key, value) for key, value in leaves(config) if isinstance(value, str))
    return frozenset(value for key, value in texts if key.rpartition(".")[2] == TARGET or asks(value))


def leaves(config: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Return what a configuration holds, by dotted keys, items of lists included."""
    if isinstance(config, Mapping | list | tuple):
        for key, value in config.items() if isinstance(config, Mapping) else enumerate(config):
            yield from leaves(value, f"{above}.{key}" if above else str(key))
    else:
        yield above, config


def is_buildable(target: str, source: Source) -> bool:
    """Say whether a `_target_` is built without asking: what it names decides, however it is spelt.

    Nothing is imported but this project, sweeplab, and the three libraries.
    """
    if target in source.allowed:
        return True
    if not _NAME.fullmatch(target):
        return False
    home, _, name = target.rpartition(".")
    package = target.partition(".")[0]
    if package == "sweeplab":
        return home in PUBLIC and name in importlib.import_module(home).__all__
    if package not in LIBRARIES and not _is_of_this_project(target, source.folder):
        return False
    try:
        located = resolve_name(target)
    except Exception:  # noqa: BLE001 - a module may fail in any way: whoever builds it says how, or that it is not there
        return True
    module = str(getattr(located, "__module__", None) or "")
    if module.partition(".")[0] in LIBRARIES:
        return _is_of_a_kind(located)
    return (inspect.isclass(located) or inspect.isroutine(located)) and _is_of_this_project(module, source.folder)


def _is_of_a_kind(located: Any) -> bool:
    private = [part for part in str(located.__module__).split(".") if part.startswith("_")]
    is_private = any(part != "_deprecated" for part in private)  # where torchmetrics has what it still offers
    return inspect.isclass(located) and not is_private and issubclass(located, tuple(map(resolve_name, KINDS)))


def _is_of_this_project(name: str, folder: Path) -> bool:
    """Say whether a dotted name leads into a package of this project, and not into one that `folder` brings along.

    This project's are those that are neither installed nor part of Python. No module is imported to find out.
    """
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None or not spec.has_location:  # none, or any folder that happens to lie there
        return False
    home = Path(spec.origin).resolve().parent
    home = home.parent if spec.submodule_search_locations is not None else home
    if {"site-packages", "dist-packages"} & set(home.parts):  # of PYTHONPATH, as the modules of clusters set it
        return False
    if any(home.is_relative_to(path) for path in _installed()) or not _is_on_the_path(home):
        return False
    while spec is not None:
        if any(_overlap(path, folder) for path in _locations(spec)):
            return False
        if not rest or spec.submodule_search_locations is None:
            return True
        spec = PathFinder.find_spec(f"{spec.name}.{rest[0]}", spec.submodule_search_locations)
        rest = rest[1:]
    return True


def _locations(spec: ModuleSpec) -> list[Path]:
    file = [spec.origin] if spec.has_location and spec.origin else []
    return [Path(path).resolve() for path in (*(spec.submodule_search_locations or ()), *file)]


def _overlap(path: Path, folder: Path) -> bool:
    folder = folder.resolve()
    return path.is_relative_to(folder) or folder.is_relative_to(path)


@cache
def _installed() -> tuple[Path, ...]:
    """Return where Python and what was installed lie."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [*(sysconfig.get_path(name) for name in names), *site.getsitepackages(), site.getusersitepackages()]
    return tuple(Path(folder).resolve() for folder in folders)


def _is_on_the_path(home: Path) -> bool:
    """Say whether modules are found in a folder not only because somebody works there."""
    return home != Path.cwd() or any(entry and Path(entry).resolve() == home for entry in sys.path)


def _leads_out(key: str, value: str, inside: str) -> bool:
    if value == inside or value.startswith(f"{inside}/"):
        return ".." in Path(value).parts
    is_path = Path(value).is_absolute() or value.startswith("~") or "://" in value or ".." in Path(value).parts
    return is_path or (bool(value) and _PLACE.search(key.rpartition(".")[2]) is not None)
