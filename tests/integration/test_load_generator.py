"""The load generator as a process, against a server on this machine."""

import asyncio

import pytest

from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.load_generator import LoadLimits, LoadReport, LoadStep, run_load
from tests.integration.local_servers import OK, listening, request_on
from tests.integration.prometheus_tools import free_port

BROKEN = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
STEPS = (LoadStep(rate=20, seconds=0.5, is_judged=False), LoadStep(rate=40, seconds=1.5))


async def run_against_answers(*answers: bytes) -> tuple[LoadReport, int]:
    """Run the generator against a server that gives these answers in turn; return the report and the request count."""
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
        report = await asyncio.to_thread(run_load, f"http://127.0.0.1:{port}/", STEPS, LoadLimits(), time_limit=10.0)
    return report, count


def test_all_requests_are_sent_and_counted() -> None:
    report, count = asyncio.run(run_against_answers(OK))
    (step,) = report.steps
    assert (step.sent, step.errors, step.not_sent) == (60, 0, 0)
    assert count == 70
    assert 0 < step.p50 <= step.p95 <= step.p99 <= step.longest


def test_errors_are_counted() -> None:
    report, _ = asyncio.run(run_against_answers(OK, OK, OK, BROKEN))
    assert report.verdict is Verdict.FAILED
    assert report.steps[0].errors == 15


def test_refused_connections_are_failures() -> None:
    report = run_load(f"http://127.0.0.1:{free_port()}/", STEPS, LoadLimits(), time_limit=5.0)
    assert report.verdict is Verdict.FAILED
    assert report.reason == "100.00% of 60 requests failed; 1.00% are allowed"


def test_a_crashed_generator_gives_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    report = run_load("http://127.0.0.1:1/", STEPS, LoadLimits())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reason.startswith("the generator exited (1)")
