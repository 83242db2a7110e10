"""The load generator as a process, against a server on this machine."""

import asyncio

import pytest

from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.load_generator import LoadLimits, LoadReport, Step, load
from tests.integration.local_servers import OK, listening, request_on
from tests.integration.prometheus_tools import free_port

BROKEN = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
STEPS = (Step(rate=20, seconds=0.5, judged=False), Step(rate=40, seconds=1.5))


async def loaded(*answers: bytes) -> tuple[LoadReport, int]:
    """Answers in turn; and how many requests came."""
    count = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                await request_on(reader)
                writer.write(answers[count % len(answers)])
                count += 1
                await writer.drain()
        except asyncio.IncompleteReadError:
            return

    async with listening(handler) as port:
        report = await asyncio.to_thread(load, f"http://127.0.0.1:{port}/", STEPS, LoadLimits(), time_limit=10.0)
    return report, count


def test_what_is_asked_for_arrives_and_is_counted() -> None:
    report, count = asyncio.run(loaded(OK))
    (step,) = report.steps
    assert (step.sent, step.errors, step.not_sent) == (60, 0, 0)
    assert count == 70
    assert 0 < step.p50 <= step.p95 <= step.p99 <= step.longest


def test_errors_are_counted() -> None:
    report, _ = asyncio.run(loaded(OK, OK, OK, BROKEN))
    assert report.verdict is Verdict.FAILED
    assert report.steps[0].errors == 15


def test_where_nobody_listens_all_of_it_fails() -> None:
    report = load(f"http://127.0.0.1:{free_port()}/", STEPS, LoadLimits(), time_limit=5.0)
    assert report.verdict is Verdict.FAILED
    assert report.reason == "100.00% of 60 requests failed; 1.00% may"


def test_a_generator_that_breaks_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    report = load("http://127.0.0.1:1/", STEPS, LoadLimits())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reason.startswith("the generator exited (1)")
