"""The search space: what a study searches, read from Hydra's grammar into Optuna's distributions."""

import functools
import itertools
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, OverrideType, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sweeplab.errors import UserError, did_you_mean
from sweeplab.sweep.values import Value, override, plain, same, text

Known = Callable[[str], Any]
Options = Callable[[str], list[str]]
Conditions = tuple[tuple[str, Value], ...]

WHEN = "when"
_SETS = {OverrideType.CHANGE: "", OverrideType.ADD: "+", OverrideType.FORCE_ADD: "++"}


class Endless(UserError):  # noqa: N818 - it says what the space is
    """A grid was asked of a space that has none."""


@dataclass(frozen=True)
class Parameter:
    """A key that is searched, under conditions that all have to hold.

    `key` is the configuration's and `name` Optuna's; `points` are the values in the user's order, None where there is
    no end to them; `text` is what the user wrote behind the `=`.
    """

    key: str
    prefix: str
    name: str
    distribution: BaseDistribution
    points: Sequence[Value] | None
    conditions: Conditions
    text: str

    def value(self, internal: Any) -> Value:
        """Return the value that Optuna's one stands for."""
        match self.distribution:
            case IntDistribution():
                return int(internal)
            case FloatDistribution(low=low, step=step):
                return float(internal) if step is None else _on_grid(internal, low, step)
        for point, label in self._labels():
            if same(label, internal):
                return point
        raise UserError(f"{self.name} was {internal!r} once, which is not in {self.text}; start another study.")

    def stored(self, value: Value) -> Any:
        """Return Optuna's value for one of the user's.

        Raises:
            UserError: the value is none of those searched.
        """
        for point, label in self._labels() if isinstance(self.distribution, CategoricalDistribution) else ():
            if same(point, value):
                return label
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

    def values(self) -> list[Value] | None:
        """Return the values in the user's order, None where there is no end to them."""
        return None if self.points is None else list(self.points)

    def override(self, value: Value) -> str:
        """Return the override that sets the key to `value`."""
        return override(self.prefix + self.key, value)

    def _labels(self) -> Iterator[tuple[Value, Any]]:
        assert self.points is not None
        return zip(self.points, _labels(self.points), strict=True)


@dataclass(frozen=True)
class Space:
    """All that a study searches; a parameter stands behind those that its conditions name."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def parse(cls, params: Mapping[str, Any], arguments: Sequence[str], options: Options) -> tuple["Space", list[str]]:
        """Return the space, and the fixed overrides: those of `params`, then those of the command line.

        An argument of the command line replaces what `params` say about its key. `options` lists a config group.

        Raises:
            UserError: something cannot be read or searched.
        """
        if OmegaConf.is_config(params):
            params = cast("dict[str, Any]", OmegaConf.to_container(params, resolve=True))
        entries: dict[str, list[_Entry]] = {}
        for entry in _entries(params, (), ""):
            entries.setdefault(entry.key, []).append(entry)
        for place, argument in enumerate(arguments, start=1):
            entry = _Entry(_parsed(argument), (), place)
            if entry.parsed.is_delete():
                entries.pop(entry.key, None)
            entries["~" * entry.parsed.is_delete() + entry.key] = [entry]
        every = [entry for same_key in entries.values() for entry in same_key]
        fixed = sorted((entry for entry in every if entry.fixed), key=lambda entry: entry.place)
        parameters = [_parameter(entry, options) for entry in every if not entry.fixed]
        for parameter in parameters:
            _check_conditions(parameter, options)
        return cls(_ordered(_named(parameters))), [_line(entry.parsed) for entry in fixed]

    def suggest(self, trial: Trial, known: Known) -> dict[str, Value]:
        """Let the sampler choose a value for each parameter whose conditions hold, in order.

        Raises:
            UserError: a condition names a key that is neither searched nor known.
        """
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            if self._holds(parameter, values, known):
                values[parameter.key] = parameter.value(_suggest(trial, parameter))
        return values

    def active(self, values: Mapping[str, Value], known: Known) -> list[Parameter]:
        """Return the parameters whose conditions hold under `values`."""
        return [parameter for parameter in self.parameters if self._holds(parameter, values, known)]

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """Return the overrides that set `values`, in order; a key that is not searched is set as it is spelt."""
        searched = {parameter.key: parameter for parameter in self.parameters}
        return [searched[key].override(values[key]) for key in searched if key in values] + [
            override(key, value) for key, value in values.items() if key not in searched
        ]

    def stored(self, values: Mapping[str, Value], known: Known) -> dict[str, Any]:
        """Return what `study.enqueue_trial` takes to try `values`; what they leave open the sampler chooses.

        Raises:
            UserError: a key or a value is not searched, or not under these values.
        """
        result: dict[str, Any] = {}
        for key, value in values.items():
            candidates = [parameter for parameter in self.parameters if parameter.key == key]
            if not candidates:
                raise UserError(f"{key} is not searched{did_you_mean(key, self.keys)}")
            active = [parameter for parameter in candidates if self._may_hold(parameter, values, known)]
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
        known = {named[name].key: named[name].value(internal) for name, internal in stored.items() if name in named}
        # A name that an extended study knows no more may still have its conditions behind it.
        return known | {name.partition("[")[0]: value for name, value in stored.items() if name not in named}

    def covers(self, stored: Mapping[str, Any], known: Known) -> bool:
        """Say whether an Optuna trial's params are those of a point of this space, no more and no less."""
        return stored.keys() == {parameter.name for parameter in self.active(self.values(stored), known)}

    def grid(self, known: Known) -> Iterator[dict[str, Value]]:
        """Return all points, as Hydra orders them: the last parameter varies fastest.

        Raises:
            Endless: there are infinitely many.
        """
        self._count(self.parameters, {}, known)
        return self._points(self.parameters, {}, known)

    def size(self, known: Known) -> int | None:
        """Return the number of points of the grid, None if there is no end to them."""
        try:
            return self._count(self.parameters, {}, known)
        except Endless:
            return None

    def describe(self) -> dict[str, str]:
        """Return what is searched, by Optuna's names, in words that two spaces share only if they search the same."""
        result = {}
        for name, alike in itertools.groupby(sorted(self.parameters, key=lambda p: p.name), lambda p: p.name):
            first, *rest = alike
            where = sorted({_conditions_text(parameter.conditions) for parameter in (first, *rest)} - {""})
            result[name] = _described(first) + (f" when {' or '.join(where)}" if where else "")
        return {parameter.name: result[parameter.name] for parameter in self.parameters}

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are searched, each once."""
        return tuple(dict.fromkeys(parameter.key for parameter in self.parameters))

    def _holds(self, parameter: Parameter, values: Mapping[str, Value], known: Known) -> bool:
        # All of them are looked up, so that a misspelt one is found whatever the others say.
        found = [same(self._look_up(key, values, known), wanted) for key, wanted in parameter.conditions]
        return all(found)

    def _may_hold(self, parameter: Parameter, values: Mapping[str, Value], known: Known) -> bool:
        """Say whether conditions can hold once the sampler has chosen what `values` leave open."""
        searched = self.keys
        sure = tuple(pair for pair in parameter.conditions if pair[0] in values or pair[0] not in searched)
        return self._holds(replace(parameter, conditions=sure), values, known)

    def _look_up(self, key: str, values: Mapping[str, Value], known: Known) -> Value:
        if key in values:
            return values[key]
        try:
            value: Value = known(key)
        except KeyError:
            value = None
        if value is None and key not in self.keys:
            raise UserError(f"the condition on {key} can never hold: {key} is not set{did_you_mean(key, self.keys)}")
        return value

    def _count(self, parameters: Sequence[Parameter], values: Mapping[str, Value], known: Known) -> int:
        if not parameters:
            return 1
        first, rest = parameters[0], parameters[1:]
        if not self._holds(first, values, known):
            return self._count(rest, values, known)
        if first.points is None:
            raise Endless(
                f"{first.key}={first.text} has no end, and a grid needs one; "
                "give a budget (hydra.sweeper.n_trials=50), or list its values with choice() or range()."
            )
        if not any(first.key == key for parameter in rest for key, _ in parameter.conditions):
            return len(first.points) * self._count(rest, values, known)
        return sum(self._count(rest, {**values, first.key: point}, known) for point in first.points)

    def _points(
        self, parameters: Sequence[Parameter], values: dict[str, Value], known: Known
    ) -> Iterator[dict[str, Value]]:
        if not parameters:
            yield values
        elif not self._holds(parameters[0], values, known):
            yield from self._points(parameters[1:], values, known)
        else:
            for point in parameters[0].points or ():
                yield from self._points(parameters[1:], {**values, parameters[0].key: point}, known)


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return a line for each name that two descriptions see differently."""
    lines = [f"{name} was {words}, is gone" for name, words in old.items() if name not in new]
    lines += [f"{name} is new: {words}" for name, words in new.items() if name not in old]
    return lines + [f"{name} was {old[name]}, is {new[name]}" for name in new if old.get(name, new[name]) != new[name]]


# Reading what the user wrote


class _Entry(NamedTuple):
    """An override of the user, the conditions above it, and its place on the command line (0: in params)."""

    parsed: Override
    conditions: Conditions
    place: int = 0

    @property
    def key(self) -> str:
        return self.parsed.get_key_element().lstrip("+~")

    @property
    def fixed(self) -> bool:
        return self.parsed.is_delete() or not (self.parsed.is_sweep_override() or self.conditions)


def _entries(block: Mapping[Any, Any], conditions: Conditions, above: str) -> Iterator[_Entry]:
    """Walk through params, into conditions and into nested keys, which mean the same as dotted ones."""
    for name, value in block.items():
        key = f"{above}{name}"
        if key == WHEN or ("=" in key and isinstance(value, Mapping)):
            for condition, inner in (_mapping(value, WHEN) if key == WHEN else {name: value}).items():
                for alternative in _conditions(condition):
                    yield from _entries(_mapping(inner, f"{WHEN}: {condition}"), conditions + alternative, "")
        elif isinstance(value, Mapping) and value:
            yield from _entries(value, conditions, f"{key}.")
        else:
            entry = _Entry(_parsed(f"{key}={value}" if isinstance(value, str) else override(key, value)), conditions)
            if conditions and entry.parsed.is_delete():
                raise UserError(f"{key} cannot be deleted under a condition; delete it everywhere, or set it to null.")
            yield entry


def _mapping(value: Any, where: str) -> Mapping[Any, Any]:
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise UserError(f"{where} holds {value!r}; write parameters under conditions, as in when: {{model=cnn: {{...}}}}.")


def _conditions(written: str) -> list[Conditions]:
    """Read `model=cnn,mlp,optimizer=sgd`: every way in which it can be true."""
    alternatives = []
    for part in re.split(r",(?=[^,=]+=)", str(written)):
        parsed = _parsed(part) if "=" in part else None
        if parsed is None or parsed.type not in _SETS or parsed.is_interval_sweep() or parsed.is_range_sweep():
            raise UserError(f"{WHEN}: {written} is no condition; write key=value, as in model=cnn,optimizer=sgd.")
        points = parsed.sweep_iterator() if parsed.is_choice_sweep() else [parsed.value()]
        alternatives.append([(parsed.get_key_element().lstrip("+"), plain(point)) for point in points])
    return list(itertools.product(*alternatives))


@functools.cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _parsed(line: str) -> Override:
    try:
        return _parser().parse_override(line)
    except HydraException as error:
        reason = ", ".join(str(error).strip().splitlines())
        raise UserError(f"{line} is not in Hydra's override grammar: {reason}.") from None


def _line(parsed: Override) -> str:
    """Return a fixed override; a function in it is called once, not in each trial again."""
    line = parsed.input_line
    assert line is not None
    if "(" in line and parsed.type in _SETS:
        return override(parsed.get_key_element(), plain(parsed.value()))
    return line


# From the grammar to distributions


class _Domain(NamedTuple):
    distribution: BaseDistribution
    points: Sequence[Value] | None


def _parameter(entry: _Entry, options: Options) -> Parameter:
    parsed = entry.parsed
    try:
        domain = _domain(parsed, options)
    except UserError as error:
        raise UserError(f"{parsed.input_line} {error}") from None
    return Parameter(
        entry.key, _SETS[parsed.type], entry.key, *domain, entry.conditions, parsed.get_value_string().strip()
    )


def _domain(parsed: Override, options: Options) -> _Domain:
    # Hydra declares less than it returns: `value()` may be a Glob too.
    match cast("Any", parsed.value()):
        case ChoiceSweep() as sweep:
            _is_log(sweep, allowed=False)
            domain = _choice([plain(element) for element in sweep.list])
        case RangeSweep() as sweep:
            domain = _range(sweep)
        case IntervalSweep() as sweep:
            return _interval(sweep)
        case Glob() as glob:
            return _glob(glob, options(parsed.key_or_group))
        case value:
            return _choice([plain(value)])
    if not sweep.shuffle or domain.points is None:
        return domain
    # Shuffled the same way each time, so that a sweep that is resumed goes on with its own order.
    return domain._replace(points=random.Random(parsed.input_line).sample(domain.points, len(domain.points)))


def _choice(points: Sequence[Value]) -> _Domain:
    word, times = Counter(text(point) for point in points).most_common(1)[0]
    if times > 1:
        raise UserError(f"has {word} twice; write it once.")
    return _Domain(CategoricalDistribution(_labels(points)), points)


def _glob(glob: Glob, options: list[str]) -> _Domain:
    if not (points := glob.filter(options)):
        raise UserError(f"matches nothing{did_you_mean(glob.include[0], options)}")
    return _choice(points)


def _interval(sweep: IntervalSweep) -> _Domain:
    low, high = sweep.start, sweep.end
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        raise UserError("has no bounds; write finite ones.")
    if low > high:
        raise UserError("has its bounds the wrong way round; write the lower one first.")
    if log := _is_log(sweep):
        _check_log(low)
    if isinstance(low, int) and isinstance(high, int):  # int(interval(...))
        return _Domain(IntDistribution(low, high, log=log), range(low, high + 1))
    return _Domain(FloatDistribution(low, high, log=log), None)


def _range(sweep: RangeSweep) -> _Domain:
    log = _is_log(sweep)
    if getattr(sweep, "transformers", ()):  # Hydra 1.4 casts each value of a range, 1.3 its bounds
        return _evenly_spaced(list(cast("Iterable[int | float]", sweep)), log)
    bounds = sweep.start, sweep.stop, sweep.step
    if not all(math.isfinite(bound) for bound in bounds if bound is not None):
        raise UserError("has no bounds; write finite ones.")
    # Exact decimals, as in Hydra 1.4; sums of binary fractions would now and then reach the stop.
    start, stop, step = (Fraction(str(bound)) for bound in bounds)
    if step == 0:
        raise UserError("has a step of 0; write another one.")
    count = max(0, math.ceil((stop - start) / step))
    if all(isinstance(bound, int) for bound in bounds):
        return _numbers(range(int(start), int(start + count * step), int(step)), step, log)
    scale = math.lcm(start.denominator, step.denominator)
    first, stride = int(start * scale), int(step * scale)
    return _numbers([(first + i * stride) / scale for i in range(count)], step, log)


def _evenly_spaced(points: list[int | float], log: bool) -> _Domain:
    exact = [Fraction(str(point)) for point in points] if {type(point) for point in points} <= {int, float} else []
    steps = {after - before for before, after in itertools.pairwise(exact)} or {Fraction(1)}
    if len({type(point) for point in points}) > 1 or (points and not exact) or len(steps) > 1 or 0 in steps:
        return _choice(points)
    return _numbers(points, steps.pop(), log)


def _numbers(points: Sequence[int | float], step: Fraction, log: bool) -> _Domain:
    """Take evenly spaced numbers, going up or down."""
    if not points:
        raise UserError("is empty; the stop is not part of a range.")
    low, high = sorted((points[0], points[-1]))
    if log:
        _check_log(low)
        if not (isinstance(low, int) and abs(step) == 1):
            raise UserError("is logarithmic, which needs whole numbers in steps of 1; write choice(...) instead.")
    if isinstance(low, int) and isinstance(high, int):
        return _Domain(IntDistribution(low, high, log=log, step=int(abs(step))), points)
    # Optuna calculates with the decimals that floats are printed as; where these are rounded, it would miss the end.
    if Fraction(str(high)) - Fraction(str(low)) != (len(points) - 1) * Fraction(str(float(abs(step)))):
        return _choice(points)
    return _Domain(FloatDistribution(low, high, step=float(abs(step))), points)


def _is_log(sweep: ChoiceSweep | RangeSweep | IntervalSweep, allowed: bool = True) -> bool:
    if unknown := sorted(sweep.tags - ({"log"} if allowed else set())):
        raise UserError(f"has a tag '{unknown[0]}' that means nothing here; the one tag is log, for numbers.")
    return "log" in sweep.tags


def _check_log(low: float) -> None:
    if low <= 0:
        raise UserError("is logarithmic and reaches down to 0 or below; write a lower bound above 0.")


def _on_grid(value: float, low: float, step: float) -> float:
    """Return the grid's number next to `value`, free of the rounding in sums of steps."""
    start, stride = Fraction(str(low)), Fraction(str(step))
    return float(start + round((Fraction(value) - start) / stride) * stride)


def _labels(points: Sequence[Value]) -> list[Any]:
    """Return what Optuna stores for choices: themselves, or their text where it could not tell them apart."""
    native = all(point is None or isinstance(point, bool | int | float | str) for point in points)
    alone = native and len(set(cast("Sequence[Any]", points))) == len(points)
    return list(points) if alone else [text(point) for point in points]


def _suggest(trial: Trial, parameter: Parameter) -> Any:
    match parameter.distribution:
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(parameter.name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(parameter.name, low, high, step=step, log=log)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(parameter.name, choices)
    raise AssertionError(parameter.distribution)


def _described(parameter: Parameter) -> str:
    match parameter.distribution:
        case IntDistribution(low=low, high=high, step=step, log=log):
            return f"int {'log ' * log}{low}..{high}{f' step {step}' * (step != 1)}"
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return f"{'log ' * log}{_short(low)}..{_short(high)}{'' if step is None else f' step {_short(step)}'}"
        case CategoricalDistribution():
            return f"choice({','.join(text(parameter.value(choice)) for choice in parameter.distribution.choices)})"
    raise AssertionError(parameter.distribution)


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


# Conditions, names, order


def _conditions_text(conditions: Conditions) -> str:
    return ",".join(override(key, value) for key, value in conditions)


def _check_conditions(parameter: Parameter, options: Options) -> None:
    """Find a choice that its config group does not have; a choice in a subfolder is for Hydra to find."""
    for key, value in parameter.conditions:
        choices = options(key)
        if choices and isinstance(value, str) and "/" not in value and value not in choices:
            raise UserError(f"{WHEN}: {override(key, value)} can never hold{did_you_mean(value, choices)}")


def _named(parameters: list[Parameter]) -> list[Parameter]:
    """Give parameters of one key names of their own where they differ; no two of them may be there at once."""
    result = []
    for parameter in parameters:
        others = [other for other in parameters if other.key == parameter.key and other is not parameter]
        for other in others:
            if not _exclude(parameter.conditions, other.conditions):
                where = " and ".join(_conditions_text(p.conditions) or "everywhere" for p in (parameter, other))
                raise UserError(
                    f"{parameter.key} is searched twice, {where}; write conditions that exclude each other."
                )
        differs = any(_described(other) != _described(parameter) for other in others)
        name = f"{parameter.key}[{_conditions_text(parameter.conditions)}]" if differs else parameter.key
        result.append(replace(parameter, name=name))
    return result


def _exclude(one: Conditions, other: Conditions) -> bool:
    return any(key == key2 and not same(value, value2) for key, value in one for key2, value2 in other)


def _ordered(parameters: list[Parameter]) -> tuple[Parameter, ...]:
    """Put each parameter behind those that its conditions name, and else leave the order as it is."""
    result: list[Parameter] = []
    waiting = list(parameters)
    while waiting:
        missing = {parameter.key for parameter in waiting}
        free = next((p for p in waiting if not any(key in missing for key, _ in p.conditions)), None)
        if free is None:
            raise UserError(f"the conditions of {' and '.join(sorted(missing))} go in a circle; take one of them away.")
        waiting.remove(free)
        result.append(free)
    return tuple(result)
