"""Requests and responses of the gRPC health service."""

import sys

import pytest

from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.metrics.grpc_health import (
    MISSING_GRPC,
    check_grpc_health,
    encode_request,
    parse_health_response,
    reading_from_error,
)


def test_the_request_is_one_field() -> None:
    assert encode_request("") == b""
    assert encode_request("orders.Orders") == b"\x0a\x0dorders.Orders"
    assert len(encode_request("x" * 500)) == 129


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"\x08\x02", Result.FAILED),
        (b"", Result.INCONCLUSIVE),
        (b"\x08\x03", Result.INCONCLUSIVE),
        (b"\x08", Result.ERROR),
        (b"\x12\x01", Result.ERROR),
        (None, Result.ERROR),
    ],
)
def test_only_serving_is_healthy(body: object, result: Result) -> None:
    assert parse_health_response(body, 0.1).result is result
    assert parse_health_response(body, 0.1).value is None


def test_the_value_is_the_latency() -> None:
    assert parse_health_response(b"\x08\x01", 0.1).value == 0.1


class FakeRpcError(Exception):
    """An error of grpcio."""

    def __init__(self, name: str) -> None:
        self.name = name

    def code(self) -> "FakeRpcError":
        return self

    def details(self) -> str:
        return "because"


@pytest.mark.parametrize(
    ("code", "result", "detail"),
    [
        ("DEADLINE_EXCEEDED", Result.FAILED, "no answer within 5 s"),
        ("UNAVAILABLE", Result.FAILED, "UNAVAILABLE: because"),
        ("UNIMPLEMENTED", Result.ERROR, "no health service"),
        ("NOT_FOUND", Result.ERROR, "no service of that name"),
    ],
)
def test_errors_of_the_request_are_no_failures_of_the_service(code: str, result: Result, detail: str) -> None:
    reading = reading_from_error(FakeRpcError(code), 5.0)
    assert reading.result is result
    assert detail in reading.detail


def test_an_unknown_error_is_a_failure() -> None:
    assert reading_from_error(ValueError("?"), 5.0).result is Result.FAILED


def test_without_grpcio_the_reading_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    reading = check_grpc_health("127.0.0.1", 1, "", timeout=1.0)
    assert (reading.result, reading.detail) == (Result.ERROR, MISSING_GRPC)
