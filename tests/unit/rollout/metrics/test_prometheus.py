"""Responses of a Prometheus server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.metrics.http_client import HttpResponse
from pytest_py312.rollout.metrics.prometheus import parse_query_response, substitute_placeholders
from pytest_py312.rollout.metrics.reading import MetricReading


def answered(result: Any, *, kind: str = "vector", status: str = "success", code: int = 200) -> MetricReading:
    document = {"status": status, "data": {"resultType": kind, "result": result}, "error": "parse error"}
    return parse_query_response(HttpResponse(status=code, seconds=0.1, body=json.dumps(document).encode()), "x")


def series(value: str) -> dict[str, Any]:
    return {"metric": {}, "value": [1.5, value]}


def test_one_series_is_a_number() -> None:
    assert answered([series("0.25")]).value == 0.25
    assert answered([1.5, "3"], kind="scalar").value == 3.0
    assert answered([series("+Inf")]).value == float("inf")


@pytest.mark.parametrize("result", [[], [series("NaN")]])
def test_an_empty_result_is_no_data(result: list[Any]) -> None:
    """The error ratio of a service without a single error is an empty vector, and 0/0 is "NaN"."""
    found = answered(result)
    assert (found.value, found.result) == (None, None)


def test_a_refused_query_is_an_error_of_the_measurement() -> None:
    found = answered([], status="error", code=400)
    assert found.result is Result.ERROR
    assert "parse error" in found.detail


@pytest.mark.parametrize(
    ("result", "kind"),
    [([series("1"), series("2")], "vector"), ([], "matrix"), ("x", "string"), ([{}], "vector"), (None, "scalar")],
)
def test_a_result_other_than_one_number_is_an_error(result: Any, kind: str) -> None:
    assert answered(result, kind=kind).result is Result.ERROR


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "x"]), inner, max_size=2),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["vector", "scalar", "matrix"]))
def test_any_response_can_be_read(result: Any, kind: str) -> None:
    found = answered(result, kind=kind)
    assert found.value is None or found.result is None


@given(st.binary(max_size=60))
def test_invalid_json_is_an_error(body: bytes) -> None:
    assert parse_query_response(HttpResponse(status=502, seconds=0.1, body=body), "x").result is Result.ERROR


def test_placeholders_of_a_query_are_replaced() -> None:
    text = 'rate(errors{service="{service}"}[{window}])'
    assert substitute_placeholders(text, service='a"b', window=300) == 'rate(errors{service="a\\"b"}[300s])'
