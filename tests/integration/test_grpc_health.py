"""The health service of a real gRPC server, over the loopback network."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.metrics.grpc_health import HEALTH_CHECK_METHOD, check_grpc_health

if os.environ.get("CI") == "true":
    import grpc
else:
    grpc = pytest.importorskip("grpc")

ANSWERS = {b"": b"\x08\x01", b"\x0a\x03bad": b"\x08\x02"}
HANGS = b"\x0a\x05hangs"


@pytest.fixture
def port() -> Iterator[int]:
    """A healthy server whose service ``bad`` is unhealthy and whose service ``hangs`` does not answer."""
    released = Event()

    def check(request: bytes, context: object) -> bytes:
        if request == HANGS:
            released.wait(30)
        if request not in ANSWERS:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown")  # type: ignore[attr-defined]  # grpcio has no hints
        return ANSWERS[request]

    service, method = HEALTH_CHECK_METHOD.strip("/").split("/")
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    handlers = {method: grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    chosen = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield chosen
    released.set()
    server.stop(None).wait(5)


def test_health_of_the_server_and_of_single_services(port: int) -> None:
    assert (check_grpc_health("127.0.0.1", port, "", timeout=20.0).value or 0.0) > 0.0
    bad = check_grpc_health("127.0.0.1", port, "bad", timeout=20.0)
    assert (bad.result, bad.detail) == (Result.FAILED, "the health service reports NOT_SERVING")
    assert check_grpc_health("127.0.0.1", port, "other", timeout=20.0).result is Result.ERROR


def test_a_request_has_a_deadline(port: int) -> None:
    assert check_grpc_health("127.0.0.1", port, "hangs", timeout=0.5).detail == "no answer within 0.5 s"


def test_a_refused_connection_is_a_failure(port: int) -> None:
    reading = check_grpc_health("127.0.0.1", 1, "", timeout=20.0)
    assert reading.result is Result.FAILED
    assert reading.detail.startswith("UNAVAILABLE")
