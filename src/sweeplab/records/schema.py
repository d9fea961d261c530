"""What `run.json` holds, as types, and the check that a file which was read keeps to such types.

pydantic would check the same and takes longer to import than all of a comparison; msgspec would be one more dependency
for some forty lines. Neither is asked to keep what it does not know, as a record does that a later version wrote.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import datetime
from types import UnionType
from typing import Any, NewType, Required, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

Time = NewType("Time", str)  # with its zone
ProcessId = NewType("ProcessId", int)


class Process(TypedDict):
    """The process of a run: see `records.process`."""

    host: str
    pid: ProcessId
    started: float


class FurtherObjective(TypedDict, total=False):
    """A metric, and its value at the best moment of the first one."""

    metric: Required[str]
    mode: str | None
    value: float | None


class RunObjective(FurtherObjective, total=False):
    """What the run is judged by."""

    also: Sequence[FurtherObjective] | None


class Trial(TypedDict, total=False):
    """Which trial of which sweep the run is."""

    number: int | None
    study: str | None
    params: Mapping[str, Any] | None
    attempt: float | None
    constraints: Mapping[str, float | None] | None


class Git(TypedDict):
    """The code that the run was made with."""

    commit: str


class Attempt(TypedDict, total=False):
    """What an earlier attempt left, where the run went on."""

    status: str | None
    started: Time | None
    ended: Time | None
    error: str | None
    overrides: Sequence[str] | None
    seconds: float | None


class RunFacts(TypedDict, total=False):
    """`run.json`, as far as readers count on it: everything else may be there, or missing."""

    status: Required[str]  # one of `record.Status`
    process: Required[Process]
    started: Required[Time]
    ended: Time | None
    seconds: float | None
    threads: float | None
    objective: RunObjective | None
    best: Mapping[str, float | None] | None
    metrics: Mapping[str, float | None] | None
    test: Sequence[str] | None
    trial: Trial | None
    tags: Sequence[str] | None
    choices: Mapping[str, Any] | None
    overrides: Sequence[str] | None
    attempts: Sequence[Attempt] | None
    stages: Mapping[str, Mapping[str, Any]] | None
    checkpoint: str | None
    error: str | None
    git: Git | None
    versions: Mapping[str, Any] | None
    environment: Mapping[str, Any] | None
    links: Mapping[str, Any] | None
    wandb: Mapping[str, Any] | None


def misfit(content: Mapping[str, Any], kind: type, is_whole: bool = True) -> str | None:
    """Return the first key whose value is not of the type that `kind` declares, None if all are.

    `kind` is a TypedDict, or a dataclass, which asks itself for what it requires. Unless the content `is_whole`, what
    is required may be missing.
    """
    required = getattr(kind, "__required_keys__", ()) if is_whole else ()
    for name, fits in _checks(kind).items():
        if not fits(content[name]) if name in content else name in required:
            return name
    return None


@functools.cache
def _checks(kind: type) -> Mapping[str, Callable[[Any], bool]]:
    """Return a check for each field of a type: made once, for thousands of records."""
    return {name: _check(hint) for name, hint in get_type_hints(kind).items()}


def _check(hint: Any) -> Callable[[Any], bool]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):  # all that we declare are of one type and None
        fits = _check(arguments[0])
        return lambda value: value is None or fits(value)
    if origin is Sequence:
        fits = _check(arguments[0])
        return lambda value: isinstance(value, list) and all(map(fits, value))
    if origin is Mapping:
        fits = _check(arguments[1])
        return lambda value: isinstance(value, dict) and all(map(fits, value.values()))
    if is_typeddict(hint) or is_dataclass(hint):
        return lambda value: isinstance(value, dict) and misfit(value, hint) is None
    return _SPECIAL.get(hint) or (lambda value: isinstance(value, hint))


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


_SPECIAL: Mapping[Any, Callable[[Any], bool]] = {
    Any: lambda value: True,
    float: _is_number,
    Time: _is_time,
    ProcessId: lambda value: isinstance(value, int) and 0 <= value < 2**31,
}
