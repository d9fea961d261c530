"""What can be said of numbers that differ by chance: means, intervals, differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

LEVEL = 0.95  # of every interval
ROUNDING = 1e-6  # of the values: a smaller deviation is that of numbers in single precision, not of chance


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of `count` values, and Student's interval for the mean.

    One value has no deviation and no interval, and values that are all the same have no interval either: that they
    would not differ under more seeds is not known.
    """

    count: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """How much higher the first of two samples is: mean, Student's interval, and p-value of there being none.

    `paired` says that the two share `count` seeds, and that the differences under each of them were judged; else
    Welch's test was taken, and `count` is the size of the smaller sample. `sd` is that of one difference. With too few
    values for a deviation, or without any, there is no interval and no p-value.
    """

    count: int
    mean: float
    paired: bool
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


def spread(values: Sequence[float], scale: float | None = None) -> Spread:
    """Return what a sample says of its mean; `scale` is the size of the numbers that it was worked out from."""
    scale = max(map(abs, values)) if scale is None else scale
    mean = fmean(values)
    if len(values) < 2:
        return Spread(len(values), mean)
    sd = stdev(values)
    if sd <= ROUNDING * scale:
        return Spread(len(values), mean, 0.0)
    half = _quantile(len(values) - 1) * sd / math.sqrt(len(values))
    return Spread(len(values), mean, sd, mean - half, mean + half)


def paired(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Judge the differences of two samples, value by value, by Student's t-test."""
    found = spread([a - b for a, b in zip(one, other, strict=True)], max(map(abs, [*one, *other])))
    if not found.sd:
        return Difference(found.count, found.mean, True, found.sd)
    p = _p(found.mean, found.sd / math.sqrt(found.count), found.count - 1)
    return Difference(found.count, found.mean, True, found.sd, found.low, found.high, p)


def welch(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Judge the difference of two samples that have nothing in common by Welch's t-test."""
    a, b = spread(one), spread(other)
    count, mean = min(a.count, b.count), a.mean - b.mean
    if a.sd is None or b.sd is None:
        return Difference(count, mean, False)
    sd = math.sqrt(a.sd**2 + b.sd**2)
    shares = [a.sd**2 / a.count, b.sd**2 / b.count]
    error = math.sqrt(sum(shares))
    if error == 0:
        return Difference(count, mean, False, 0.0)
    freedom = sum(shares) ** 2 / (shares[0] ** 2 / (a.count - 1) + shares[1] ** 2 / (b.count - 1))
    half = _quantile(freedom) * error
    return Difference(count, mean, False, sd, mean - half, mean + half, _p(mean, error, freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that account for there being several: Holm's step-down correction (1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def seeds_needed(found: Difference) -> int | None:
    """Estimate how many seeds would show a difference of this size, four times out of five; None if it is zero."""
    if not found.mean or not found.sd:
        return None
    # The normal approximation: 1.96 for the level, 0.84 for the power; 2 for what a small sample costs.
    return math.ceil(((1.96 + 0.84) * found.sd / found.mean) ** 2) + 2


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def _p(mean: float, error: float, freedom: float) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(mean) / error))
