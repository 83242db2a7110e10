"""What the health service of gRPC is asked, and what its answers mean."""

import sys

import pytest

from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.metrics.grpc_health import MISSING, ask_health, reading_in, refused, request_of


def test_the_question_is_one_field() -> None:
    assert request_of("") == b""
    assert request_of("orders.Orders") == b"\x0a\x0dorders.Orders"
    assert len(request_of("x" * 500)) == 129


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
def test_only_serving_is_well(body: object, result: Result) -> None:
    assert reading_in(body, 0.1).result is result
    assert reading_in(body, 0.1).value is None


def test_serving_is_as_quick_as_it_was() -> None:
    assert reading_in(b"\x08\x01", 0.1).value == 0.1


class Told(Exception):
    """As grpcio tells trouble."""

    def __init__(self, name: str) -> None:
        self.name = name

    def code(self) -> "Told":
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
def test_what_is_the_questions_fault_is_not_the_services(code: str, result: Result, detail: str) -> None:
    reading = refused(Told(code), 5.0)
    assert reading.result is result
    assert detail in reading.detail


def test_what_tells_nothing_is_a_failure() -> None:
    assert refused(ValueError("?"), 5.0).result is Result.FAILED


def test_without_the_library_nothing_is_said_about_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    reading = ask_health("127.0.0.1", 1, "", limit=1.0)
    assert (reading.result, reading.detail) == (Result.ERROR, MISSING)
