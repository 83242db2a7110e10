"""Conversion of readings to measurements."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.domain.measurements import MAX_DETAIL_LENGTH, Result
from pytest_py312.rollout.metrics.reading import MetricReading, single_line, to_measurement


@pytest.mark.parametrize(
    ("value", "success", "failure", "result"),
    [
        (0.005, "value < 0.01", "", Result.SUCCESSFUL),
        (0.5, "value < 0.01", "", Result.FAILED),
        (0.5, "", "value > 0.1", Result.FAILED),
        (0.05, "value < 0.01", "value > 0.1", Result.INCONCLUSIVE),
        (7.0, "", "", Result.SUCCESSFUL),
        (None, "value < 0.01", "", Result.INCONCLUSIVE),
        (None, "", "", Result.INCONCLUSIVE),
        (math.nan, "value < 0.01", "value >= 0", Result.INCONCLUSIVE),
        (math.nan, "", "", Result.INCONCLUSIVE),
    ],
)
def test_values_are_judged_by_conditions(value: float | None, success: str, failure: str, result: Result) -> None:
    """No data and NaN never count as a value."""
    made = to_measurement("errors", MetricReading(value=value), success=success, failure=failure)
    assert made.result is result
    assert made.value is None or not math.isnan(made.value)


def test_the_plan_decides_what_missing_data_means() -> None:
    assert to_measurement("errors", MetricReading(), missing="fail").result is Result.FAILED
    assert to_measurement("errors", MetricReading(), missing="pass").result is Result.SUCCESSFUL


def test_a_result_of_the_reading_overrides_conditions() -> None:
    made = to_measurement("errors", MetricReading.error("no Prometheus"), success="value < 1", missing="fail")
    assert (made.result, made.detail) == (Result.ERROR, "no Prometheus")


def test_a_failure_has_value_and_limits_in_its_detail() -> None:
    made = to_measurement(
        "errors", MetricReading(value=0.25, detail="sum(x)"), success="value < 0.01", failure="value > 0.2"
    )
    assert made.detail == "0.25 (success: value < 0.01; failure: value > 0.2) sum(x)"


@given(st.text(max_size=2000))
def test_details_are_one_printable_line(text: str) -> None:
    assert single_line(text).isprintable()
    assert len(single_line(text)) <= MAX_DETAIL_LENGTH
