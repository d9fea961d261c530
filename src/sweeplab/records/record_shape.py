"""What `run.json` must look like for its readers."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any


def misfit(facts: Mapping[str, Any], is_whole: bool = True) -> str | None:
    """Return the first fact that is not as it should be, None if all are; unless it `is_whole` some may be missing."""
    return next((n for n, fits in _SHAPE.items() if (is_whole or n in facts) and not fits(facts.get(n))), None)


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and float(value) is not None
    except OverflowError:
        return False


def _is_process(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("host"), str)
        and isinstance(value.get("pid"), int)
        and 0 <= value["pid"] < 2**31
        and _is_number(value.get("started"))
    )


def _is_objective(value: Any) -> bool:
    also = value.get("also") or [] if isinstance(value, dict) else None
    return isinstance(also, list) and all(
        isinstance(one, dict) and isinstance(one.get("metric"), str) and _or_null(_is_number)(one.get("value"))
        for one in (value, *also)
    )


def _is_trial(value: Any) -> bool:
    numbers = _or_null(_each(_or_null(_is_number)))
    return (
        isinstance(value, dict)
        and isinstance(value.get("number"), int | None)
        and isinstance(value.get("study"), str | None)
        and isinstance(value.get("params"), dict | None)
        and numbers(value.get("constraints"))
    )


def _is_git(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("commit"))


def _is_attempt(value: Any) -> bool:
    return isinstance(value, dict) and _or_null(_is_number)(value.get("seconds"))


def _or_null(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


# What readers count on; everything else in the file may be missing.
_SHAPE: dict[str, Callable[[Any], bool]] = {
    "status": _is_text,
    "process": _is_process,
    "started": _is_time,
    "ended": _or_null(_is_time),
    "seconds": _or_null(_is_number),
    "threads": _or_null(_is_number),
    "objective": _or_null(_is_objective),
    "best": _or_null(_each(_or_null(_is_number))),
    "metrics": _or_null(_each(_or_null(_is_number))),
    "test": _or_null(_list_of(_is_text)),
    "trial": _or_null(_is_trial),
    "choices": _or_null(_is_mapping),
    "overrides": _or_null(_list_of(_is_text)),
    "attempts": _or_null(_list_of(_is_attempt)),
    "stages": _or_null(_each(_is_mapping)),
    "checkpoint": _or_null(_is_text),
    "error": _or_null(_is_text),
    "git": _or_null(_is_git),
    **dict.fromkeys(("versions", "environment", "links", "wandb"), _or_null(_is_mapping)),
}
