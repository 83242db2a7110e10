"""Generated traffic for services without traffic during a soak: equal requests to both versions at the same time.

With each sample a load generator sends requests for some time, and its results become measurements. A rate that was not
reached, or a generator that was late itself, is inconclusive.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.repository.plan.rollout_settings import TrafficRequest, TrafficSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS_SUFFIX
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.metrics.http_client import build_url
from pytest_py312.rollout.metrics.load_generator import LoadStep, run_loads
from pytest_py312.rollout.metrics.load_report import (
    EndpointReport,
    LoadLimits,
    LoadReport,
    StepReport,
    exceeded_limit,
    saturation,
)
from pytest_py312.rollout.metrics.reading import MetricReading, to_measurement
from pytest_py312.rollout.monitoring.probes import NO_ADDRESS, PROBE_TIMEOUT, AddressLookup
from pytest_py312.rollout.targets.target import TargetError, TargetUnavailable

LOAD_LATENCY = "load latency"
"""95th percentile of the latency in seconds, counted from the due time of each request."""
LOAD_TAIL_LATENCY = "load latency p99"
"""99th percentile of the same."""
MIN_TAIL_REQUESTS = 100
"""Requests in a sample from which on their 99th percentile is compared: of fewer it is the longest."""
LOAD_EXTREME_LATENCY = "load latency p99.9"
"""99.9th percentile; only measured if the plan has a limit for it."""
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
                results[version] = TargetUnavailable(NO_ADDRESS)
        reports = await self._run_loads(list(urls.values())) if NEW_VERSION in urls else []
        return results | dict(zip(urls, reports, strict=False))

    async def _run_loads(self, urls: list[str]) -> list[LoadReport]:
        cancelled = threading.Event()
        steps = [LoadStep(rate=self.settings.rate, seconds=self.seconds)]
        limits = LoadLimits(errors=self.settings.errors)
        try:
            return await run_in_thread(
                lambda: run_loads(
                    urls, steps, limits, requests=self.settings.requests, time_limit=PROBE_TIMEOUT, cancelled=cancelled
                ),
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


def endpoint_latency(request: TrafficRequest) -> str:
    """Return the name of the metric with the 95th percentile of the latency of one kind of request."""
    return f"{LOAD_LATENCY} of {request.name}"


def traffic_latencies(settings: TrafficSettings) -> tuple[str, ...]:
    """Return the metrics with latencies of the traffic that are compared with the control."""
    if not settings.rate:
        return ()
    endpoints = settings.requests if len(settings.requests) > 1 else ()
    has_tail = settings.rate * settings.seconds >= MIN_TAIL_REQUESTS
    return (LOAD_LATENCY, *((LOAD_TAIL_LATENCY,) if has_tail else ()), *map(endpoint_latency, endpoints))


def is_traffic_latency(metric: str) -> bool:
    """Return whether a metric is a latency of the traffic."""
    return metric.startswith(LOAD_LATENCY)


def traffic_measurements(step: StepReport, settings: TrafficSettings, min_requests: int) -> tuple[Measurement, ...]:
    """Convert a report. If the generator was late itself, slowness is inconclusive, but errors still count."""
    settings = _with_limits_of_only_kind(settings)
    error_share = step.errors / step.sent if step.sent else 1.0
    errors = MetricReading(value=error_share, detail=f"{step.errors} of {step.sent} requests")
    if step.sent < min_requests:
        detail = f"{step.sent} requests; {min_requests} are needed"
        errors = MetricReading(result=Result.INCONCLUSIVE, detail=detail)
    elif error_share > settings.errors:
        errors = MetricReading(value=error_share, result=Result.FAILED, detail=f"{errors.detail} failed")
    rate = MetricReading(value=step.achieved)
    if step.missed_rate:
        rate = MetricReading(value=step.achieved, result=Result.INCONCLUSIVE, detail=step.missed_rate)
    extreme = _judge_latency("p99.9", step.p999, settings.p999, step.lateness)
    return (
        to_measurement(LOAD_LATENCY, _judge_latency("p95", step.p95, settings.p95, step.lateness)),
        to_measurement(LOAD_TAIL_LATENCY, _judge_latency("p99", step.p99, settings.p99, step.lateness)),
        *((to_measurement(LOAD_EXTREME_LATENCY, extreme),) if settings.p999 else ()),
        to_measurement(LOAD_ERRORS, errors),
        Measurement(metric=LOAD_ERRORS + REQUESTS_SUFFIX, result=Result.SUCCESSFUL, value=float(step.sent)),
        to_measurement(LOAD_RATE, rate),
        *_endpoint_measurements(step, settings),
    )


def _with_limits_of_only_kind(settings: TrafficSettings) -> TrafficSettings:
    """Return the limits of all requests; if they are of one kind, it has no results of its own, but may have limits."""
    if len(settings.requests) != 1:
        return settings
    (only,) = settings.requests
    limits = {"p95": only.p95, "p99": only.p99, "errors": only.errors}
    changes: dict[str, Any] = {name: limit for name, limit in limits.items() if limit is not None}
    return replace(settings, **changes)


def _judge_latency(name: str, value: float, limit: float, lateness: float) -> MetricReading:
    if saturated := saturation(lateness):
        return MetricReading(value=value, result=Result.INCONCLUSIVE, detail=saturated)
    if exceeded := exceeded_limit(name, value, limit):
        return MetricReading(value=value, result=Result.FAILED, detail=exceeded)
    return MetricReading(value=value)


def _endpoint_measurements(step: StepReport, settings: TrafficSettings) -> Iterator[Measurement]:
    """Yield the results of each kind of request; those of which none was sent in this sample have none."""
    for request, endpoint in zip(settings.requests, step.endpoints, strict=False):
        if not endpoint.sent:
            continue
        latency = _judge_latency("p95", endpoint.p95, request.p95 or 0.0, step.lateness)
        if request.p99 and latency.result is not Result.FAILED:
            tail = _judge_latency("p99", endpoint.p99, request.p99, step.lateness)
            latency = replace(latency, result=tail.result, detail=tail.detail)
        yield to_measurement(endpoint_latency(request), latency)
        yield to_measurement(f"{LOAD_ERRORS} of {request.name}", _judge_endpoint_errors(endpoint, request, settings))


def _judge_endpoint_errors(
    endpoint: EndpointReport, request: TrafficRequest, settings: TrafficSettings
) -> MetricReading:
    """Judge the share of errors. A single error among few requests is no share: it has to be two, or all of them."""
    share, allowed = endpoint.errors / endpoint.sent, settings.errors if request.errors is None else request.errors
    detail = f"{endpoint.errors} of {endpoint.sent} requests"
    if share > allowed and endpoint.errors >= min(2, endpoint.sent):
        return MetricReading(value=share, result=Result.FAILED, detail=f"{detail} failed")
    return MetricReading(value=share, detail=detail)
