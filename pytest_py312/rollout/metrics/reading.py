"""Readings of metrics, and their conversion to measurements by the conditions of the plan. Pure."""

import math
from dataclasses import dataclass

from pytest_py312.repository.plan.metric_conditions import MetricCondition, parse_condition
from pytest_py312.rollout.domain.measurements import MAX_DETAIL_LENGTH, Measurement, Result


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricReading:
    """Result of reading a metric once. With neither ``value`` nor ``result`` there is no data, which never counts as 0.

    ``result`` is set if the outcome does not depend on conditions, for example when the service did not answer.
    """

    value: float | None = None
    result: Result | None = None
    detail: str = ""

    @classmethod
    def error(cls, detail: str) -> "MetricReading":
        """Return the reading of a metric that could not be measured, which says nothing about the service."""
        return cls(result=Result.ERROR, detail=detail)

    @classmethod
    def failed(cls, detail: str) -> "MetricReading":
        """Return the reading of a service that failed."""
        return cls(result=Result.FAILED, detail=detail)


def to_measurement(
    metric: str, reading: MetricReading, *, success: str = "", failure: str = "", missing: str = "inconclusive"
) -> Measurement:
    """Convert a reading by the given conditions. Without conditions every value is successful and only recorded."""
    detail = single_line(reading.detail)
    value = None if reading.value is None or math.isnan(reading.value) else reading.value
    if reading.result is not None:
        return Measurement(metric=metric, result=reading.result, value=value, detail=detail)
    if value is None:
        result = judge_value(None, success=None, failure=None, missing=missing)
        return Measurement(metric=metric, result=result, detail=detail or "no data")
    if not success and not failure:
        return Measurement(metric=metric, result=Result.SUCCESSFUL, value=value, detail=detail)
    result = judge_value(
        value,
        success=parse_condition(success) if success else None,
        failure=parse_condition(failure) if failure else None,
        missing=missing,
    )
    if result is not Result.SUCCESSFUL:
        limits = "; ".join(
            f"{name}: {condition}" for name, condition in (("success", success), ("failure", failure)) if condition
        )
        detail = single_line(f"{value:.6g} ({limits}) {detail}")
    return Measurement(metric=metric, result=result, value=value, detail=detail)


def single_line(text: str) -> str:
    """Return ``text`` as one line without control characters, at most ``MAX_DETAIL_LENGTH`` characters long."""
    plain = "".join(character if character.isprintable() else " " for character in text[: 4 * MAX_DETAIL_LENGTH])
    return " ".join(plain.split())[:MAX_DETAIL_LENGTH]


def judge_value(
    value: float | None, *, success: MetricCondition | None, failure: MetricCondition | None, missing: str
) -> Result:
    """Judge a value: the failure condition is checked first, and a value that meets neither is inconclusive.

    If only one condition is given, a value that does not meet it has the opposite result. A missing value or NaN gets
    the result named by ``missing``: ``inconclusive``, ``fail`` or ``pass``.
    """
    if value is None or math.isnan(value):
        return {"fail": Result.FAILED, "pass": Result.SUCCESSFUL}.get(missing, Result.INCONCLUSIVE)
    if failure is not None and failure.holds(value):
        return Result.FAILED
    if success is not None and success.holds(value):
        return Result.SUCCESSFUL
    if failure is None:
        return Result.FAILED if success is not None else Result.INCONCLUSIVE
    return Result.SUCCESSFUL if success is None else Result.INCONCLUSIVE
