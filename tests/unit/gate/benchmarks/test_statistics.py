"""The statistics of pairs, against scipy, published values, and simulation with fixed seeds."""

import math
import random
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.gate.benchmarks.statistics import (
    UNKNOWN_INTERVAL,
    Interval,
    holm_adjusted,
    median_interval,
    median_ratio,
    missing_pairs_estimate,
    pair_ratios,
    rank_test,
)

positive = st.floats(min_value=1e-6, max_value=1e6)
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
"""Differences in height of crossed and self-fertilised maize (Darwin, 1876), the usual example of paired ranks."""


def test_a_ratio_is_target_by_baseline() -> None:
    """1.5: takes 50 % longer on the target."""
    assert pair_ratios([2.0, 4.0], [3.0, 2.0]) == [1.5, 0.5]


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_invalid_measurements_are_refused(wrong: float) -> None:
    """No measurement is zero."""
    with pytest.raises(ValueError, match="positive"):
        pair_ratios([1.0], [wrong])


@given(st.lists(positive, min_size=1, max_size=30))
def test_the_estimate_is_symmetric(found: list[float]) -> None:
    """Exchanged sides have the inverse ratio."""
    assert median_ratio([1 / ratio for ratio in found]) == pytest.approx(1 / median_ratio(found))


@pytest.mark.parametrize(
    ("count", "confidence", "rank"),
    # published tables of order statistics for the median (Conover, Practical Nonparametric Statistics, table A.3)
    [(6, 0.95, 1), (10, 0.95, 2), (15, 0.95, 4), (20, 0.95, 6), (25, 0.95, 8), (10, 0.99, 1), (20, 0.99, 4)],
)
def test_the_ranks_of_the_interval_match_published_tables(count: int, confidence: float, rank: int) -> None:
    """The r-th smallest and the r-th largest."""
    found = median_interval([float(value) for value in range(1, count + 1)], confidence)
    assert (found.low, found.high) == (rank, count + 1 - rank)
    assert found.confidence >= confidence


def test_too_few_pairs_have_no_interval() -> None:
    """Five pairs contain the median with 93.75 % at most."""
    assert median_interval([1.0] * 5, 0.95) is UNKNOWN_INTERVAL
    assert median_interval([1.0] * 5, 0.9375).confidence == 0.9375
    assert median_interval([], 0.95) is UNKNOWN_INTERVAL


@given(st.lists(positive, min_size=8, max_size=60), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_matches_scipy(sample: list[float], confidence: float) -> None:
    """scipy's has one side at a time; both together have twice its error."""
    from scipy.stats import quantile_test  # not at the top: each worker would import it to collect this file

    side = (1 + confidence) / 2
    sides: list[Any] = [quantile_test(sample, p=0.5, alternative=side_name) for side_name in ("greater", "less")]
    low, high = sides[0].confidence_interval(side).low, sides[1].confidence_interval(side).high
    interval = median_interval(sample, confidence)
    if math.isnan(low) or math.isnan(high):
        assert interval is UNKNOWN_INTERVAL
    else:
        assert (interval.low, interval.high) == (low, high)


def test_the_interval_has_its_nominal_coverage() -> None:
    """For a skewed, heavy-tailed distribution, 500 times 20 pairs."""
    source = random.Random(312)
    samples = [[math.exp(source.gauss(0, 0.1)) ** 3 for _ in range(20)] for _ in range(500)]
    intervals = [median_interval(found, 0.95) for found in samples]
    held = sum(interval.low <= 1.0 <= interval.high for interval in intervals) / 500
    assert held == pytest.approx(intervals[0].confidence, abs=0.02)


def test_the_rank_test_on_darwins_maize() -> None:
    """Published (Hollander and Wolfe): T+ = 96 of 120, one-sided exact p = 0.0206."""
    found = [math.exp(difference / 1000) for difference in DARWIN]
    assert rank_test(found, 1.0, above=True) == pytest.approx(0.0206, abs=5e-4)


@given(st.lists(st.floats(min_value=0.5, max_value=2.0), min_size=3, max_size=9, unique=True))
def test_the_rank_test_by_counting_all_signs(sample: list[float]) -> None:
    """By definition: how many of all 2^n signings have an equal or higher rank sum."""
    logs = [math.log(ratio) for ratio in sample]
    if 0.0 in logs or len({abs(value) for value in logs}) < len(logs):
        return  # ties are left to scipy
    order = sorted(logs, key=abs)
    seen = sum(rank for rank, value in enumerate(order, start=1) if value > 0)
    sums = [sum(rank for rank, up in enumerate(signs, start=1) if up) for signs in product((0, 1), repeat=len(order))]
    exact = sum(total >= seen for total in sums) / len(sums)
    assert rank_test(sample, 1.0, above=True) == pytest.approx(exact)


def test_the_edge_shifts_the_null_hypothesis() -> None:
    """20 % slower is beyond 10 %, and not beyond 20 %."""
    source = random.Random(39)
    found = [1.2 * math.exp(source.gauss(0, 0.02)) for _ in range(20)]
    assert rank_test(found, 1.10, above=True) < 1e-5
    assert rank_test(found, 1.20, above=True) > 0.05
    assert rank_test(found, 0.90, above=False) > 0.99
    assert rank_test([1.0] * 12, 1.0, above=True) == 1.0


def test_the_example_of_holm() -> None:
    """p-values 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02 (R: p.adjust(p, "holm"))."""
    adjusted = holm_adjusted({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == {"a": pytest.approx(0.03), "b": pytest.approx(0.06), "c": pytest.approx(0.06), "d": 0.02}
    assert holm_adjusted({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(min_value=0, max_value=1), max_size=12))
def test_adjusted_p_values_are_never_smaller(values: dict[str, float]) -> None:
    """And their order is the same."""
    adjusted = holm_adjusted(values)
    assert all(values[name] <= adjusted[name] <= 1.0 for name in values)
    ordered = sorted(values, key=lambda name: values[name])
    assert [adjusted[name] for name in ordered] == sorted(adjusted.values())


def test_half_the_width_needs_four_times_the_pairs() -> None:
    """An interval of +-8 % around 1 has to fit into +-4 %: 20 pairs become 80."""
    interval = Interval(low=1 / 1.04**2, high=1.04**2, confidence=0.99)
    assert missing_pairs_estimate(interval, 1.0, 20, (1 / 1.04, 1.04)) in (60, 61)
    assert missing_pairs_estimate(interval, 1.04, 20, (1 / 1.04, 1.04)) is None
    assert missing_pairs_estimate(UNKNOWN_INTERVAL, 1.0, 4, (0.9, 1.1)) == 8
