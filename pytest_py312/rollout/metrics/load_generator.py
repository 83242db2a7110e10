"""Load generator that sends at a constant rate, without waiting for answers (open loop).

A generator that waits for each answer sends less when the service is slow and so hides the problem: during a stall of
two seconds it sees one late request, although all requests due in that time would have been late. Here each request has
a due time, and its latency counts from then. The lateness of the generator itself is measured too, because a machine
that is too slow to send the requests says nothing about the service.

The generator runs in a separate process (``python -m pytest_py312.rollout.metrics.load_generator``), so that it shares
neither event loop nor interpreter with the code that judges its results.
"""

import argparse
import asyncio
import json
import math
import sys
import threading
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TextIO
from urllib.parse import urlsplit

from pytest_py312.core import clock, process
from pytest_py312.core.process import ExitReason
from pytest_py312.core.serialization import decode, encode
from pytest_py312.repository.plan.rollout_settings import TrafficRequest
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.load_report import (
    EndpointReport,
    LoadLimits,
    LoadReport,
    StepReport,
    combine_steps,
    judge_step,
    latency_quantiles,
    quantile,
)
from pytest_py312.runners.runner import CELL_PARENT

MAX_REQUESTS = 1_000_000
MAX_RATE = 5_000.0
MAX_OPEN_REQUESTS = 2_000
"""Maximum number of concurrent requests; further ones are not sent but counted as ``not_sent``."""
USER_AGENT = "pytest-py312-load"

Send = Callable[[int], Awaitable[bool]]
"""Sends one request of a kind, given by its index, and returns whether it succeeded. Never raises, and has its own
timeout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadStep:
    """A number of requests per second for some seconds. A step that is not ``is_judged`` is a warm-up."""

    rate: float
    seconds: float
    is_judged: bool = True

    @property
    def requests(self) -> int:
        return max(1, round(self.rate * self.seconds))


@dataclass
class _StepMeasurements:
    """Measurements of a running step. ``kinds`` and ``failures`` are parallel to ``latencies``."""

    step: LoadStep
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    kinds: "array[int]" = field(default_factory=lambda: array("B"))
    failures: "array[int]" = field(default_factory=lambda: array("B"))
    lateness: "array[float]" = field(default_factory=lambda: array("d"))
    errors: int = 0
    not_sent: int = 0
    first_end: float = math.inf
    last_end: float = 0.0

    def add(self, kind: int, *, due: float, end: float, good: bool) -> None:
        """Add a request that was answered, or failed."""
        self.latencies.append(end - due)
        self.kinds.append(kind)
        self.failures.append(not good)
        self.errors += not good
        self.first_end = min(self.first_end, end)
        self.last_end = max(self.last_end, end)

    @property
    def achieved_rate(self) -> float:
        """Successful requests per second of the step, at most the rate at which answers of any kind arrive.

        A constant delay does not lower the rate; answers that come later and later do.
        """
        good = len(self.latencies) - self.errors
        span = self.last_end - self.first_end
        successful_rate = self.step.rate * good / self.step.requests
        if span <= 0 or len(self.latencies) <= 1:
            return successful_rate
        return min(successful_rate, (len(self.latencies) - 1) / span)


async def generate_load(
    steps: Sequence[LoadStep],
    send: Send,
    limits: LoadLimits,
    *,
    requests: Sequence[TrafficRequest] = (TrafficRequest(),),
    stopwatch: Callable[[], float] = clock.stopwatch,
    sleep: Callable[[float], Awaitable[None]] = clock.async_pause,
    max_open: int = MAX_OPEN_REQUESTS,
) -> LoadReport:
    """Send each request at its due time, step by step, and wait for the last answers.

    The kinds of ``requests`` take turns by their weights, so that two versions get equal requests at equal times.

    :raises ValueError: see :func:`validate_steps`.
    """
    validate_steps(steps)
    step_start = stopwatch()
    open_requests: set[asyncio.Task[None]] = set()
    all_measurements = []
    turns = take_turns([request.weight for request in requests])

    async def send_one(measurements: _StepMeasurements, due: float, kind: int) -> None:
        measurements.lateness.append(stopwatch() - due)
        good = await send(kind)
        measurements.add(kind, due=due, end=stopwatch(), good=good)

    for step in steps:
        measurements = _StepMeasurements(step=step)
        all_measurements.append(measurements)
        for number in range(step.requests):
            due, kind = step_start + number / step.rate, next(turns)
            while (wait := due - stopwatch()) > 0:
                await sleep(wait)
            if len(open_requests) >= max_open:
                measurements.not_sent += 1
                await asyncio.sleep(0)  # lets pending answers be read
                continue
            task = asyncio.create_task(send_one(measurements, due, kind))
            open_requests.add(task)
            task.add_done_callback(open_requests.discard)
        step_start += step.seconds
    if open_requests:
        await asyncio.wait(open_requests)
    return combine_steps([report_step(each, limits, requests) for each in all_measurements if each.step.is_judged])


def take_turns(weights: Sequence[int]) -> Iterator[int]:
    """Yield indexes for ever, each as often as its weight says and evenly spread (smooth weighted round robin)."""
    credit = [0] * len(weights)
    while True:
        credit = [value + weight for value, weight in zip(credit, weights, strict=True)]
        index = credit.index(max(credit))
        credit[index] -= sum(weights)
        yield index


def validate_steps(steps: Sequence[LoadStep]) -> None:
    """Check rates, durations and the total number of requests.

    :raises ValueError: they are not allowed; the message is shown to the user.
    """
    if not any(step.is_judged for step in steps):
        raise ValueError("there is no step besides warm-ups")
    if any(not 0 < step.rate <= MAX_RATE or not 0 < step.seconds < math.inf for step in steps):
        raise ValueError(f"a step needs a duration and a rate of at most {MAX_RATE:g} requests per second")
    if sum(step.rate * step.seconds for step in steps) > MAX_REQUESTS:
        raise ValueError(f"the steps have more than {MAX_REQUESTS} requests in total")


def report_step(
    measurements: _StepMeasurements, limits: LoadLimits, requests: Sequence[TrafficRequest] = ()
) -> StepReport:
    """Summarize and judge the measurements of a step. ``requests``: the kinds of requests that were sent."""
    kinds = enumerate(requests) if len(requests) > 1 else ()
    report = StepReport(
        rate=measurements.step.rate,
        achieved=measurements.achieved_rate,
        sent=len(measurements.latencies),
        not_sent=measurements.not_sent,
        errors=measurements.errors,
        lateness=quantile(sorted(measurements.lateness), 0.99),
        verdict=Verdict.PENDING,
        reason="",
        endpoints=tuple(_report_endpoint(request.name, measurements, kind) for kind, request in kinds),
        **latency_quantiles(measurements.latencies),
    )
    verdict, reason = judge_step(report, limits)
    return replace(report, verdict=verdict, reason=reason)


def _report_endpoint(name: str, measurements: _StepMeasurements, kind: int) -> EndpointReport:
    of_kind = [index for index, sent_kind in enumerate(measurements.kinds) if sent_kind == kind]
    return EndpointReport(
        name=name,
        sent=len(of_kind),
        errors=sum(measurements.failures[index] for index in of_kind),
        **latency_quantiles(measurements.latencies[index] for index in of_kind),
    )


# ---- over HTTP, in a separate process


async def generate_http(
    url: str,
    steps: Sequence[LoadStep],
    limits: LoadLimits,
    *,
    time_limit: float,
    requests: Sequence[TrafficRequest] = (TrafficRequest(),),
) -> LoadReport:
    """Generate requests to ``url``, or to the paths of ``requests`` on its host.

    A status of 400 or above, or no answer within ``time_limit`` seconds, is an error.
    """
    import aiohttp

    # a path such as //a/b is one of this host, which a relative URL is not
    parts = urlsplit(url)
    urls = [f"{parts.scheme}://{parts.netloc}{request.path}" if request.path else url for request in requests]
    # a limit would queue requests here and count the waiting time as latency of the service
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=time_limit),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
    ) as session:

        async def send(kind: int) -> bool:
            request = requests[kind]
            try:
                async with session.request(
                    request.method,
                    urls[kind],
                    data=request.body.encode() or None,
                    headers={"Content-Type": request.content_type} if request.content_type else None,
                    allow_redirects=False,
                ) as response:
                    async for _ in response.content.iter_any():
                        pass
                    return response.status < 400
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                return False

        return await generate_load(steps, send, limits, requests=requests)


def run_load(url: str, steps: Sequence[LoadStep], limits: LoadLimits, *, time_limit: float = 30.0) -> LoadReport:
    """Run :func:`generate_http` in a separate process.

    If the process yields no report, return an inconclusive one that says why.
    """
    return run_loads([url], steps, limits, time_limit=time_limit)[0]


def run_loads(
    urls: Sequence[str],
    steps: Sequence[LoadStep],
    limits: LoadLimits,
    *,
    requests: Sequence[TrafficRequest] = (),
    time_limit: float = 30.0,
    cancelled: threading.Event | None = None,
) -> list[LoadReport]:
    """Generate load on several URLs at once from one process, so that the generator is equally late for all."""
    validate_steps(steps)
    argv = [sys.executable, "-m", "pytest_py312.rollout.metrics.load_generator", *urls, f"--time-limit={time_limit}"]
    argv += [f"--{name}={value}" for name, value in asdict(limits).items()]
    argv += [f"--{'step' if step.is_judged else 'warm-up'}={step.rate}x{step.seconds}" for step in steps]
    argv += [f"--request={json.dumps(encode(request))}" for request in requests]
    seconds = sum(step.seconds for step in steps) + time_limit + 30.0
    result = process.run(argv, time_limit=seconds, parent=CELL_PARENT, cancelled=cancelled)
    if result.exit_reason is not ExitReason.EXITED or result.exit_code:
        reason = f"the generator {result.exit_reason.value} ({result.exit_code}): {result.stderr.strip()[-300:]}"
        return [LoadReport(verdict=Verdict.INCONCLUSIVE, reason=reason)] * len(urls)
    try:
        reports = [decode(LoadReport, json.loads(line)) for line in result.stdout.splitlines()]
        if len(reports) != len(urls):
            raise ValueError(f"{len(reports)} reports instead of {len(urls)}")
        return reports
    except ValueError as error:
        reason = f"the generator's output is invalid: {error}"
        return [LoadReport(verdict=Verdict.INCONCLUSIVE, reason=reason)] * len(urls)


def parse_step(text: str, *, is_judged: bool = True) -> LoadStep:
    """Parse a step such as ``200x60``: 200 requests per second for 60 seconds.

    :raises ValueError: the text is not a step.
    """
    rate, _, seconds = text.partition("x")
    return LoadStep(rate=float(rate), seconds=float(seconds), is_judged=is_judged)


def _parse_request(text: str) -> TrafficRequest:
    return decode(TrafficRequest, json.loads(text))


def main(arguments: Sequence[str], out: TextIO) -> int:
    """Generate load and write one line of JSON with the report of each URL to ``out``.

    The exit status is 0 whatever the verdict, 2 for invalid arguments.
    """
    parser = argparse.ArgumentParser(prog="python -m pytest_py312.rollout.metrics.load_generator", allow_abbrev=False)
    parser.add_argument("urls", nargs="+", metavar="url")
    parser.add_argument("--step", dest="steps", action="append", type=parse_step, metavar="RATExSECONDS")
    parser.add_argument(
        "--warm-up", dest="steps", action="append", type=lambda text: parse_step(text, is_judged=False),
        metavar="RATExSECONDS",
    )  # fmt: skip
    parser.add_argument("--p95", type=float, default=LoadLimits().p95)
    parser.add_argument("--p99", type=float, default=LoadLimits().p99)
    parser.add_argument("--errors", type=float, default=LoadLimits().errors)
    parser.add_argument("--time-limit", type=float, default=30.0)
    parser.add_argument("--request", dest="requests", action="append", type=_parse_request, metavar="JSON")
    options = parser.parse_args(arguments)
    limits = LoadLimits(p95=options.p95, p99=options.p99, errors=options.errors)
    try:
        validate_steps(options.steps or [])
    except ValueError as error:
        parser.error(str(error))

    async def generate_all() -> list[LoadReport]:
        requests = options.requests or [TrafficRequest()]
        work = [
            generate_http(url, options.steps, limits, time_limit=options.time_limit, requests=requests)
            for url in options.urls
        ]
        return await asyncio.gather(*work)

    out.writelines(json.dumps(encode(report)) + "\n" for report in asyncio.run(generate_all()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
