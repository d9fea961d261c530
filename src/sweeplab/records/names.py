"""Short words for keys, values, times and paths, where there is little room: tables, names of runs, axes of plots."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def short_keys(keys: Iterable[str], taken: Sequence[str] = ()) -> dict[str, str]:
    """Return a short word for each key: its last part, or as many as tell it from the others, joined by `_`.

    No word is one of those that are `taken`.
    """
    parts = {key: tuple(re.split(r"[./@]", key)) for key in keys}
    return {key: _shortest(part, list(parts.values()), taken) for key, part in parts.items()}


def _shortest(parts: tuple[str, ...], others: Sequence[tuple[str, ...]], taken: Sequence[str]) -> str:
    for length in range(1, len(parts) + 1):
        word = "_".join(parts[-length:])
        if word not in taken and sum(other[-length:] == parts[-length:] for other in others) == 1:
            return word
    return "_".join(parts) + "_" * ("_".join(parts) in taken)


# What people put in front of a metric to say which part of the data it is of.
_PART = re.compile(r"^(train|training|val|valid|validation|test)(?=[/_.])")


def without_part(metric: str) -> str:
    """Return what is measured, whatever it is measured on: `val/acc` and `test_acc` are `acc`."""
    return _PART.sub("", metric).lstrip("/_.")


def of_training(metric: str) -> str:
    """Return what a metric of the validation is probably called in the training: `val_loss` is `train_loss`."""
    return _PART.sub("train", metric)


def short_value(value: Any) -> str:
    """Return a value in few characters: 0.00031 is `3.1e-4`, to three digits."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    text = f"{value:.3g}"
    if "e" not in text and value and abs(value) < 1e-2:
        text = f"{value:.2e}"
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def clock(seconds: float) -> str:
    """Return a time as clocks show it: `0:19`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short_path(path: Path) -> str:
    """Return a path as a user would write it in the directory where the program runs."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
