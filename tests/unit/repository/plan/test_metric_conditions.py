"""The conditions of a metric."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.metric_conditions import parse_condition
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.metrics.reading import judge_value


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("value < 0.01", 0.009, True),
        ("value < 0.01", 0.01, False),
        ("value >= 1 and value < 5", 1, True),
        ("value >= 1 and value < 5", 5, False),
        ("value == 1", 1.0, True),
        ("value != -1e3", -1000.0, False),
        ("value<=+2.5e0", 2.5, True),
    ],
)
def test_a_condition_compares_a_value_with_numbers(text: str, value: float, holds: bool) -> None:
    assert parse_condition(text).holds(value) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x < 1",
        "value < y",
        "value < 1 or value > 2",
        "__import__('os')",
        "value < 1 and",
        "value << 1",
        "value < 1" * 99,
    ],
)
def test_anything_else_is_no_condition(text: str) -> None:
    with pytest.raises(ValueError, match="is no condition"):
        parse_condition(text)


@given(st.text(max_size=60))
def test_no_text_is_run(text: str) -> None:
    """It is refused, or its text form is parsed to the same condition."""
    try:
        condition = parse_condition(text)
    except ValueError:
        return
    assert parse_condition(str(condition)) == condition


LOW, HIGH = parse_condition("value < 0.01"), parse_condition("value > 0.05")


@pytest.mark.parametrize(
    ("value", "missing", "result"),
    [
        (0.005, "inconclusive", Result.SUCCESSFUL),
        (0.03, "inconclusive", Result.INCONCLUSIVE),
        (0.06, "inconclusive", Result.FAILED),
        (None, "inconclusive", Result.INCONCLUSIVE),
        (math.nan, "inconclusive", Result.INCONCLUSIVE),
        (None, "fail", Result.FAILED),
        (None, "pass", Result.SUCCESSFUL),
    ],
)
def test_what_meets_neither_condition_is_inconclusive_and_no_data_is_never_nought(
    value: float | None, missing: str, result: Result
) -> None:
    assert judge_value(value, success=LOW, failure=HIGH, missing=missing) is result


def test_with_one_condition_the_rest_is_the_other() -> None:
    assert judge_value(0.03, success=LOW, failure=None, missing="fail") is Result.FAILED
    assert judge_value(0.03, success=None, failure=HIGH, missing="fail") is Result.SUCCESSFUL
    assert judge_value(0.03, success=None, failure=None, missing="fail") is Result.INCONCLUSIVE
