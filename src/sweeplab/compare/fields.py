"""What can be said of a run in one word: by which users filter, sort and group."""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.names import short_keys
from sweeplab.records.run import Run

FACTS: dict[str, Callable[[Run], Any]] = {
    "run": lambda run: run.name,
    "status": lambda run: str(run.status),
    "study": lambda run: run.study,
    "tags": lambda run: list(run.tags) or None,
    "number": lambda run: run.number,
    "seconds": lambda run: run.seconds,
    "started": lambda run: run.facts["started"],
}
_CONDITION = re.compile(r"(?P<field>[^=<>!]+?)\s*(?P<relation>!=|<=|>=|=|<|>)\s*(?P<value>.*)")
_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_CONSTANTS = {"true": True, "false": False, "null": None}


class Fields:
    """The words that say something of some runs: facts, settings by their keys, and metrics.

    A key that varies has its short word too: `lr` for `optimizer.lr`.
    """

    def __init__(self, runs: Sequence[Run], varied: Iterable[str]) -> None:
        self.settings = dict.fromkeys(key for run in runs for key in run.settings)
        self.metrics = dict.fromkeys(name for run in runs for name in run.values())
        self.short = short_keys(varied, taken=tuple(FACTS))
        self._long = {word: key for key, word in self.short.items()}

    def name(self, word: str) -> str:
        """Return the field that a user means.

        Raises:
            UserError: there is none; the message has the nearest.
        """
        if word in self._long and word not in self.settings:
            return self._long[word]
        if word in FACTS or word in self.settings or word in self.metrics:
            return word
        choices = [*FACTS, *self._long, *self.settings, *self.metrics]
        raise UserError(f"no run has '{word}'{did_you_mean(word, choices)}")

    def titles(self, fields: Iterable[str]) -> list[str]:
        """Return the words for these fields that stand above the columns of a table."""
        return [self.short.get(field, field) for field in fields]

    @staticmethod
    def value(run: Run, field: str) -> Any:
        """Return what a run has for a field, None if it has nothing."""
        if field in FACTS:
            return FACTS[field](run)
        return run.settings[field] if field in run.settings else run.values().get(field)


@dataclass(frozen=True)
class Condition:
    """What a run must meet: `optimizer.lr<1e-3`, `model=cnn,mlp`, `status!=failed`; of its tags, one is enough."""

    field: str
    relation: str
    wanted: Sequence[Any]

    @classmethod
    def parse(cls, text: str, fields: Fields) -> "Condition":
        """Read a condition.

        Raises:
            UserError: it is none, its field is unknown, or what has to be a number is not.
        """
        parts = _CONDITION.fullmatch(text.strip())
        if not parts:
            raise UserError(f"--filter '{text}' is not a condition; write field=value, field!=value or field<number.")
        relation = parts["relation"]
        wanted = [_read(word.strip()) for word in parts["value"].split(",")]
        if relation in _ORDERS and (len(wanted) > 1 or not _is_number(wanted[0])):
            raise UserError(f"--filter '{text}': {relation} needs one number behind it.")
        return cls(fields.name(parts["field"]), relation, wanted)

    def check(self, runs: Sequence[Run]) -> None:
        """Make sure that a word which is asked for is there at all.

        Raises:
            UserError: no run has it; the message has the nearest.
        """
        values = [Fields.value(run, self.field) for run in runs]
        words = sorted({word for value in values for word in _each(value) if isinstance(word, str)})
        for wanted in self.wanted:
            if self.relation == "=" and isinstance(wanted, str) and words and wanted not in words:
                raise UserError(f"no run has {self.field}={wanted}{did_you_mean(wanted, words)}")

    def holds(self, run: Run) -> bool:
        """Say whether a run meets it; one that has nothing in this field meets only `!=` and `=null`."""
        value = Fields.value(run, self.field)
        if self.relation in _ORDERS:
            return _is_number(value) and bool(_ORDERS[self.relation](value, self.wanted[0]))
        is_one = any(_equals(each, wanted) for each in _each(value) for wanted in self.wanted)
        return is_one == (self.relation == "=")


def _each(value: Any) -> list[Any]:
    """Return a value, and what is in it where it is a list."""
    return [value, *value] if isinstance(value, list) else [value]


def _read(word: str) -> Any:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    try:
        return float(word)
    except ValueError:
        return word


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equals(value: Any, wanted: Any) -> bool:
    if _is_number(value) and _is_number(wanted):
        return bool(float(value) == wanted)
    if isinstance(value, bool) or value is None or isinstance(wanted, bool) or wanted is None:
        return value is wanted
    return str(value) == (f"{wanted:g}" if isinstance(wanted, float) else wanted)
