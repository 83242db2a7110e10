"""From an answer to a measurement."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.metrics.reading import LONGEST_DETAIL, Reading, measured, one_line


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
def test_a_value_by_its_conditions(value: float | None, success: str, failure: str, result: Result) -> None:
    """No data, and 0/0, are never taken for a value."""
    made = measured("errors", Reading(value=value), success=success, failure=failure)
    assert made.result is result
    assert made.value is None or not math.isnan(made.value)


def test_what_no_data_means_is_for_the_plan_to_say() -> None:
    assert measured("errors", Reading(), missing="fail").result is Result.FAILED
    assert measured("errors", Reading(), missing="pass").result is Result.SUCCESSFUL


def test_an_error_of_the_measuring_goes_before_all_conditions() -> None:
    made = measured("errors", Reading.error("no Prometheus"), success="value < 1", missing="fail")
    assert (made.result, made.detail) == (Result.ERROR, "no Prometheus")


def test_a_failure_tells_its_value_and_its_limits() -> None:
    made = measured("errors", Reading(value=0.25, detail="sum(x)"), success="value < 0.01", failure="value > 0.2")
    assert made.detail == "0.25 (success: value < 0.01; failure: value > 0.2) sum(x)"


@given(st.text(max_size=2000))
def test_evidence_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()
    assert len(one_line(text)) <= LONGEST_DETAIL
