"""The load generator as a process, against a server on this machine."""

import asyncio
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from pytest_py312.repository.plan.rollout_settings import TrafficRequest
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.load_generator import LoadStep, run_load, run_loads
from pytest_py312.rollout.metrics.load_report import LoadLimits, LoadReport
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


KILLED = """
from pytest_py312.rollout.metrics.load_generator import LoadLimits, LoadStep, run_load
run_load("http://127.0.0.1:1/", [LoadStep(rate=1, seconds=600)], LoadLimits())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel sends no signal when a parent ends")
def test_the_generator_ends_when_the_tool_is_killed() -> None:
    """A version that is rolled back meanwhile gets no more requests."""
    with subprocess.Popen([sys.executable, "-c", KILLED]) as tool:
        deadline, started = time.monotonic() + 60, list[psutil.Process]()
        while not any("load_generator" in " ".join(process.cmdline()) for process in started):
            assert time.monotonic() < deadline, "the generator has not started"
            time.sleep(0.05)
            started = psutil.Process(tool.pid).children(recursive=True)
        tool.kill()
    assert not psutil.wait_procs(started, timeout=30)[1]


def test_requests_of_several_kinds_go_to_their_paths_with_their_bodies() -> None:
    """Also to a path that as a relative URL would be another host."""
    kinds = (
        TrafficRequest(path="//orders?page=1", weight=3),
        TrafficRequest(path="/orders", method="POST", body='{"id": "é"}', content_type="application/json"),
    )
    received: Counter[tuple[str, str, bytes]] = Counter()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                received[head[0], headers.get("content-type", ""), body] += 1
                writer.write(BROKEN if head[0].startswith("POST") else OK)
                await writer.drain()
        except asyncio.IncompleteReadError:
            return

    async def generate() -> list[LoadReport]:
        async with listening(handler) as port:
            url = f"http://127.0.0.1:{port}/health"
            return await asyncio.to_thread(run_loads, [url], STEPS[1:], LoadLimits(), requests=kinds, time_limit=10.0)

    (report,) = asyncio.run(generate())
    (step,) = report.steps
    assert received == {
        ("GET //orders?page=1 HTTP/1.1", "", b""): 45,
        ("POST /orders HTTP/1.1", "application/json", '{"id": "é"}'.encode()): 15,
    }
    assert [(one.name, one.sent, one.errors) for one in step.endpoints] == [
        ("GET //orders?page=1", 45, 0), ("POST /orders", 15, 15),
    ]  # fmt: skip


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
