"""How fast an error budget burns."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.canary_analysis.error_budget import (
    MAX_CHANCE,
    REQUESTS_SUFFIX,
    ErrorBudget,
    describe_budget_burn,
    poisson_tail,
)
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp

BUDGET = ErrorBudget(share=0.001)


def metrics_of(*rows: tuple[float | None, float], also: str = "") -> ServiceMetrics:
    """Return the metrics of successive samples.

    :param rows: (share of errors, number of requests); ``None`` is no answer.
    :param also: a metric that has the same.
    """
    service_metrics = ServiceMetrics()
    for slot, (share, count) in enumerate(rows, start=1):
        at = Timestamp(wall=300.0 * slot, boottime=300.0 * slot, boot="b")
        measurements = (
            *share_and_count("errors", share, count),
            *(share_and_count(also, share, count) if also else ()),
        )
        service_metrics.add(Sample(service="user", slot=slot, at=at, measurements=measurements))
    return service_metrics


def share_and_count(metric: str, share: float | None, count: float) -> tuple[Measurement, ...]:
    if share is None:
        return (Measurement(metric=metric, result=Result.INCONCLUSIVE),)
    return (
        Measurement(metric=metric, result=Result.SUCCESSFUL, value=share),
        Measurement(metric=metric + REQUESTS_SUFFIX, result=Result.SUCCESSFUL, value=count),
    )


def budget_burn(service_metrics: ServiceMetrics, budget: ErrorBudget = BUDGET, interval: float = 300.0) -> str:
    return describe_budget_burn(service_metrics, "errors", budget, interval=interval, min_requests=50)


def test_five_of_a_hundred_burn_as_soon_as_the_hour_tells_it() -> None:
    """The hour before was clean: it takes twenty minutes until the errors within it are too many."""
    clean = [(0.0, 1000.0)] * 12
    assert budget_burn(metrics_of(*clean, *[(0.05, 1000.0)] * 3)) == ""
    assert budget_burn(metrics_of(*clean, *[(0.05, 1000.0)] * 4)) == (
        "the error budget of 0.001 burns 16.7 times too fast (50.0 just now)"
    )


def test_what_has_stopped_burns_no_more() -> None:
    assert budget_burn(metrics_of(*[(0.05, 1000.0)] * 12, (0.0, 1000.0))) == ""


@pytest.mark.parametrize("rows", [[(0.0, 1000.0)] * 12, [(0.01, 1000.0)] * 12, [], [(None, 0.0)] * 12])
def test_a_budget_that_is_kept_or_not_known_does_not_burn(rows: list[tuple[float | None, float]]) -> None:
    """Ten times too fast is too fast as well, but does not need a reaction at once."""
    assert budget_burn(metrics_of(*rows)) == ""


def test_one_error_of_few_requests_may_be_chance() -> None:
    assert budget_burn(metrics_of((1 / 60, 60.0))) == ""
    assert budget_burn(metrics_of((1 / 60, 60.0), (4 / 60, 60.0))) != ""
    assert budget_burn(metrics_of((0.5, 60.0))) == "", "one sample may have met with a moment that is over"
    assert budget_burn(metrics_of((0.5, 40.0))) == "", "fewer requests than min-requests prove nothing"


def test_nothing_was_measured_just_now() -> None:
    """An hour ago is no reason to act now."""
    assert budget_burn(metrics_of(*[(0.05, 1000.0)] * 11, (None, 0.0))) == ""


def test_what_burns_for_the_old_version_too_is_not_the_new_ones_doing() -> None:
    rows = [(0.05, 1000.0)] * 12
    assert budget_burn(metrics_of(*rows)) != ""
    assert budget_burn(metrics_of(*rows, also=CONTROL_PREFIX + "errors")) == ""


def test_samples_that_overlap_count_no_request_twice() -> None:
    """Each covers the five minutes before it, and one is taken every 100 s."""
    rows = [(3 / 60, 60.0)] * 4
    assert budget_burn(metrics_of(*rows), interval=100.0) != ""
    overlapping = ErrorBudget(share=0.001, window=300.0)
    assert budget_burn(metrics_of(*rows[1:]), overlapping, interval=100.0) == "", "of three, one counts"


def test_the_chance_of_so_many_errors() -> None:
    assert poisson_tail(0, 5.0) == 1.0
    assert poisson_tail(1, 0.0) == 0.0
    assert poisson_tail(1, 0.06) == pytest.approx(1 - math.exp(-0.06))
    assert poisson_tail(4, 0.05) < MAX_CHANCE < poisson_tail(2, 0.05)


@given(count=st.integers(1, 60), mean=st.floats(0.01, 50))
def test_it_is_a_probability_that_falls_with_more_errors(count: int, mean: float) -> None:
    assert 0.0 <= poisson_tail(count + 1, mean) <= poisson_tail(count, mean) <= 1.0
