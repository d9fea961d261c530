"""A parameter of a study: a key that is searched, Optuna's distribution of it, and the user's values and words."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, cast

from hydra.core.override_parser.types import ChoiceSweep
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from sweeplab.errors import UserError
from sweeplab.sweep.space.domain import Options, domain, labels
from sweeplab.sweep.space.grammar import Conditions, Entry
from sweeplab.sweep.space.values import Value, index_of, override, plain, text, typed

MAX_SUFFIX = 100  # characters


@dataclass(frozen=True)
class Parameter:
    """A key that is searched, under conditions that all have to hold.

    `key` is the configuration's and `name` Optuna's; `points` are the values in the user's order, None where there is
    no end to them; `text` is what the user wrote behind the `=`, and `words` maps our spelling of a point to theirs.
    """

    key: str
    prefix: str
    name: str
    distribution: BaseDistribution
    points: Sequence[Value] | None
    conditions: Conditions
    text: str
    words: Mapping[str, str] = field(default_factory=dict)

    def named_in(self, study: Mapping[str, BaseDistribution]) -> "Parameter":
        """Return the same parameter by its name in a study that has these.

        One of hydra-optuna-sweeper has the `+` in its names. Where Optuna would not take the new distribution beside
        the old one, other choices for instance, the name says what is searched now.
        """
        sign = self.prefix + self.key
        name = sign if sign in study and self.name not in study else self.name
        try:
            check_distribution_compatibility(study.get(name, self.distribution), self.distribution)
        except ValueError:
            name += self._suffix
        return replace(self, name=name)

    @property
    def first_name(self) -> str:
        """Its name before the study was extended."""
        return self.name.removesuffix(self._suffix)

    @property
    def _suffix(self) -> str:
        words = self.describe()
        # Databases take names of 512 characters.
        return f"[{words if len(words) <= MAX_SUFFIX else hashlib.sha256(words.encode()).hexdigest()[:12]}]"

    def index(self, value: Value) -> int | None:
        """Return which of the points a value is, as `index_of`; None if it is none."""
        if isinstance(self.points, range):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            whole = int(cast("float", value)) if is_number and cast("float", value) % 1 == 0 else None
            return self.points.index(whole) if whole is not None and whole in self.points else None
        own_type, alike = self._numbers
        return own_type.get(text(value), alike.get(_key(value)))

    @cached_property
    def _numbers(self) -> tuple[dict[str, int], dict[Any, int]]:
        """The numbers of the points by their text, and of the first of those that are the `same`."""
        own_type, alike = dict[str, int](), dict[Any, int]()
        for number, point in enumerate(self.points or ()):
            own_type.setdefault(text(point), number)
            alike.setdefault(_key(point), number)
        return own_type, alike

    def value(self, internal: Any) -> Value:
        """Return the value that Optuna's one stands for."""
        match self.distribution:
            case IntDistribution():
                return int(internal)
            case FloatDistribution(low=low, step=step):
                return float(internal) if step is None else _on_grid(internal, low, step)
        points = self.points or ()
        if (number := index_of(internal, labels(points))) is not None:
            return points[number]
        raise UserError(f"{self.name} was {internal!r} in an earlier trial, not one of {self.text}; start a new study.")

    def stored(self, value: Value) -> Any:
        """Return Optuna's value for one of the user's.

        Raises:
            UserError: the value is none of those searched.
        """
        is_choice = isinstance(self.distribution, CategoricalDistribution)
        if is_choice and (number := self.index(value)) is not None:
            return labels(self.points or ())[number]
        if isinstance(value, int | float) and not isinstance(value, bool):
            match self.distribution:
                case IntDistribution(low=low, high=high, step=step) if (
                    low <= value <= high and (value - low) % step == 0
                ):
                    return int(value)
                case FloatDistribution(low=low, high=high, step=None) if low <= value <= high:
                    return float(value)
                case FloatDistribution(low=low, high=high, step=float(step)) if low <= value <= high:
                    if math.isclose(point := _on_grid(value, low, step), value):
                        return point
        raise UserError(f"{override(self.key, value)} is not in {self.text}; give a value that is searched.")

    def override(self, value: Value) -> str:
        """Return the override that sets the key to `value`."""
        return f"{self.prefix}{self.key}={self.words.get(word := text(value), word)}"

    def suggest(self, trial: Trial) -> Value:
        """Let the sampler choose a value."""
        match self.distribution:
            case IntDistribution(low=low, high=high, step=step, log=log):
                return self.value(trial.suggest_int(self.name, low, high, step=step, log=log))
            case FloatDistribution(low=low, high=high, step=step, log=log):
                return self.value(trial.suggest_float(self.name, low, high, step=step, log=log))
            case CategoricalDistribution(choices=choices):
                return self.value(trial.suggest_categorical(self.name, choices))
        raise AssertionError(self.distribution)

    def describe(self) -> str:
        """Return what is searched, in words that two parameters share only if they search the same."""
        match self.distribution:
            case IntDistribution(low=low, high=high, step=step, log=log):
                return f"int {'log ' * log}{low}..{high}{f' step {step}' * (step != 1)}"
            case FloatDistribution(low=low, high=high, step=step, log=log):
                return f"{'log ' * log}{_short(low)}..{_short(high)}{'' if step is None else f' step {_short(step)}'}"
            case CategoricalDistribution():
                return f"choice({','.join(text(self.value(choice)) for choice in self.distribution.choices)})"
        raise AssertionError(self.distribution)


def read_parameter(entry: Entry, options: Options) -> Parameter:
    """Return what an entry searches; `options` lists a config group.

    Raises:
        UserError: it cannot be searched.
    """
    try:
        searched = domain(entry.parsed, options)
    except UserError as error:
        raise UserError(f"{entry.parsed.input_line} {error}") from None
    given = entry.parsed.get_value_string().strip()
    value = entry.parsed.value()
    words = {text(plain(one)): typed(one) for one in value.list} if isinstance(value, ChoiceSweep) else {}
    return Parameter(entry.key, entry.prefix, entry.key, *searched, entry.conditions, given, words)


def _key(value: Value) -> Any:
    """Return what two values share only if they are the `same`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    return value if is_number else (type(value), text(value))


def _on_grid(value: float, low: float, step: float) -> float:
    """Return the grid's number next to `value`, free of the rounding in sums of steps."""
    start, stride = Fraction(str(low)), Fraction(str(step))
    return float(start + round((Fraction(value) - start) / stride) * stride)


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")
