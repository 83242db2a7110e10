"""Instant queries of a Prometheus server. An empty result is a reading without a value, never 0."""

import json
import math
from typing import Any

from pytest_py312.rollout.metrics.http_client import HttpResponse, NoResponse, RequestNotSent, http_request
from pytest_py312.rollout.metrics.reading import MetricReading


async def run_query(base_url: str, expression: str, *, timeout: float) -> MetricReading:
    """Query the current value of ``expression``.

    A server that does not answer or refuses the query gives an error reading, never a failure of the service.

    :param base_url: URL of the Prometheus server without ``/api``.
    """
    try:
        response = await http_request(
            f"{base_url.rstrip('/')}/api/v1/query", form={"query": expression}, timeout=timeout
        )
    except (NoResponse, RequestNotSent) as error:
        return MetricReading.error(f"Prometheus: {error}")
    return parse_query_response(response, expression)


def parse_query_response(response: HttpResponse, expression: str) -> MetricReading:
    """Return the value in a response of ``/api/v1/query``. Pure."""
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return MetricReading.error(f"Prometheus: HTTP {response.status} without JSON")
    if not isinstance(document, dict) or document.get("status") != "success":
        error_text = document.get("error", "") if isinstance(document, dict) else ""
        return MetricReading.error(f"Prometheus refuses {expression}: HTTP {response.status} {error_text}")
    data = document.get("data")
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind == "vector" and isinstance(result, list):
        if not result:
            return MetricReading(detail=f"no series: {expression}")
        if len(result) > 1:
            return MetricReading.error(f"the query returns {len(result)} series instead of one: {expression}")
        series = result[0]
        return _reading_from_sample(series.get("value") if isinstance(series, dict) else None, expression)
    if kind == "scalar":
        return _reading_from_sample(result, expression)
    return MetricReading.error(f"the query returns a {kind} instead of a number: {expression}")


def _reading_from_sample(timestamp_and_value: Any, expression: str) -> MetricReading:
    try:
        value = float(timestamp_and_value[1])
    except (TypeError, ValueError, IndexError, KeyError):
        return MetricReading.error(f"the query returns no number: {expression}")
    if math.isnan(value):  # 0/0: nothing was counted
        return MetricReading(detail=f"NaN: {expression}")
    return MetricReading(value=value, detail=expression)


def substitute_placeholders(expression: str, *, service: str, window: float) -> str:
    """Replace ``{service}`` and ``{window}``, which have no other meaning in a query."""
    quoted = service.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    return expression.replace("{service}", quoted).replace("{window}", f"{max(1, round(window))}s")
