"""A run's configuration as dotted keys and values, read fast enough for thousands of runs.

Parsing YAML is what takes time, and the runs of a sweep differ in few lines. So a configuration is cut where a line
begins with a key, and each piece is parsed once, however many runs have the same one.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sweeplab.errors import UserError
from sweeplab.records.files import read_text
from sweeplab.records.layout import RunFile, moved

FOLDER = "${folder}"  # what stands for the run's own folder, which no two runs share
MAX_VALUES = 1_000_000  # values of a configuration
MAX_DEPTH = 200  # levels of one
# The folder, unless YAML quotes it or folds the line.
_PLAIN_FOLDER = re.compile(r"^folder: ([^'\"\s].*)$(?!\n )", re.MULTILINE)
_PIECE = re.compile(r"^(?=[^\s#-])", re.MULTILINE)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def flat(folder: Path) -> dict[str, Any]:
    """Return what `config.yaml` in `folder` sets, by dotted keys; empty where there is none.

    Lists are values. Paths in the folder read `${folder}/...`.

    Raises:
        UserError: the file is not a configuration.
    """
    path = folder / RunFile.CONFIG
    text = _text(path)
    if plain := _PLAIN_FOLDER.search(text):
        return _keys(moved(text, plain[1], FOLDER), path)
    keys = _keys(text, path)
    return dict(moved(keys, str(keys["folder"]), FOLDER)) if "folder" in keys else keys


def interpolations(folder: Path) -> dict[str, str]:
    """Return the keys that were worked out from others, and how; none where Hydra's record is not there, or broken."""
    try:
        composed = _keys(_text(folder / RunFile.HYDRA_TASK), folder / RunFile.HYDRA_TASK)
    except UserError:
        return {}
    return {key: value for key, value in composed.items() if isinstance(value, str) and "${" in value}


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""


def _keys(text: str, path: Path) -> dict[str, Any]:
    try:
        return {key: value for piece in _PIECE.split(text) for key, value in _parsed(piece)}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a configuration: {' '.join(str(error).split())}.") from error


@functools.lru_cache(maxsize=20_000)
def _parsed(piece: str) -> tuple[tuple[str, Any], ...]:
    if sum(map(piece.count, "[{-:?")) > MAX_DEPTH:
        _check_depth(piece)
    content = yaml.load(piece, _Loader)
    if content is not None and not isinstance(content, dict):
        raise ValueError("it holds no keys")
    _count(content)
    return tuple(_leaves(content or {}, ""))


def _check_depth(piece: str) -> None:
    """Refuse what is nested so deep that the parser, which is in C, would take this process with it."""
    depth = 0
    for event in yaml.parse(piece, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deep")


def _count(content: Any) -> None:
    """Refuse what a few lines of aliases can make: billions of values."""
    rest, count = [content], 0
    while rest:
        value = rest.pop()
        if isinstance(value, dict | list):
            rest += value.values() if isinstance(value, dict) else value
            count += len(value)
        if count > MAX_VALUES:
            raise ValueError("it holds too many values")


def _leaves(value: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = f"{above}{key}"
        if isinstance(item, dict) and item:
            yield from _leaves(item, f"{name}.")
        else:
            yield name, item
