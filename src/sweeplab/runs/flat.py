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

from sweeplab.runs.config import FILE

FOLDER = "${folder}"  # what stands for the run's own folder, which no two runs share
_PIECE = re.compile(r"^(?=[^\s#-])", re.MULTILINE)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


COMPOSED = Path(".hydra", "config.yaml")


def flat(folder: Path) -> dict[str, Any]:
    """Return what `config.yaml` in `folder` sets, by dotted keys; empty where there is none.

    Lists are values. Paths in the folder read `${folder}/...`.

    Raises:
        ValueError: the file is no configuration.
    """
    return _flat(folder / FILE)


def derived(folder: Path) -> set[str] | None:
    """Return the keys that were worked out from others, by an interpolation; None where Hydra's record is not there.

    Raises:
        ValueError: the file is no configuration.
    """
    composed = _flat(folder / COMPOSED)
    return {key for key, value in composed.items() if isinstance(value, str) and "${" in value} if composed else None


def _flat(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    own = re.search(r"^folder: (.+)$", text, re.MULTILINE)
    if own:
        text = text.replace(own[1], FOLDER)
    values: dict[str, Any] = {}
    for piece in _PIECE.split(text):
        values.update(_parsed(piece))
    return values


@functools.lru_cache(maxsize=20_000)
def _parsed(piece: str) -> tuple[tuple[str, Any], ...]:
    try:
        content = yaml.load(piece, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{FILE} is no YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, dict):
        raise ValueError(f"{FILE} holds no keys")
    return tuple(_leaves(content or {}, ""))


def _leaves(value: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = f"{above}{key}"
        if isinstance(item, dict) and item:
            yield from _leaves(item, f"{name}.")
        else:
            yield name, item
