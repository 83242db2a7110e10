"""Probes against real sockets."""

import asyncio
import json
import socket

import pytest

from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.domain.model import Measurement, Moment, Result
from pytest_py312.rollout.monitoring.probes import (
    AVAILABILITY,
    LATENCY,
    Address,
    HttpProbe,
    Probe,
    PrometheusProbe,
    TcpProbe,
)
from pytest_py312.rollout.targets.target import TargetLost, TargetRefused, TargetUnreachable
from tests.integration.local_servers import OK, Handler, listening, never_answers, request_on, says, trickles

NOW = Moment(wall=1e9, boottime=1.0, boot="b")
REFUSED = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
BROKEN = b"\x00\x01not HTTP\r\n\r\n"
HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
REDIRECTED = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"


def measured(probe: Probe) -> dict[str, Measurement]:
    return {one.metric: one for one in asyncio.run(probe.measure(None, NOW))}


def at(port: int) -> Address:
    return lambda: ("127.0.0.1", port)


def asked(handler: Handler, limit: float = 10.0) -> dict[str, Measurement]:
    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(handler) as port:
            return await HttpProbe(address=at(port), path="/health", limit=limit).measure(None, NOW)

    return {one.metric: one for one in asyncio.run(all_of_it())}


def unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.mark.parametrize("answer", [OK, HUGE, REDIRECTED])
def test_an_answer_in_time_is_availability_and_latency(answer: bytes) -> None:
    found = asked(says(answer))
    assert {name: one.result for name, one in found.items()} == {
        AVAILABILITY: Result.SUCCESSFUL,
        LATENCY: Result.SUCCESSFUL,
    }
    assert found[LATENCY].value is not None


@pytest.mark.parametrize("handler", [trickles, never_answers])
def test_the_deadline_is_for_the_whole_answer(handler: Handler) -> None:
    """An answer that trickles passes every limit on single reads; it is a failure all the same, not a hang."""
    found = asked(handler, limit=0.3)
    assert found[AVAILABILITY].result is Result.FAILED
    assert "within 0.3 s" in found[AVAILABILITY].detail


@pytest.mark.parametrize(("answer", "told"), [(REFUSED, "HTTP 503"), (BROKEN, "/health"), (b"", "/health")])
def test_what_is_no_good_answer_is_a_failure(answer: bytes, told: str) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    found = asked(handler)
    assert found[AVAILABILITY].result is Result.FAILED
    assert told in found[AVAILABILITY].detail


def test_where_nobody_listens_is_a_failure() -> None:
    port = unused_port()
    for probe in (HttpProbe(address=at(port), path="/"), TcpProbe(address=at(port))):
        assert measured(probe)[AVAILABILITY].result is Result.FAILED


def test_a_name_that_is_not_known_here_says_nothing_about_the_service() -> None:
    nowhere: Address = lambda: ("no-such-host.invalid", 80)  # noqa: E731  # an address is a function
    for probe in (HttpProbe(address=nowhere, path="/"), TcpProbe(address=nowhere)):
        assert measured(probe)[AVAILABILITY].result is Result.ERROR


@pytest.mark.parametrize(
    ("trouble", "result"),
    [
        (TargetLost("the engine is away"), Result.ERROR),
        (TargetRefused("it does not run"), Result.FAILED),
        (TargetUnreachable("its network is not one of this machine's"), Result.INCONCLUSIVE),
    ],
)
def test_an_engine_that_is_away_is_not_a_service_that_is_down(trouble: Exception, result: Result) -> None:
    def address() -> tuple[str, int]:
        raise trouble

    for probe in (HttpProbe(address=address, path="/"), TcpProbe(address=address)):
        assert measured(probe)[AVAILABILITY].result is result


def test_no_connection_is_kept_between_samples() -> None:
    """One that is kept answers on where nobody listens any more."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await says(OK)(reader, writer)

    async def three_times() -> None:
        async with listening(handler) as port:
            for _ in range(3):
                await HttpProbe(address=at(port), path="/").measure(None, NOW)

    asyncio.run(three_times())
    assert connections == 3


def test_a_listener_takes_connections() -> None:
    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(never_answers) as port:
            return await TcpProbe(address=at(port)).measure(None, NOW)

    assert [one.result for one in asyncio.run(all_of_it())] == [Result.SUCCESSFUL]


def test_a_metric_of_the_plan_judges_the_latency() -> None:
    metric = MetricSettings(name="slow", provider="http", query="/", failure="value > 100")

    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(says(OK)) as port:
            return await HttpProbe(address=at(port), path="/", metric=metric).measure(None, NOW)

    assert [(one.metric, one.result) for one in asyncio.run(all_of_it())] == [("slow", Result.SUCCESSFUL)]


def test_a_prometheus_that_is_away_is_an_error() -> None:
    metric = MetricSettings(name="errors", provider="prometheus", query="x", failure="value > 1")
    probe = PrometheusProbe(address=f"http://127.0.0.1:{unused_port()}", metric=metric, service="user", missing="fail")
    assert measured(probe)["errors"].result is Result.ERROR


@pytest.mark.parametrize(
    ("requests", "result"),
    [("60", Result.FAILED), ("3", Result.INCONCLUSIVE), (None, Result.INCONCLUSIVE), ("refused", Result.ERROR)],
)
def test_a_rate_of_few_requests_says_nothing(requests: str | None, result: Result) -> None:
    """Half of two requests fail: that is no half of all."""
    metric = MetricSettings(
        name="errors", provider="prometheus", query="ratio", requests="count", success="value < 0.01", budget=0.001
    )

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await request_on(reader)).rpartition(b"query=")[2]
        value = "0.5" if asked == b"ratio" else requests
        series = [] if value is None else [{"metric": {}, "value": [1.0, value]}]
        good = {"status": "success", "data": {"resultType": "vector", "result": series}}
        body = json.dumps(good if value != "refused" else {"status": "error", "error": "no"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async def all_of_it() -> tuple[Measurement, ...]:
        async with listening(handler) as port:
            address = f"http://127.0.0.1:{port}"
            probe = PrometheusProbe(address=address, metric=metric, service="user", min_requests=50)
            return await probe.measure(None, NOW)

    first, *counted = asyncio.run(all_of_it())
    assert first.result is result
    # of how many requests it is, so that an error budget can be held against it
    assert [(one.metric, one.value) for one in counted] == ([("errors requests", 60.0)] if requests == "60" else [])
