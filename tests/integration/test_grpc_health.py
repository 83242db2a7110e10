"""The health service of a real gRPC server, asked over the network of this machine."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.metrics.grpc_health import METHOD, ask_health

if os.environ.get("CI") == "true":
    import grpc
else:
    grpc = pytest.importorskip("grpc")

ANSWERS = {b"": b"\x08\x01", b"\x0a\x03bad": b"\x08\x02"}
HANGS = b"\x0a\x05hangs"


@pytest.fixture
def port() -> Iterator[int]:
    """A server that is well as a whole, of which ``bad`` is not, and ``hangs`` does not answer."""
    released = Event()

    def check(request: bytes, context: object) -> bytes:
        if request == HANGS:
            released.wait(30)
        if request not in ANSWERS:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown")  # type: ignore[attr-defined]  # grpcio has no hints
        return ANSWERS[request]

    service, method = METHOD.strip("/").split("/")
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    handlers = {method: grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    chosen = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield chosen
    released.set()
    server.stop(None).wait(5)


def test_a_server_is_asked_as_a_whole_and_by_its_services(port: int) -> None:
    assert (ask_health("127.0.0.1", port, "", limit=20.0).value or 0.0) > 0.0
    bad = ask_health("127.0.0.1", port, "bad", limit=20.0)
    assert (bad.result, bad.detail) == (Result.FAILED, "its health service says NOT_SERVING")
    assert ask_health("127.0.0.1", port, "other", limit=20.0).result is Result.ERROR


def test_one_that_does_not_answer_has_a_deadline(port: int) -> None:
    assert ask_health("127.0.0.1", port, "hangs", limit=0.5).detail == "no answer within 0.5 s"


def test_where_nobody_listens_it_is_not_available(port: int) -> None:
    reading = ask_health("127.0.0.1", 1, "", limit=20.0)
    assert reading.result is Result.FAILED
    assert reading.detail.startswith("UNAVAILABLE")
