import math
from collections.abc import Sequence
from statistics import stdev

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from sweeplab.compare.statistics import holm, paired, seeds_needed, spread, welch

NUMBERS = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
SAMPLES = st.lists(NUMBERS, min_size=2, max_size=12)


def spreads(values: Sequence[float], sizes: Sequence[float] | None = None) -> bool:
    """Say whether values differ by more than single precision would make of equal ones."""
    return stdev(values) > 1e-5 * max(map(abs, sizes or values))


@given(SAMPLES)
def test_the_interval_of_a_mean_is_students(values: list[float]) -> None:
    assume(spreads(values))
    found = spread(values)
    expected = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.sd == pytest.approx(stats.tstd(values))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=12))
def test_paired_differences_are_tested_by_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    one, other = zip(*pairs, strict=True)
    assume(spreads([a - b for a, b in pairs], [*one, *other]))
    found, expected = paired(one, other), stats.ttest_rel(one, other)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@given(SAMPLES, SAMPLES)
def test_samples_without_common_seeds_are_tested_by_welchs_test(one: list[float], other: list[float]) -> None:
    assume(spreads(one) and spreads(other))
    found, expected = welch(one, other), stats.ttest_ind(one, other, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_one_value_says_nothing_of_chance() -> None:
    assert spread([0.5]).sd is None
    assert paired([0.2], [0.1]).p is None
    assert welch([0.5], [0.1, 0.2]).p is None


@pytest.mark.parametrize("gap", [0.0, 3 / 359])
def test_without_any_spread_there_is_no_certainty(gap: float) -> None:
    """Accuracies are multiples of one over the samples, so that equal differences are common."""
    own = [304 / 359, 311 / 359, 317 / 359]
    found = paired(*([float(np.float32(value)) for value in values] for values in ([v + gap for v in own], own)))
    assert found.mean == pytest.approx(gap, abs=1e-7)
    assert (found.p, found.low, found.high) == (None, None, None)
    assert welch([0.5, 0.5], [0.5 + gap, 0.5 + gap]).p is None
    assert spread([0.9, 0.9, 0.9]).low is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    level, rejected = 0.05, set[int]()
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] * (len(p_values) - rank) >= level:
            break
        rejected.add(place)
    assert {place for place, p in enumerate(holm(p_values)) if p < level} == rejected


def test_the_estimate_of_seeds_has_the_power_that_it_promises() -> None:
    """Against the exact power of the paired t-test, by the noncentral t distribution."""
    found = paired([0.01, 0.03, -0.01, 0.02, 0.0, 0.04], [0.0] * 6)
    needed = seeds_needed(found)
    assert needed is not None
    assert found.sd is not None
    shift = found.mean / found.sd * math.sqrt(needed)
    critical = stats.t.ppf(0.975, needed - 1)
    assert 0.8 <= stats.nct.sf(critical, needed - 1, shift) < 0.9
