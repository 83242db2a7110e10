"""The new version compared with the control."""

import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.canary_analysis.statistics import (
    compare,
    effective_sample_share,
    interim_analysis_points,
    judge_interim,
    mann_whitney,
    pair_by_slot,
    theil_sen_slope,
)
from pytest_py312.rollout.domain.model import Verdict

SETTINGS = CompareSettings()


def pairs(count: int, ratio: float, seed: int = 1) -> list[tuple[float, float]]:
    """Return latencies that scatter by a tenth."""
    drawn = random.Random(seed)
    return [(drawn.gauss(100, 10), drawn.gauss(100 * ratio, 10)) for _ in range(count)]


values = st.lists(st.integers(0, 12).map(float), min_size=8, max_size=40)


@given(values, values, st.booleans())
def test_the_rank_test_is_that_of_scipy(old: list[float], new: list[float], above: bool) -> None:
    """Including ties."""
    if len({*old, *new}) == 1:
        assert mann_whitney(old, new, above=above) == 1.0
        return
    from scipy.stats import mannwhitneyu  # not at the top: each worker would import it to collect this file

    asked = partial(mannwhitneyu, method="asymptotic")
    expected = asked(new, old, alternative="greater" if above else "less").pvalue
    assert mann_whitney(old, new, above=above) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(
    st.lists(
        st.tuples(st.integers(0, 99).map(float), st.integers(-99, 99).map(float)),
        min_size=2,
        max_size=12,
        unique_by=lambda p: p[0],
    )
)
def test_the_slope_is_that_of_scipy(points: list[tuple[float, float]]) -> None:
    from scipy.stats import theilslopes

    expected = theilslopes([y for _, y in points], [x for x, _ in points])[0]
    assert theil_sen_slope(points) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_points_that_resemble_their_neighbours_count_for_less() -> None:
    alone = pairs(200, 1.0)
    assert effective_sample_share(alone) > 0.7
    assert effective_sample_share([pair for pair in alone for _ in range(10)]) < 0.1
    assert effective_sample_share([(100.0, 120.0)] * 50) == 1.0
    few = [(100.0 + number, 130.0 + number) for number in range(10)]
    old, new = [pair[0] for pair in few], [pair[1] for pair in few]
    assert mann_whitney(old, new, above=True) < mann_whitney(old, new, above=True, sample_share=0.2)


def test_one_jump_is_no_slope() -> None:
    assert theil_sen_slope([(float(hour), 100.0 if hour < 3 else 180.0) for hour in range(12)]) == 0.0
    assert theil_sen_slope([(float(hour), 100.0 + 5 * hour) for hour in range(12)]) == 5.0
    assert theil_sen_slope([]) == 0.0


def test_only_the_same_moments_are_compared() -> None:
    assert pair_by_slot({1: 10.0, 2: 20.0, 4: 40.0}, {2: 22.0, 3: 33.0, 4: 44.0}) == [(20.0, 22.0), (40.0, 44.0)]


def test_half_as_much_again_is_found() -> None:
    found = compare(pairs(36, 1.5), SETTINGS)
    assert found.verdict is Verdict.FAILED
    assert found.ratio == pytest.approx(1.5, abs=0.1)
    assert "1.25 is allowed" in found.reason


def test_a_change_that_is_certain_but_small_passes() -> None:
    found = compare(pairs(500, 1.1), SETTINGS)
    assert (found.verdict, found.p_value < 1e-9) == (Verdict.PASSED, True)


def test_a_change_that_is_large_and_may_be_luck_is_not_decided() -> None:
    drawn = random.Random(1)
    scattered = [(drawn.lognormvariate(0, 3), drawn.lognormvariate(0.25, 3)) for _ in range(36)]
    found = compare(scattered, SETTINGS)
    assert found.ratio > 1.25
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "may be chance" in found.reason


def test_too_few_points_tell_nothing() -> None:
    found = compare(pairs(35, 3.0), SETTINGS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "35 points of both versions; 36 are needed"


def test_the_direction_for_the_worse() -> None:
    fewer = pairs(60, 0.5)
    assert compare(fewer, SETTINGS).verdict is Verdict.PASSED
    assert compare(fewer, SETTINGS, direction="decrease").verdict is Verdict.FAILED
    assert compare(fewer, SETTINGS, direction="either").verdict is Verdict.FAILED
    assert compare(pairs(60, 2.0), SETTINGS, direction="either").verdict is Verdict.FAILED


def test_nothing_against_nothing_is_the_same() -> None:
    assert compare([(0.0, 0.0)] * 40, SETTINGS).verdict is Verdict.PASSED
    assert compare([(0.0, 5.0)] * 40, SETTINGS).verdict is Verdict.FAILED


def test_one_look_is_not_enough() -> None:
    assert interim_analysis_points(60, SETTINGS) == [36, 48, 60]
    bad = pairs(60, 1.6)
    assert judge_interim(bad[:35], SETTINGS).verdict is Verdict.INCONCLUSIVE
    assert judge_interim(bad[:36], SETTINGS).verdict is Verdict.PENDING
    assert judge_interim(bad[:48], SETTINGS).verdict is Verdict.FAILED


def test_the_verdict_of_two_interim_analyses_is_final() -> None:
    """Another process that looks later comes to the same result from the same points."""
    assert judge_interim([*pairs(48, 1.6), *pairs(200, 1.0)], SETTINGS).verdict is Verdict.FAILED
    assert judge_interim(pairs(200, 1.0), SETTINGS).verdict is Verdict.PASSED
