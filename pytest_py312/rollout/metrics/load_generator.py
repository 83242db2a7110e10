"""Load for services that have no traffic of their own, at a rate that does not wait for answers.

Users that wait for an answer before they ask again ask less when the service is slow, and so hide that it is: of a
stall of two seconds they see one request, where all that would have come meanwhile are late. Here each request has a
time at which it is due, and its latency counts from there. What the generator itself is late by is measured too, as a
machine that is too slow to ask says nothing about the service.

It is a process of its own (``python -m pytest_py312.rollout.metrics.load_generator``), so that it shares neither loop
nor interpreter with whoever judges.
"""

import argparse
import asyncio
import json
import math
import sys
import threading
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TextIO

from pytest_py312.core import clock, process
from pytest_py312.core.process import Ended
from pytest_py312.core.serialization import decode, encode
from pytest_py312.rollout.domain.model import Verdict

MOST_REQUESTS = 1_000_000
MOST_RATE = 5_000.0
MOST_OPEN = 2_000
"""Requests without an answer at a time; those beyond are not sent, and counted as such."""
LATE = 0.010
"""Seconds of lateness (99 of 100) from which on the generator counts as saturated."""
REACHED = 0.95
"""Share of the asked rate that has to be reached."""
USER_AGENT = "pytest-py312-load"

Send = Callable[[], Awaitable[bool]]
"""Sends one request, and says whether the answer was good. Never raises, and ends within its time limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """So many requests a second for so many seconds. What is not ``judged`` is warming up."""

    rate: float
    seconds: float
    judged: bool = True

    @property
    def requests(self) -> int:
        return max(1, round(self.rate * self.seconds))


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadLimits:
    """What is allowed: seconds for 95 and 99 of 100 requests (0: whatever they take), and a share of errors."""

    p95: float = 0.0
    p99: float = 0.0
    errors: float = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """What came of a step. Seconds; latencies count from when a request was due, and failed ones are among them."""

    rate: float
    achieved: float
    sent: int
    not_sent: int
    errors: int
    p50: float
    p95: float
    p99: float
    longest: float
    lateness: float
    """Of the generator, 99 of 100."""
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """All judged steps. The verdict is that of the worst; inconclusive where only the generator was to blame."""

    verdict: Verdict
    steps: tuple[StepReport, ...] = ()
    reason: str = ""


@dataclass
class _Tally:
    """What a step has seen so far."""

    step: Step
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    lateness: "array[float]" = field(default_factory=lambda: array("d"))
    errors: int = 0
    not_sent: int = 0
    first_end: float = math.inf
    last_end: float = 0.0

    @property
    def achieved(self) -> float:
        """Good answers a second: of those asked for, and as fast as they came.

        An answer that takes its time is no lower rate, answers that come ever later are.
        """
        good = len(self.latencies) - self.errors
        span = self.last_end - self.first_end
        asked = self.step.rate * good / self.step.requests
        return min(asked, (len(self.latencies) - 1) / span) if span > 0 and len(self.latencies) > 1 else asked


async def generate(
    steps: Sequence[Step],
    send: Send,
    limits: LoadLimits,
    *,
    stopwatch: Callable[[], float] = clock.stopwatch,
    rest: Callable[[float], Awaitable[None]] = clock.rest,
    most_open: int = MOST_OPEN,
) -> LoadReport:
    """Send what is due when it is due, one step after the other, and wait for the last answers.

    :raises ValueError: that is more than is ever sent.
    """
    check(steps)
    begun = stopwatch()
    open_ones: set[asyncio.Task[None]] = set()
    tallies = []

    async def one(tally: _Tally, due: float) -> None:
        tally.lateness.append(stopwatch() - due)
        good = await send()
        end = stopwatch()
        tally.latencies.append(end - due)
        tally.errors += not good
        tally.first_end = min(tally.first_end, end)
        tally.last_end = max(tally.last_end, end)

    for step in steps:
        tally = _Tally(step=step)
        tallies.append(tally)
        for number in range(step.requests):
            due = begun + number / step.rate
            while (wait := due - stopwatch()) > 0:
                await rest(wait)
            if len(open_ones) >= most_open:
                tally.not_sent += 1
                await asyncio.sleep(0)  # answers are read all the same
                continue
            task = asyncio.create_task(one(tally, due))
            open_ones.add(task)
            task.add_done_callback(open_ones.discard)
        begun += step.seconds
    if open_ones:
        await asyncio.wait(open_ones)
    return joined([reported(tally, limits) for tally in tallies if tally.step.judged])


def check(steps: Sequence[Step]) -> None:
    """
    :raises ValueError: there is nothing to do, or more than is ever done; the text is for people.
    """
    if not any(step.judged for step in steps):
        raise ValueError("there is no step that is judged")
    if any(not 0 < step.rate <= MOST_RATE or not 0 < step.seconds < math.inf for step in steps):
        raise ValueError(f"a step has a rate up to {MOST_RATE:g} a second, and a time")
    if sum(step.rate * step.seconds for step in steps) > MOST_REQUESTS:
        raise ValueError(f"more than {MOST_REQUESTS} requests are asked for")


def reported(tally: _Tally, limits: LoadLimits) -> StepReport:
    """The figures of a step, and what they say."""
    latencies, lateness = sorted(tally.latencies), sorted(tally.lateness)
    achieved = tally.achieved
    late = quantile(lateness, 0.99)
    p95, p99 = quantile(latencies, 0.95), quantile(latencies, 0.99)
    verdict, reason = judged(
        tally.step, limits, achieved=achieved, errors=tally.errors, sent=len(latencies), p95=p95, p99=p99, late=late
    )
    return StepReport(
        rate=tally.step.rate,
        achieved=achieved,
        sent=len(latencies),
        not_sent=tally.not_sent,
        errors=tally.errors,
        p50=quantile(latencies, 0.5),
        p95=p95,
        p99=p99,
        longest=latencies[-1] if latencies else 0.0,
        lateness=late,
        verdict=verdict,
        reason=reason,
    )


def judged(
    step: Step, limits: LoadLimits, *, achieved: float, errors: int, sent: int, p95: float, p99: float, late: float
) -> tuple[Verdict, str]:
    """What a step's figures say. A generator that was late itself takes the blame for what is slow, not for errors."""
    share = errors / sent if sent else 1.0
    if share > limits.errors:
        return Verdict.FAILED, f"{share:.2%} of {sent} requests failed; {limits.errors:.2%} may"
    if late > LATE:
        return Verdict.INCONCLUSIVE, f"generator saturated: it was late by {late * 1000:.0f} ms itself (99 of 100)"
    if achieved < REACHED * step.rate:
        return Verdict.FAILED, f"asked rate not reached: {achieved:.1f} of {step.rate:g} a second"
    for name, value, limit in (("p95", p95, limits.p95), ("p99", p99, limits.p99)):
        if limit and value > limit:
            return Verdict.FAILED, f"{name} is {value * 1000:.0f} ms; {limit * 1000:.0f} ms are allowed"
    return Verdict.PASSED, ""


def joined(steps: Sequence[StepReport]) -> LoadReport:
    """The worst of the steps speaks for all."""
    order = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED)
    worst = min(steps, key=lambda step: order.index(step.verdict))
    return LoadReport(verdict=worst.verdict, steps=tuple(steps), reason=worst.reason)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of them do not exceed; 0.0 of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


# ---- over HTTP, in a process of its own


async def generate_http(url: str, steps: Sequence[Step], limits: LoadLimits, *, time_limit: float) -> LoadReport:
    """GET ``url``; an answer of 400 and above, or none within ``time_limit`` seconds, is an error."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)  # a limit would be a queue of ours, and its waiting the service's fault
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=time_limit),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
    ) as session:

        async def send() -> bool:
            try:
                async with session.get(url, allow_redirects=False) as response:
                    async for _ in response.content.iter_any():
                        pass
                    return response.status < 400
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                return False

        return await generate(steps, send, limits)


def load(url: str, steps: Sequence[Step], limits: LoadLimits, *, time_limit: float = 30.0) -> LoadReport:
    """:func:`generate_http` in a process of its own. What keeps it from a report is inconclusive, with the reason."""
    return load_all([url], steps, limits, time_limit=time_limit)[0]


def load_all(
    urls: Sequence[str],
    steps: Sequence[Step],
    limits: LoadLimits,
    *,
    time_limit: float = 30.0,
    cancelled: threading.Event | None = None,
) -> list[LoadReport]:
    """:func:`load` of several at the same time, by one process, so that whatever it is late by is the same for all."""
    check(steps)
    argv = [sys.executable, "-m", "pytest_py312.rollout.metrics.load_generator", *urls, f"--time-limit={time_limit}"]
    argv += [f"--{name}={value}" for name, value in asdict(limits).items()]
    argv += [f"--{'step' if step.judged else 'warm-up'}={step.rate}x{step.seconds}" for step in steps]
    seconds = sum(step.seconds for step in steps) + time_limit + 30.0
    ran = process.run(argv, time_limit=seconds, cancelled=cancelled)
    if ran.ended is not Ended.EXITED or ran.exit_code:
        told = f"the generator {ran.ended.value} ({ran.exit_code}): {ran.stderr.strip()[-300:]}"
        return [LoadReport(verdict=Verdict.INCONCLUSIVE, reason=told)] * len(urls)
    try:
        found = [decode(LoadReport, json.loads(line)) for line in ran.stdout.splitlines()]
        if len(found) != len(urls):
            raise ValueError(f"{len(found)} reports, where {len(urls)} were asked for")
        return found
    except ValueError as error:
        told = f"the generator said nothing that can be read: {error}"
        return [LoadReport(verdict=Verdict.INCONCLUSIVE, reason=told)] * len(urls)


def step_in(text: str, *, is_judged: bool = True) -> Step:
    """``200x60``: 200 requests a second for 60 seconds.

    :raises ValueError: it is no such step.
    """
    rate, _, seconds = text.partition("x")
    return Step(rate=float(rate), seconds=float(seconds), judged=is_judged)


def main(arguments: Sequence[str], out: TextIO) -> int:
    """Generate, and write a report of each URL to ``out``, a line of JSON each.

    The exit status is 0 whatever the report says, 2 without one.
    """
    parser = argparse.ArgumentParser(prog="python -m pytest_py312.rollout.metrics.load_generator", allow_abbrev=False)
    parser.add_argument("urls", nargs="+", metavar="url")
    parser.add_argument("--step", dest="steps", action="append", type=step_in, metavar="RATExSECONDS")
    parser.add_argument(
        "--warm-up", dest="steps", action="append", type=lambda text: step_in(text, is_judged=False),
        metavar="RATExSECONDS",
    )  # fmt: skip
    parser.add_argument("--p95", type=float, default=LoadLimits().p95)
    parser.add_argument("--p99", type=float, default=LoadLimits().p99)
    parser.add_argument("--errors", type=float, default=LoadLimits().errors)
    parser.add_argument("--time-limit", type=float, default=30.0)
    chosen = parser.parse_args(arguments)
    limits = LoadLimits(p95=chosen.p95, p99=chosen.p99, errors=chosen.errors)
    try:
        check(chosen.steps or [])
    except ValueError as error:
        parser.error(str(error))

    async def all_of_them() -> list[LoadReport]:
        work = [generate_http(url, chosen.steps, limits, time_limit=chosen.time_limit) for url in chosen.urls]
        return await asyncio.gather(*work)

    out.writelines(json.dumps(encode(report)) + "\n" for report in asyncio.run(all_of_them()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
