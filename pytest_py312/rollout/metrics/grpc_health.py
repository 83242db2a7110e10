"""Client of the gRPC health service (``grpc.health.v1.Health/Check``): one deadline, a new connection per check.

Its two messages have one field each, so they are encoded and parsed here and need no generated code.
https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from typing import Any

from pytest_py312.core import clock
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.target_model import format_address
from pytest_py312.rollout.metrics.reading import MetricReading

HEALTH_CHECK_METHOD = "/grpc.health.v1.Health/Check"
MISSING_GRPC = "gRPC health checks need: pip install 'pytest-py312[grpc]'"
SERVING, NOT_SERVING = 1, 2
_CHANNEL_OPTIONS = (
    # a kept or shared connection would hide that the server no longer accepts connections
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
)


def check_grpc_health(host: str, port: int, service: str, *, timeout: float) -> MetricReading:
    """Return the seconds to the answer if that is SERVING. Blocks for at most about ``timeout`` seconds; never raises.

    :param service: name of the service on the server; empty for the server as a whole.
    """
    try:
        import grpc
    except ImportError:
        return MetricReading.error(MISSING_GRPC)
    started = clock.stopwatch()
    try:
        with grpc.insecure_channel(format_address(host, port), options=_CHANNEL_OPTIONS) as channel:
            body = channel.unary_unary(HEALTH_CHECK_METHOD)(encode_request(service), timeout=timeout)
    except grpc.RpcError as error:
        return reading_from_error(error, timeout)
    return parse_health_response(body, clock.stopwatch() - started)


def encode_request(service: str) -> bytes:
    """Encode a HealthCheckRequest: field 1 is the service, truncated to 127 bytes (the longest length of one byte)."""
    name = service.encode("utf-8", "replace")[:127]
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def parse_health_response(body: Any, seconds: float) -> MetricReading:
    """Parse a HealthCheckResponse: field 1 is the status, missing if it is 0. Pure."""
    if not isinstance(body, bytes) or (body and (len(body) < 2 or body[0] != 0x08)):
        return MetricReading.error("the health service sent an invalid answer")
    status = body[1] if body else 0
    if status == SERVING:
        return MetricReading(value=seconds)
    if status == NOT_SERVING:
        return MetricReading.failed("the health service reports NOT_SERVING")
    return MetricReading(
        result=Result.INCONCLUSIVE,
        detail=f"the health service reports status {status}, which is neither SERVING nor NOT_SERVING",
    )


def reading_from_error(error: Any, timeout: float) -> MetricReading:
    """Convert an error of grpcio: a failure of the service, or an error of the measurement."""
    code = str(getattr(error.code(), "name", "UNKNOWN")) if hasattr(error, "code") else "UNKNOWN"
    if code == "DEADLINE_EXCEEDED":
        return MetricReading.failed(f"no answer within {timeout:g} s")
    if code == "UNIMPLEMENTED":
        return MetricReading.error("the server has no health service (grpc.health.v1)")
    if code == "NOT_FOUND":
        return MetricReading.error("the health service has no service of that name")
    details = str(error.details()) if hasattr(error, "details") else ""
    return MetricReading.failed(f"{code}: {details}")
