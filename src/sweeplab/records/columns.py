"""Which settings tell runs apart."""

import json
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from sweeplab.records import flat
from sweeplab.records.layout import RunFile
from sweeplab.records.run import Run

LAST = ("callbacks", "metrics", "objective")  # groups that hardly anybody compares by
UNTRAINED = {"objective.also"}  # what changes no training
_ABSENT = "absent"


def varying(runs: Sequence[Run]) -> list[str]:
    """Return the keys by which the runs differ: those that a sweep searched, then choices, then all others.

    What follows from a choice is left out: `model._target_` where `model` says it, and `model.channels` where all runs
    that have channels have the same number of them; and what is an interpolation, as `data.shuffle_seed` is of `seed`.
    A key that only some runs of one choice have tells them apart.
    """
    searched = dict.fromkeys(key for run in runs for key in run.params)
    choices = dict.fromkeys(key for run in runs for key in run.choices)
    others = dict.fromkeys(key for run in runs for key in run.settings)
    suspects = _suspects(runs) - UNTRAINED
    chosen = {key for key in suspects if key in choices}
    telling = {key for key in suspects if key in chosen or _differs(key, runs, chosen)}
    follow = _derived(telling - chosen - searched.keys(), runs) if telling else set()
    ordered = {**searched, **choices, **dict.fromkeys(sorted(others, key=lambda key: key.split(".")[0] in LAST))}
    return [key for key in ordered if key in telling - follow]


def same(one: Any, other: Any) -> bool:
    """Say whether two settings are the same: 1 and 1.0 are, true and 1 are not."""
    return token(one) == token(other)


def token(value: Any) -> Hashable:
    """Return what is equal for the same settings only."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, int | float):
        return ("number", float(value))
    return ("nested", json.dumps(value, sort_keys=True, default=str))


def _suspects(runs: Sequence[Run]) -> set[str]:
    """Find the keys that are not the same everywhere, fast: most are."""
    first: dict[str, Any] = dict(runs[0].settings) if runs else {}
    suspects: set[str] = set()
    for run in runs:
        settings = run.settings
        suspects |= settings.keys() ^ first.keys()
        suspects |= {key for key, value in settings.items() if key not in suspects and not _equal(value, first[key])}
    return suspects


def _derived(keys: set[str], runs: Sequence[Run]) -> set[str]:
    """Find the keys that follow from others in all runs whose interpolations were kept."""
    kept = [run for run in runs if keys and (run.folder / RunFile.HYDRA_TASK).is_file()]
    derived = [(run, flat.interpolations(run.folder)) for run in kept]
    return {key for key in keys if derived and all(key in of_run for run, of_run in derived if key in run.settings)}


def _equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and one == other) or same(one, other)


def _differs(key: str, runs: Iterable[Run], chosen: set[str]) -> bool:
    """Say whether runs differ by a key although they chose the same from its group."""
    group = key.split(".")[0]
    by_choice: dict[Hashable, set[Hashable]] = {}
    for run in runs:
        choice = token(run.settings.get(group)) if group in chosen else None
        value = token(run.settings[key]) if key in run.settings else _ABSENT
        by_choice.setdefault(choice, set()).add(value)
    return any(len(tokens) > 1 for tokens in by_choice.values())
