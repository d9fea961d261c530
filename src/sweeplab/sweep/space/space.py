"""The search space: the parameters of a study, and which of them there are under which values."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.errors import HydraException
from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution

from sweeplab.errors import UserError, did_you_mean
from sweeplab.sweep.space.domain import Options
from sweeplab.sweep.space.grammar import WHEN, Conditions, read
from sweeplab.sweep.space.parameter import Parameter, read_parameter
from sweeplab.sweep.space.values import Value, index_of, override, parser, plain, same, same_type, text

DefaultOf = Callable[[str], Any]


class Endless(UserError):  # noqa: N818 - it says what the space is
    """A grid was asked of a space that has none."""


@dataclass(frozen=True)
class Space:
    """All that a study searches; a parameter stands behind those that its conditions name.

    `order` are the keys, signs included, in the order in which the user gave them, also of what is not searched.
    """

    parameters: tuple[Parameter, ...]
    order: tuple[str, ...] = ()

    @classmethod
    def parse(cls, params: Mapping[str, Any], arguments: Sequence[str], options: Options) -> tuple["Space", list[str]]:
        """Return the space, and the fixed overrides: those of `params`, then those of the command line.

        An argument of the command line replaces what `params` say about its key. `options` lists a config group.

        Raises:
            UserError: something cannot be read or searched.
        """
        entries = read(params, arguments)
        by_position = sorted(entries, key=lambda entry: entry.position)
        parameters = [read_parameter(entry, options) for entry in entries if not entry.fixed]
        for parameter in parameters:
            _check_conditions(parameter, options)
        order = tuple(dict.fromkeys(entry.written for entry in entries))
        return cls(_ordered(_named(parameters)), order), [entry.line for entry in by_position if entry.fixed]

    def suggest(self, trial: Trial, default_of: DefaultOf) -> dict[str, Value]:
        """Let the sampler choose a value for each parameter whose conditions hold, in order.

        Raises:
            UserError: a condition names a key that is neither searched nor set.
        """
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            if self._holds(parameter, values, default_of):
                values[parameter.key] = parameter.suggest(trial)
        return values

    def active(self, values: Mapping[str, Value], default_of: DefaultOf) -> list[Parameter]:
        """Return the parameters whose conditions hold under `values`."""
        return [parameter for parameter in self.parameters if self._holds(parameter, values, default_of)]

    def in_order(self, overrides: Iterable[str]) -> list[str]:
        """Return overrides in the order in which the user gave their keys; what they did not give comes last."""
        position = {key: number for number, key in enumerate(self.order)}
        return sorted(overrides, key=lambda line: position.get(line.partition("=")[0], len(position)))

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """Return the overrides that set `values`, in order; a key that is not searched is set as it is spelt."""
        searched = {parameter.key: parameter for parameter in self.parameters}
        return [searched[key].override(values[key]) for key in searched if key in values] + [
            override(key, value) for key, value in values.items() if key not in searched
        ]

    def stored(self, values: Mapping[str, Value], default_of: DefaultOf) -> dict[str, Any]:
        """Return what `study.enqueue_trial` takes to try `values`; what they leave open the sampler chooses.

        Raises:
            UserError: a key or a value is not searched, or not under these values.
        """
        result: dict[str, Any] = {}
        for key, value in values.items():
            candidates = [parameter for parameter in self.parameters if parameter.key == key]
            if not candidates:
                raise UserError(f"{key} is not searched{did_you_mean(key, self.keys)}")
            active = [parameter for parameter in candidates if self._may_hold(parameter, values, default_of)]
            if not active:
                where = " or ".join(_conditions_text(parameter.conditions) for parameter in candidates)
                raise UserError(f"{override(key, value)} has no meaning here; {key} is searched only under {where}.")
            result |= {parameter.name: parameter.stored(value) for parameter in active}
        return result

    def values(self, stored: Mapping[str, Any]) -> dict[str, Value]:
        """Return the keys and values that an Optuna trial's params stand for.

        A name that is none of the space's (`custom_search_space` may suggest more) is taken for a key.
        """
        named = {parameter.name: parameter for parameter in self.parameters}
        values = {named[name].key: named[name].value(internal) for name, internal in stored.items() if name in named}
        # A name that an extended study no longer has may still have its conditions behind it.
        for name in [name for name in stored if name not in named]:
            key = name.partition("[")[0]
            key = bare if (bare := key.lstrip("+")) in self.keys else key
            values[key] = self._of_label(key, stored[name]) if key in self.keys else stored[name]
        return values

    def point(self, stored: Mapping[str, Any]) -> dict[str, Value]:
        """Return `values`, those that are points of this space in its own words: 1 where that stands for an old 1.0."""
        values = self.values(stored)
        for parameter in self.parameters:
            value = values.get(parameter.key)
            if parameter.key in values and parameter.points and (number := parameter.index(value)) is not None:
                values[parameter.key] = parameter.points[number]
        return values

    def point_key(self, stored: Mapping[str, Any]) -> str:
        """Return a text that the params of two trials share only if their points are the same."""
        return json.dumps(self.point(stored), sort_keys=True, default=repr)

    def renamed(self, stored: Mapping[str, Any], default_of: DefaultOf) -> dict[str, Any]:
        """Return the params of a trial as Optuna knows them since the study was extended.

        Raises:
            UserError: they are not searched any more.
        """
        values = self.point(stored)
        others = {name: value for name, value in stored.items() if name in values and name not in self.keys}
        return self.stored({key: values[key] for key in values if key in self.keys}, default_of) | others

    def _of_label(self, key: str, label: Any) -> Value:
        """Return the value that a choice of before stood for; lists and dicts were stored as their text."""
        texts = [text(point) for parameter in self.parameters if parameter.key == key for point in _listed(parameter)]
        if isinstance(label, str) and (label in texts or label.startswith(("[", "{"))):
            with contextlib.suppress(HydraException):
                return plain(parser().parse_override(f"key={label}").value())
        return label  # type: ignore[no-any-return]  # a choice is its own label else

    def named_in(self, study: Mapping[str, BaseDistribution]) -> "Space":
        """Return the same space, its parameters by their names in a study that has these."""
        return replace(self, parameters=tuple(parameter.named_in(study) for parameter in self.parameters))

    def covers(self, stored: Mapping[str, Any], default_of: DefaultOf) -> bool:
        """Say whether an Optuna trial's params are those of a point of this space, no more and no less."""
        values = self.point(stored)
        active = {parameter.key: parameter for parameter in self.active(values, default_of)}
        return values.keys() == active.keys() and all(
            parameter.points is None or parameter.index(values[key]) is not None for key, parameter in active.items()
        )

    def grid(self, default_of: DefaultOf) -> Iterator[dict[str, Value]]:
        """Return all points, as Hydra orders them: the last parameter varies fastest.

        Raises:
            Endless: there are infinitely many.
        """
        self._count(self.parameters, {}, default_of)
        return self._points(self.parameters, {}, default_of)

    def size(self, default_of: DefaultOf) -> int | None:
        """Return the number of points of the grid, None if there is no end to them."""
        try:
            return self._count(self.parameters, {}, default_of)
        except Endless:
            return None

    def describe(self) -> dict[str, str]:
        """Return what is searched, by the first names, in words that two spaces share only if they search the same."""
        result = {}
        by_name = sorted(self.parameters, key=lambda p: p.first_name)
        for name, alike in itertools.groupby(by_name, lambda p: p.first_name):
            first, *rest = alike
            where = sorted({_conditions_text(parameter.conditions) for parameter in (first, *rest)} - {""})
            result[name] = first.describe() + (f" when {' or '.join(where)}" if where else "")
        return {parameter.first_name: result[parameter.first_name] for parameter in self.parameters}

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are searched, each once."""
        return tuple(dict.fromkeys(parameter.key for parameter in self.parameters))

    def _holds(self, parameter: Parameter, values: Mapping[str, Value], default_of: DefaultOf) -> bool:
        # All of them are looked up, so that a misspelt one is found whatever the others say.
        pairs = [(key, self._look_up(key, values, default_of), wanted) for key, wanted in parameter.conditions]
        return all(_is_one_choice(self.parameters, *pair) for pair in pairs)

    def _may_hold(self, parameter: Parameter, values: Mapping[str, Value], default_of: DefaultOf) -> bool:
        """Say whether conditions can hold once the sampler has chosen what `values` leave open."""
        searched = self.keys
        sure = tuple(pair for pair in parameter.conditions if pair[0] in values or pair[0] not in searched)
        return self._holds(replace(parameter, conditions=sure), values, default_of)

    def _look_up(self, key: str, values: Mapping[str, Value], default_of: DefaultOf) -> Value:
        if key in values:
            return values[key]
        try:
            value: Value = default_of(key)
        except KeyError:
            value = None
        if value is None and key not in self.keys:
            raise UserError(f"the condition on {key} can never hold: {key} is not set{did_you_mean(key, self.keys)}")
        return value

    def _count(self, parameters: Sequence[Parameter], values: Mapping[str, Value], default_of: DefaultOf) -> int:
        if not parameters:
            return 1
        first, rest = parameters[0], parameters[1:]
        if not self._holds(first, values, default_of):
            return self._count(rest, values, default_of)
        if first.points is None:
            raise Endless(
                f"{first.key}={first.text} is infinite, and a grid must be finite; "
                "give a budget (hydra.sweeper.n_trials=50), or list its values with choice() or range()."
            )
        if not any(first.key == key for parameter in rest for key, _ in parameter.conditions):
            return len(first.points) * self._count(rest, values, default_of)
        return sum(self._count(rest, {**values, first.key: point}, default_of) for point in first.points)

    def _points(
        self, parameters: Sequence[Parameter], values: dict[str, Value], default_of: DefaultOf
    ) -> Iterator[dict[str, Value]]:
        if not parameters:
            yield values
        elif not self._holds(parameters[0], values, default_of):
            yield from self._points(parameters[1:], values, default_of)
        else:
            for point in parameters[0].points or ():
                yield from self._points(parameters[1:], {**values, parameters[0].key: point}, default_of)


def _listed(parameter: Parameter) -> Sequence[Value]:
    return parameter.points or () if isinstance(parameter.distribution, CategoricalDistribution) else ()


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return a line for each name that two descriptions see differently."""
    lines = [f"{name} was {words}, is gone" for name, words in old.items() if name not in new]
    lines += [f"{name} is new: {words}" for name, words in new.items() if name not in old]
    return lines + [f"{name} was {old[name]}, is {new[name]}" for name in new if old.get(name, new[name]) != new[name]]


def _conditions_text(conditions: Conditions) -> str:
    return ",".join(override(key, value) for key, value in conditions)


def _check_conditions(parameter: Parameter, options: Options) -> None:
    """Find a choice that its config group does not have; a choice in a subfolder is for Hydra to find."""
    for key, value in parameter.conditions:
        choices = options(key)
        if choices and isinstance(value, str) and "/" not in value and value not in choices:
            raise UserError(f"{WHEN}: {override(key, value)} can never hold{did_you_mean(value, choices)}")


def _named(parameters: list[Parameter]) -> list[Parameter]:
    """Give parameters of one key different names where they differ; no two of them may be there at once."""
    result = []
    for parameter in parameters:
        others = [other for other in parameters if other.key == parameter.key and other is not parameter]
        for other in others:
            if not _exclude(parameters, parameter.conditions, other.conditions):
                where = " and ".join(_conditions_text(p.conditions) or "everywhere" for p in (parameter, other))
                raise UserError(
                    f"{parameter.key} is searched twice, {where}; write conditions that exclude each other."
                )
        differs = any(other.describe() != parameter.describe() for other in others)
        name = f"{parameter.key}[{_conditions_text(parameter.conditions)}]" if differs else parameter.key
        result.append(replace(parameter, name=name))
    return result


def _exclude(parameters: Sequence[Parameter], one: Conditions, other: Conditions) -> bool:
    pairs = ((key, value, value2) for key, value in one for key2, value2 in other if key == key2)
    return not all(_is_one_choice(parameters, *pair) for pair in pairs)


def _is_one_choice(parameters: Iterable[Parameter], key: str, one: Value, other: Value) -> bool:
    """Say whether two values of a key are the same; 1 and 1.0 are not where both are among the key's choices."""
    if not same(one, other) or same_type(one, other):
        return same(one, other)
    lists = [p.points or () for p in parameters if p.key == key and isinstance(p.distribution, CategoricalDistribution)]
    return all(index_of(one, points) == index_of(other, points) for points in lists)


def _ordered(parameters: list[Parameter]) -> tuple[Parameter, ...]:
    """Put each parameter behind those that its conditions name, and else leave the order as it is."""
    result: list[Parameter] = []
    waiting = list(parameters)
    while waiting:
        missing = {parameter.key for parameter in waiting}
        free = next((p for p in waiting if not any(key in missing for key, _ in p.conditions)), None)
        if free is None:
            raise UserError(
                f"the conditions of {' and '.join(sorted(missing))} depend on each other; remove one of them."
            )
        waiting.remove(free)
        result.append(free)
    return tuple(result)
