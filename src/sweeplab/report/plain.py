"""Values as the page takes them: what JSON has, in few characters."""

import json
import math
from typing import Any

Plain = float | int | str | None


def number(value: float | None) -> float | int | None:
    """Return a number to six digits, None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    if isinstance(value, int):
        return value
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def is_number(value: Any) -> bool:
    """Say whether a value can stand on an axis of numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def setting(value: Any) -> Plain:
    """Return a setting: a number, or the word that YAML has for it."""
    if is_number(value):
        return number(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
