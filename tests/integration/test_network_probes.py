"""HTTP, TCP and Prometheus probes against real sockets."""

import asyncio
import json
import socket

import pytest

from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.domain.measurements import Measurement, Result, Timestamp
from pytest_py312.rollout.monitoring.probes import (
    AVAILABILITY,
    LATENCY,
    AddressLookup,
    HttpProbe,
    Probe,
    PrometheusProbe,
    TcpProbe,
)
from pytest_py312.rollout.targets.target import ServiceUnreachable, TargetRefused, TargetUnavailable
from tests.integration.local_servers import OK, Handler, answer_slowly, answer_with, listening, never_answer, request_on

NOW = Timestamp(wall=1e9, boottime=1.0, boot="b")
REFUSED = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
BROKEN = b"\x00\x01not HTTP\r\n\r\n"
HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
REDIRECTED = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"


def measured(probe: Probe) -> dict[str, Measurement]:
    return {measurement.metric: measurement for measurement in asyncio.run(probe.measure(None, NOW))}


def at(port: int) -> AddressLookup:
    return lambda: ("127.0.0.1", port)


def measure_http(handler: Handler, limit: float = 10.0) -> dict[str, Measurement]:
    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(handler) as port:
            return await HttpProbe(address=at(port), path="/health", timeout=limit).measure(None, NOW)

    return {measurement.metric: measurement for measurement in asyncio.run(all_of_it())}


def unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.mark.parametrize("answer", [OK, HUGE, REDIRECTED])
def test_an_answer_in_time_gives_availability_and_latency(answer: bytes) -> None:
    measurements = measure_http(answer_with(answer))
    assert {name: measurement.result for name, measurement in measurements.items()} == {
        AVAILABILITY: Result.SUCCESSFUL,
        LATENCY: Result.SUCCESSFUL,
    }
    assert measurements[LATENCY].value is not None


@pytest.mark.parametrize("handler", [answer_slowly, never_answer])
def test_the_deadline_covers_the_whole_answer(handler: Handler) -> None:
    """A slow answer passes every limit on single reads; it is still a failure, and does not hang."""
    measurements = measure_http(handler, limit=0.3)
    assert measurements[AVAILABILITY].result is Result.FAILED
    assert "within 0.3 s" in measurements[AVAILABILITY].detail


@pytest.mark.parametrize(("answer", "detail"), [(REFUSED, "HTTP 503"), (BROKEN, "/health"), (b"", "/health")])
def test_a_bad_answer_is_a_failure(answer: bytes, detail: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    measurements = measure_http(handler)
    assert measurements[AVAILABILITY].result is Result.FAILED
    assert detail in measurements[AVAILABILITY].detail


def test_a_refused_connection_is_a_failure() -> None:
    port = unused_port()
    for probe in (HttpProbe(address=at(port), path="/"), TcpProbe(address=at(port))):
        assert measured(probe)[AVAILABILITY].result is Result.FAILED


def test_an_unknown_host_name_is_an_error() -> None:
    nowhere: AddressLookup = lambda: ("no-such-host.invalid", 80)  # noqa: E731  # an address is a function
    for probe in (HttpProbe(address=nowhere, path="/"), TcpProbe(address=nowhere)):
        assert measured(probe)[AVAILABILITY].result is Result.ERROR


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (TargetUnavailable("the engine is away"), Result.ERROR),
        (TargetRefused("it does not run"), Result.FAILED),
        (ServiceUnreachable("its network is not one of this machine's"), Result.INCONCLUSIVE),
    ],
)
def test_an_unreachable_engine_is_no_service_failure(error: Exception, result: Result) -> None:
    def address() -> tuple[str, int]:
        raise error

    for probe in (HttpProbe(address=address, path="/"), TcpProbe(address=address)):
        assert measured(probe)[AVAILABILITY].result is result


def test_no_connection_is_kept_between_samples() -> None:
    """A kept connection still answers where nothing listens any more."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answer_with(OK)(reader, writer)

    async def three_times() -> None:
        async with listening(handler) as port:
            for _ in range(3):
                await HttpProbe(address=at(port), path="/").measure(None, NOW)

    asyncio.run(three_times())
    assert connections == 3


def test_a_listening_port_accepts_connections() -> None:
    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(never_answer) as port:
            return await TcpProbe(address=at(port)).measure(None, NOW)

    assert [measurement.result for measurement in asyncio.run(all_of_it())] == [Result.SUCCESSFUL]


def test_a_metric_of_the_plan_applies_to_the_latency() -> None:
    metric = MetricSettings(name="slow", provider="http", query="/", failure="value > 100")

    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(answer_with(OK)) as port:
            return await HttpProbe(address=at(port), path="/", metric=metric).measure(None, NOW)

    assert [(measurement.metric, measurement.result) for measurement in asyncio.run(all_of_it())] == [
        ("slow", Result.SUCCESSFUL)
    ]


def test_an_unreachable_prometheus_is_an_error() -> None:
    metric = MetricSettings(name="errors", provider="prometheus", query="x", failure="value > 1")
    probe = PrometheusProbe(base_url=f"http://127.0.0.1:{unused_port()}", metric=metric, service="user", missing="fail")
    assert measured(probe)["errors"].result is Result.ERROR


@pytest.mark.parametrize(
    ("requests", "result"),
    [("60", Result.FAILED), ("3", Result.INCONCLUSIVE), (None, Result.INCONCLUSIVE), ("refused", Result.ERROR)],
)
def test_a_rate_of_few_requests_is_inconclusive(requests: str | None, result: Result) -> None:
    """Half of two requests is no evidence about all requests."""
    metric = MetricSettings(
        name="errors", provider="prometheus", query="ratio", requests="count", success="value < 0.01", budget=0.001
    )

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = (await request_on(reader)).rpartition(b"query=")[2]
        value = "0.5" if query == b"ratio" else requests
        series = [] if value is None else [{"metric": {}, "value": [1.0, value]}]
        good = {"status": "success", "data": {"resultType": "vector", "result": series}}
        body = json.dumps(good if value != "refused" else {"status": "error", "error": "no"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(handler) as port:
            address = f"http://127.0.0.1:{port}"
            probe = PrometheusProbe(base_url=address, metric=metric, service="user", min_requests=50)
            return await probe.measure(None, NOW)

    first, *request_counts = asyncio.run(all_of_it())
    assert first.result is result
    # the number of requests, for the error budget
    assert [(measurement.metric, measurement.value) for measurement in request_counts] == (
        [("errors requests", 60.0)] if requests == "60" else []
    )
