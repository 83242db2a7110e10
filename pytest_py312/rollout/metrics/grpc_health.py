"""``grpc.health.v1.Health/Check`` with one deadline, over a connection of its own.

Its two messages are one field each, so they are written and read here, and no generated code is needed beside grpcio.
https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from typing import Any

from pytest_py312.core import clock
from pytest_py312.rollout.domain.model import Result
from pytest_py312.rollout.metrics.reading import Reading

METHOD = "/grpc.health.v1.Health/Check"
MISSING = "asking over gRPC needs pytest-py312[grpc]"
SERVING, NOT_SERVING = 1, 2
_ALONE = (
    # a connection that is kept or shared hides that nobody listens any more
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
)


def ask_health(host: str, port: int, service: str, *, limit: float) -> Reading:
    """Seconds to the answer, where that is SERVING. Blocks for at most about ``limit`` seconds; never raises.

    :param service: as the server names it; empty is the server as a whole.
    """
    try:
        import grpc
    except ImportError:
        return Reading.error(MISSING)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    begun = clock.stopwatch()
    try:
        with grpc.insecure_channel(place, options=_ALONE) as channel:
            body = channel.unary_unary(METHOD)(request_of(service), timeout=limit)
    except grpc.RpcError as error:
        return refused(error, limit)
    return reading_in(body, clock.stopwatch() - begun)


def request_of(service: str) -> bytes:
    """A HealthCheckRequest: field 1 is the service. Names of 128 bytes and more are cut."""
    name = service.encode("utf-8", "replace")[:127]
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def reading_in(body: Any, seconds: float) -> Reading:
    """What a HealthCheckResponse says: field 1 is the status, and is left out where it is 0. Pure."""
    if not isinstance(body, bytes) or (body and (len(body) < 2 or body[0] != 0x08)):
        return Reading.error("its health service answers what is no health")
    status = body[1] if body else 0
    if status == SERVING:
        return Reading(value=seconds)
    if status == NOT_SERVING:
        return Reading.failed("its health service says NOT_SERVING")
    return Reading(result=Result.INCONCLUSIVE, detail=f"its health service says {status}, which is neither yes nor no")


def refused(error: Any, limit: float) -> Reading:
    """What an error says: whether it is the service's, or the question's."""
    code = str(getattr(error.code(), "name", "UNKNOWN")) if hasattr(error, "code") else "UNKNOWN"
    if code == "DEADLINE_EXCEEDED":
        return Reading.failed(f"no answer within {limit:g} s")
    if code == "UNIMPLEMENTED":
        return Reading.error("it has no health service (grpc.health.v1)")
    if code == "NOT_FOUND":
        return Reading.error("its health service knows no service of that name")
    details = str(error.details()) if hasattr(error, "details") else ""
    return Reading.failed(f"{code}: {details}")
