"""Generated traffic for services without traffic during a soak: equal requests to both versions at the same time.

With each sample a load generator sends requests for some time, and its results become measurements. A rate that was not
reached, or a generator that was late itself, is inconclusive.
"""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.repository.plan.rollout_settings import TrafficSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS_SUFFIX
from pytest_py312.rollout.domain.model import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.metrics.http_client import build_url
from pytest_py312.rollout.metrics.load_generator import (
    MAX_LATENESS,
    MIN_RATE_SHARE,
    LoadLimits,
    LoadReport,
    LoadStep,
    StepReport,
    run_loads,
)
from pytest_py312.rollout.metrics.reading import MetricReading, to_measurement
from pytest_py312.rollout.monitoring.probes import PROBE_TIMEOUT, AddressLookup
from pytest_py312.rollout.targets.target import TargetError, TargetUnavailable

LOAD_LATENCY = "load latency"
"""95th percentile of the latency in seconds, counted from the due time of each request."""
LOAD_ERRORS = "load errors"
"""Share of failed requests."""
LOAD_RATE = "load rate"
"""Successful answers per second."""
NEW_VERSION, CONTROL_VERSION = "new", "twin"
START_ALLOWANCE = 60.0
"""Seconds that the generator may need in addition to its requests."""


@dataclass(kw_only=True)
class TrafficGenerator:
    """Generator of load on all ``addresses`` (version -> address): once per sample, at the first request for it."""

    addresses: Mapping[str, AddressLookup]
    path: str
    settings: TrafficSettings
    seconds: float
    _sampled_at: Timestamp | None = None
    _running: "asyncio.Future[dict[str, LoadReport | TargetError]] | None" = field(default=None)

    async def report_for(self, version: str, now: Timestamp) -> LoadReport | TargetError:
        """Return the report of ``version`` for the sample at ``now``, or the error that prevented it."""
        if self._running is None or self._sampled_at != now:
            self._sampled_at = now
            self._running = asyncio.ensure_future(self._generate())
        return (await self._running)[version]

    async def _generate(self) -> dict[str, LoadReport | TargetError]:
        results: dict[str, LoadReport | TargetError] = {}
        urls: dict[str, str] = {}
        for version, address in self.addresses.items():
            try:
                urls[version] = build_url(*await run_in_thread(address, timeout=PROBE_TIMEOUT), self.path)
            except TargetError as error:
                results[version] = error
            except TimeoutError:
                results[version] = TargetUnavailable("the engine did not return the address in time")
        reports = await self._run_loads(list(urls.values())) if NEW_VERSION in urls else []
        return results | dict(zip(urls, reports, strict=False))

    async def _run_loads(self, urls: list[str]) -> list[LoadReport]:
        cancelled = threading.Event()
        steps = [LoadStep(rate=self.settings.rate, seconds=self.seconds)]
        limits = LoadLimits(errors=self.settings.errors)
        try:
            return await run_in_thread(
                lambda: run_loads(urls, steps, limits, time_limit=PROBE_TIMEOUT, cancelled=cancelled),
                timeout=self.seconds + PROBE_TIMEOUT + START_ALLOWANCE,
            )
        except TimeoutError:
            raise TargetUnavailable("the generator did not end in time") from None
        finally:
            cancelled.set()  # stops the generator if the waiting task was cancelled


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficProbe:
    """Measurements of a :class:`TrafficGenerator` for one version."""

    generator: TrafficGenerator
    version: str = NEW_VERSION
    min_requests: int = 0
    repeatable: bool = False

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`.probes.Probe`."""
        try:
            report = await self.generator.report_for(self.version, now)
        except TargetError as error:
            report = error
        except KeyError:  # the control is only loaded together with the new version
            return ()
        if isinstance(report, TargetError):
            result = Result.ERROR if isinstance(report, TargetUnavailable) else Result.INCONCLUSIVE
            return (Measurement(metric=LOAD_RATE, result=result, detail=f"no traffic was generated: {report}"),)
        if not report.steps:
            return (Measurement(metric=LOAD_RATE, result=Result.ERROR, detail=report.reason[:300]),)
        return traffic_measurements(report.steps[0], self.generator.settings, self.min_requests)


def traffic_measurements(step: StepReport, settings: TrafficSettings, min_requests: int) -> tuple[Measurement, ...]:
    """Convert a report. If the generator was late itself, slowness is inconclusive, but errors still count."""
    error_share = step.errors / step.sent if step.sent else 1.0
    errors = MetricReading(value=error_share, detail=f"{step.errors} of {step.sent} requests")
    if step.sent < min_requests:
        detail = f"{step.sent} requests; {min_requests} are needed"
        errors = MetricReading(result=Result.INCONCLUSIVE, detail=detail)
    elif error_share > settings.errors:
        errors = MetricReading(value=error_share, result=Result.FAILED, detail=f"{errors.detail} failed")
    rate = MetricReading(value=step.achieved)
    if step.achieved < MIN_RATE_SHARE * step.rate:
        detail = f"requested rate not reached: {step.achieved:.1f} of {step.rate:g} per second"
        rate = MetricReading(value=step.achieved, result=Result.INCONCLUSIVE, detail=detail)
    latency = MetricReading(value=step.p95)
    if settings.p95 and step.p95 > settings.p95:
        detail = f"p95 is {step.p95 * 1000:.0f} ms; {settings.p95 * 1000:.0f} ms are allowed"
        latency = MetricReading(value=step.p95, result=Result.FAILED, detail=detail)
    if step.lateness > MAX_LATENESS:
        detail = f"generator saturated: it was {step.lateness * 1000:.0f} ms late itself (99th percentile)"
        latency = MetricReading(value=step.p95, result=Result.INCONCLUSIVE, detail=detail)
    return (
        to_measurement(LOAD_LATENCY, latency),
        to_measurement(LOAD_ERRORS, errors),
        Measurement(metric=LOAD_ERRORS + REQUESTS_SUFFIX, result=Result.SUCCESSFUL, value=float(step.sent)),
        to_measurement(LOAD_RATE, rate),
    )
