"""How fast an error budget burns."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.canary_analysis.error_budget import LUCK, REQUESTS, Budget, burning, chance_of
from pytest_py312.rollout.canary_analysis.time_series import OLD, Tally
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample

BUDGET = Budget(share=0.001)


def tally_of(*rows: tuple[float | None, float], also: str = "") -> Tally:
    """A tally of samples one after another.

    :param rows: (share of errors, number of requests); ``None`` is no answer.
    :param also: a metric that has the same.
    """
    tally = Tally()
    for slot, (share, count) in enumerate(rows, start=1):
        at = Moment(wall=300.0 * slot, boottime=300.0 * slot, boot="b")
        measurements = (*one("errors", share, count), *(one(also, share, count) if also else ()))
        tally.add(Sample(service="user", slot=slot, at=at, measurements=measurements))
    return tally


def one(metric: str, share: float | None, count: float) -> tuple[Measurement, ...]:
    if share is None:
        return (Measurement(metric=metric, result=Result.INCONCLUSIVE),)
    return (
        Measurement(metric=metric, result=Result.SUCCESSFUL, value=share),
        Measurement(metric=metric + REQUESTS, result=Result.SUCCESSFUL, value=count),
    )


def told(tally: Tally, budget: Budget = BUDGET, interval: float = 300.0) -> str:
    return burning(tally, "errors", budget, interval=interval, min_requests=50)


def test_five_of_a_hundred_burn_as_soon_as_the_hour_tells_it() -> None:
    """The hour before was clean: it takes twenty minutes until what was burnt in it is too much."""
    clean = [(0.0, 1000.0)] * 12
    assert told(tally_of(*clean, *[(0.05, 1000.0)] * 3)) == ""
    assert told(tally_of(*clean, *[(0.05, 1000.0)] * 4)) == (
        "the error budget of 0.001 burns 16.7 times too fast (50.0 just now)"
    )


def test_what_has_stopped_burns_no_more() -> None:
    assert told(tally_of(*[(0.05, 1000.0)] * 12, (0.0, 1000.0))) == ""


@pytest.mark.parametrize("rows", [[(0.0, 1000.0)] * 12, [(0.01, 1000.0)] * 12, [], [(None, 0.0)] * 12])
def test_a_budget_that_is_kept_or_not_known_does_not_burn(rows: list[tuple[float | None, float]]) -> None:
    """Ten times too fast is too fast as well, but not so fast that nobody may wait."""
    assert told(tally_of(*rows)) == ""


def test_one_error_of_few_requests_may_be_chance() -> None:
    assert told(tally_of((1 / 60, 60.0))) == ""
    assert told(tally_of((1 / 60, 60.0), (4 / 60, 60.0))) != ""
    assert told(tally_of((0.5, 60.0))) == "", "one sample may have met with a moment that is over"
    assert told(tally_of((0.5, 40.0))) == "", "of fewer than min-requests nothing is said"


def test_nothing_was_told_just_now() -> None:
    """An hour ago is no reason to act now."""
    assert told(tally_of(*[(0.05, 1000.0)] * 11, (None, 0.0))) == ""


def test_what_burns_for_the_old_version_too_is_not_the_new_ones_doing() -> None:
    rows = [(0.05, 1000.0)] * 12
    assert told(tally_of(*rows)) != ""
    assert told(tally_of(*rows, also=OLD + "errors")) == ""


def test_samples_that_overlap_count_no_request_twice() -> None:
    """Each tells of the five minutes before it, and one is taken every 100 s."""
    rows = [(3 / 60, 60.0)] * 4
    assert told(tally_of(*rows), interval=100.0) != ""
    overlapping = Budget(share=0.001, window=300.0)
    assert told(tally_of(*rows[1:]), overlapping, interval=100.0) == "", "of three, one counts"


def test_the_chance_of_so_many_errors() -> None:
    assert chance_of(0, 5.0) == 1.0
    assert chance_of(1, 0.0) == 0.0
    assert chance_of(1, 0.06) == pytest.approx(1 - math.exp(-0.06))
    assert chance_of(4, 0.05) < LUCK < chance_of(2, 0.05)


@given(count=st.integers(1, 60), mean=st.floats(0.01, 50))
def test_it_is_a_probability_that_falls_with_more_errors(count: int, mean: float) -> None:
    assert 0.0 <= chance_of(count + 1, mean) <= chance_of(count, mean) <= 1.0
