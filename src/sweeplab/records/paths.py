"""Paths that follow a folder which was moved."""

import re
from typing import Any


def moved(value: Any, old: str, new: str) -> Any:
    """Return a value in which each path in the folder `old` lies in `new`: in texts, and in what holds texts.

    A path is one behind a blank or a quote, so that `s/1` is not found in `s/12` nor in `runs/1`.
    """
    if isinstance(value, dict):
        return {moved(key, old, new): moved(item, old, new) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(moved(item, old, new) for item in value)
    if isinstance(value, str) and old in value:
        return re.sub(rf"(?<![^\s'\"]){re.escape(old)}(?=[/\s'\"]|$)", lambda _: new, value)
    return value
