"""What can be said of numbers that differ by chance: means, intervals, differences.

The distribution is scipy's; its ready-made tests take a second more to import than a table takes in all, and say
p = 0 where differences are equal but for rounding.
"""

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
class Difference(Spread):
    """How much higher the first of two samples is, and the p-value of there being no difference.

    If it is `paired`, the two share `count` seeds, and the differences under each of them were tested; else Welch's
    test was taken, and `count` is the size of the smaller sample. `sd` is that of one difference. With too few values
    for a deviation, or without any, there is no interval and no p-value.
    """

    p: float | None = None
    paired: bool = False


def spread(values: Sequence[float]) -> Spread:
    """Return what a sample says of its mean."""
    mean, sd = fmean(values), _deviation(values, values)
    if not sd:
        return Spread(len(values), mean, sd)
    low, high, _ = _student(mean, sd / math.sqrt(len(values)), len(values) - 1)
    return Spread(len(values), mean, sd, low, high)


def paired(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Test the differences of two samples, value by value, by Student's t-test."""
    values = [a - b for a, b in zip(one, other, strict=True)]
    count, mean, sd = len(values), fmean(values), _deviation(values, [*one, *other])
    if not sd:
        return Difference(count, mean, sd, paired=True)
    return Difference(count, mean, sd, *_student(mean, sd / math.sqrt(count), count - 1), paired=True)


def welch(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Test the difference of two samples that have nothing in common by Welch's t-test."""
    a, b = spread(one), spread(other)
    count, mean = min(a.count, b.count), a.mean - b.mean
    if a.sd is None or b.sd is None:
        return Difference(count, mean)
    shares = [a.sd**2 / a.count, b.sd**2 / b.count]
    if not sum(shares):
        return Difference(count, mean, 0.0)
    freedom = sum(shares) ** 2 / (shares[0] ** 2 / (a.count - 1) + shares[1] ** 2 / (b.count - 1))
    return Difference(count, mean, math.hypot(a.sd, b.sd), *_student(mean, math.sqrt(sum(shares)), freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that account for there being several: Holm's step-down correction (1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def seeds_needed(difference: Difference) -> int | None:
    """Estimate how many seeds would show a difference of this size, four times out of five; None if it is zero."""
    if not difference.mean or not difference.sd:
        return None
    # The normal approximation: 1.96 for the level, 0.84 for the power; 2 for what a small sample costs.
    return math.ceil(((1.96 + 0.84) * difference.sd / difference.mean) ** 2) + 2


def _deviation(values: Sequence[float], origin: Sequence[float]) -> float | None:
    """Return the deviation of values, 0 where it is but the rounding of the numbers that they were worked out from."""
    if len(values) < 2:
        return None
    sd = stdev(values)
    return sd if sd > ROUNDING * max(map(abs, origin)) else 0.0


def _student(mean: float, error: float, freedom: float) -> tuple[float, float, float]:
    """Return the interval of a mean with this standard error, and the p-value of its being zero."""
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return mean - half, mean + half, float(2 * stdtr(freedom, -abs(mean) / error))
