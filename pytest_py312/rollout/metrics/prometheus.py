"""Instant queries of a Prometheus. What it has no data for is no data, and never 0."""

import json
import math
from typing import Any

from pytest_py312.rollout.metrics.http_client import Answer, NoAnswer, NotAsked, ask
from pytest_py312.rollout.metrics.reading import Reading


async def query(address: str, expression: str, *, limit: float) -> Reading:
    """What ``expression`` is now, asked of the Prometheus at ``address`` (its URL, without ``/api``).

    Only an error where it does not answer, or refuses the query: neither is the service's doing.
    """
    try:
        answer = await ask(f"{address.rstrip('/')}/api/v1/query", form={"query": expression}, limit=limit)
    except (NoAnswer, NotAsked) as error:
        return Reading.error(f"Prometheus: {error}")
    return reading_in(answer, expression)


def reading_in(answer: Answer, expression: str) -> Reading:
    """The value in an answer of ``/api/v1/query``. Pure."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return Reading.error(f"Prometheus: HTTP {answer.status} without JSON")
    if not isinstance(document, dict) or document.get("status") != "success":
        said = document.get("error", "") if isinstance(document, dict) else ""
        return Reading.error(f"Prometheus refuses {expression}: HTTP {answer.status} {said}")
    data = document.get("data")
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind == "vector" and isinstance(result, list):
        if not result:
            return Reading(detail=f"no series: {expression}")
        if len(result) > 1:
            return Reading.error(f"{len(result)} series where one is asked for: {expression}")
        first = result[0]
        return _number(first.get("value") if isinstance(first, dict) else None, expression)
    if kind == "scalar":
        return _number(result, expression)
    return Reading.error(f"a {kind} where a number is asked for: {expression}")


def _number(pair: Any, expression: str) -> Reading:
    try:
        value = float(pair[1])
    except (TypeError, ValueError, IndexError, KeyError):
        return Reading.error(f"no number: {expression}")
    if math.isnan(value):  # 0/0: nothing was counted
        return Reading(detail=f"NaN: {expression}")
    return Reading(value=value, detail=expression)


def filled_in(expression: str, *, service: str, window: float) -> str:
    """``expression`` with its ``{service}`` and ``{window}``, neither of which is anything else in a query."""
    quoted = service.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    return expression.replace("{service}", quoted).replace("{window}", f"{max(1, round(window))}s")
