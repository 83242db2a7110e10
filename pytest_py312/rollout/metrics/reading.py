"""What a provider has read, and the measurement that it makes by the conditions of the plan. Pure."""

import math
from dataclasses import dataclass

from pytest_py312.repository.plan.metric_conditions import Condition, parse_condition
from pytest_py312.rollout.domain.model import Measurement, Result

LONGEST_DETAIL = 300
"""Characters of evidence: what the journal keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One answer. Neither ``value`` nor ``result`` is the lack of data, which is never taken for 0.

    ``result`` is set where the answer settles it by itself: nobody answered, or the asking went wrong.
    """

    value: float | None = None
    result: Result | None = None
    detail: str = ""

    @classmethod
    def error(cls, detail: str) -> "Reading":
        """It could not be measured; says nothing about the service."""
        return cls(result=Result.ERROR, detail=detail)

    @classmethod
    def failed(cls, detail: str) -> "Reading":
        """The service does not do what it has to."""
        return cls(result=Result.FAILED, detail=detail)


def measured(
    metric: str, reading: Reading, *, success: str = "", failure: str = "", missing: str = "inconclusive"
) -> Measurement:
    """What ``reading`` means by the conditions. Without any condition each value is a success: it is recorded."""
    detail = one_line(reading.detail)
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
        detail = one_line(f"{value:.6g} ({limits}) {detail}")
    return Measurement(metric=metric, result=result, value=value, detail=detail)


def one_line(text: str) -> str:
    """``text`` as evidence: one line without control characters, not longer than :data:`LONGEST_DETAIL`."""
    plain = "".join(character if character.isprintable() else " " for character in text[: 4 * LONGEST_DETAIL])
    return " ".join(plain.split())[:LONGEST_DETAIL]


def judge_value(value: float | None, *, success: Condition | None, failure: Condition | None, missing: str) -> Result:
    """What a value says: a failure goes before a success, and what meets neither is inconclusive.

    With one condition alone, what does not meet it is the other. No value, or one that is no number, is what
    ``missing`` says: ``inconclusive``, ``fail`` or ``pass``.
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
