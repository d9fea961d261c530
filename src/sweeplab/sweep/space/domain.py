"""What Optuna searches for an override of Hydra's sweep grammar: a distribution, and its points in order."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, cast

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sweeplab.errors import UserError, did_you_mean
from sweeplab.sweep.space.values import Value, plain, text

Options = Callable[[str], list[str]]


class Domain(NamedTuple):
    """An Optuna distribution, and its points in the user's order, None where there is no end to them."""

    distribution: BaseDistribution
    points: Sequence[Value] | None


def domain(parsed: Override, options: Options) -> Domain:
    """Return what an override searches; `options` lists a config group.

    Raises:
        UserError: it cannot be searched; the message goes on from the override.
    """
    # Hydra declares less than it returns: `value()` may be a Glob too.
    match cast("Any", parsed.value()):
        case ChoiceSweep() as sweep:
            _is_log(sweep, allowed=False)
            result = _choice([plain(element) for element in sweep.list])
        case RangeSweep() as sweep:
            result = _range(sweep)
        case IntervalSweep() as sweep:
            return _interval(sweep)
        case Glob() as glob:
            return _glob(glob, options(parsed.key_or_group))
        case value:
            return _choice([plain(value)])
    if not sweep.shuffle or result.points is None:
        return result
    # Shuffled the same way each time, so that a resumed sweep keeps its order.
    return result._replace(points=random.Random(parsed.input_line).sample(result.points, len(result.points)))


def _choice(points: Sequence[Value]) -> Domain:
    word, times = Counter(text(point) for point in points).most_common(1)[0]
    if times > 1:
        raise UserError(f"has {word} twice; write it once.")
    return Domain(CategoricalDistribution(labels(points)), points)


def _glob(glob: Glob, options: list[str]) -> Domain:
    if not (points := glob.filter(options)):
        raise UserError(f"matches nothing{did_you_mean(glob.include[0], options)}")
    return _choice(points)


def _interval(sweep: IntervalSweep) -> Domain:
    low, high = sweep.start, sweep.end
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        raise UserError("has no bounds; write finite ones.")
    if low > high:
        raise UserError("has its bounds the wrong way round; write the lower one first.")
    if log := _is_log(sweep):
        _check_log(low)
    if isinstance(low, int) and isinstance(high, int):  # int(interval(...))
        return Domain(IntDistribution(low, high, log=log), range(low, high + 1))
    return Domain(FloatDistribution(low, high, log=log), [float(low)] if low == high else None)


def _range(sweep: RangeSweep) -> Domain:
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


def _evenly_spaced(points: list[int | float], log: bool) -> Domain:
    exact = [Fraction(str(point)) for point in points] if {type(point) for point in points} <= {int, float} else []
    steps = {after - before for before, after in itertools.pairwise(exact)} or {Fraction(1)}
    if len({type(point) for point in points}) > 1 or (points and not exact) or len(steps) > 1 or 0 in steps:
        return _choice(points)
    return _numbers(points, steps.pop(), log)


def _numbers(points: Sequence[int | float], step: Fraction, log: bool) -> Domain:
    """Take evenly spaced numbers, going up or down."""
    if not points:
        raise UserError("is empty; the stop is not part of a range.")
    low, high = sorted((points[0], points[-1]))
    if log:
        _check_log(low)
        if not (isinstance(low, int) and abs(step) == 1):
            raise UserError("is logarithmic, which needs whole numbers in steps of 1; write choice(...) instead.")
    if isinstance(low, int) and isinstance(high, int):
        return Domain(IntDistribution(low, high, log=log, step=int(abs(step))), points)
    # Optuna calculates with the decimals that floats are printed as; where these are rounded, it would miss the end.
    if Fraction(str(high)) - Fraction(str(low)) != (len(points) - 1) * Fraction(str(float(abs(step)))):
        return _choice(points)
    return Domain(FloatDistribution(low, high, step=float(abs(step))), points)


def _is_log(sweep: ChoiceSweep | RangeSweep | IntervalSweep, allowed: bool = True) -> bool:
    if unknown := sorted(sweep.tags - ({"log"} if allowed else set())):
        raise UserError(f"has a tag '{unknown[0]}' that is not known; the only tag is log, for numbers.")
    return "log" in sweep.tags


def _check_log(low: float) -> None:
    if low <= 0:
        raise UserError("is logarithmic and reaches down to 0 or below; write a lower bound above 0.")


def labels(points: Sequence[Value]) -> list[Any]:
    """Return what Optuna stores for choices: themselves, or their text where it could not tell them apart."""
    native = all(point is None or isinstance(point, bool | int | float | str) for point in points)
    can_tell = native and len(set(cast("Sequence[Any]", points))) == len(points)
    return list(points) if can_tell else [text(point) for point in points]
