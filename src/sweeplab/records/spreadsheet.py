"""Cells of CSV files that no spreadsheet takes for a formula, which it would run."""

from collections.abc import Iterable
from typing import Any

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cells(row: Iterable[Any]) -> list[Any]:
    """Return a row in which each text that begins like a formula has a `'` in front; numbers stay what they are."""
    return [f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell for cell in row]


def _is_formula(text: str) -> bool:
    if not text.lstrip(" ").startswith(_STARTS):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
