"""What a Prometheus answers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.metrics.http_client import Answer
from pytest_py312.rollout.metrics.prometheus import filled_in, reading_in
from pytest_py312.rollout.metrics.reading import Reading


def answered(result: Any, *, kind: str = "vector", status: str = "success", code: int = 200) -> Reading:
    document = {"status": status, "data": {"resultType": kind, "result": result}, "error": "parse error"}
    return reading_in(Answer(status=code, seconds=0.1, body=json.dumps(document).encode()), "x")


def series(value: str) -> dict[str, Any]:
    return {"metric": {}, "value": [1.5, value]}


def test_one_series_is_a_number() -> None:
    assert answered([series("0.25")]).value == 0.25
    assert answered([1.5, "3"], kind="scalar").value == 3.0
    assert answered([series("+Inf")]).value == float("inf")


@pytest.mark.parametrize("result", [[], [series("NaN")]])
def test_nothing_counted_is_no_data(result: list[Any]) -> None:
    """The error ratio of a service without a single error is an empty vector, and 0/0 is "NaN"."""
    found = answered(result)
    assert (found.value, found.result) == (None, None)


def test_a_query_that_is_refused_is_an_error_of_ours() -> None:
    found = answered([], status="error", code=400)
    assert found.result is Result.ERROR
    assert "parse error" in found.detail


@pytest.mark.parametrize(
    ("result", "kind"),
    [([series("1"), series("2")], "vector"), ([], "matrix"), ("x", "string"), ([{}], "vector"), (None, "scalar")],
)
def test_what_is_no_single_number_is_an_error(result: Any, kind: str) -> None:
    assert answered(result, kind=kind).result is Result.ERROR


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "x"]), inner, max_size=2),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["vector", "scalar", "matrix"]))
def test_no_answer_is_too_odd(result: Any, kind: str) -> None:
    found = answered(result, kind=kind)
    assert found.value is None or found.result is None


@given(st.binary(max_size=60))
def test_what_is_no_json_is_an_error(body: bytes) -> None:
    assert reading_in(Answer(status=502, seconds=0.1, body=body), "x").result is Result.ERROR


def test_a_query_names_the_service_and_the_window() -> None:
    text = 'rate(errors{service="{service}"}[{window}])'
    assert filled_in(text, service='a"b', window=300) == 'rate(errors{service="a\\"b"}[300s])'
