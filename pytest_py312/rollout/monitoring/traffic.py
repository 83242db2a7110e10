"""Traffic for services that have none while they are watched: the same requests to both versions at the same time.

At each sample a process of its own asks for a while at a rate that waits for no answer; what it finds is measurements
like all others. That the rate was not reached, or the generator was late itself, says nothing about the service.
"""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_py312.repository.plan.rollout_settings import TrafficSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample
from pytest_py312.rollout.metrics.http_client import url_of
from pytest_py312.rollout.metrics.load_generator import (
    LATE,
    REACHED,
    LoadLimits,
    LoadReport,
    Step,
    StepReport,
    load_all,
)
from pytest_py312.rollout.metrics.reading import Reading, measured
from pytest_py312.rollout.metrics.threads import in_thread
from pytest_py312.rollout.monitoring.probes import LIMIT, Address
from pytest_py312.rollout.targets.target import TargetError, TargetLost

LOAD_LATENCY = "load latency"
"""Seconds that 95 of 100 requests took at most, from when each was due."""
LOAD_ERRORS = "load errors"
"""Share of requests without a good answer."""
LOAD_RATE = "load rate"
"""Good answers a second."""
NEW, BESIDE = "new", "twin"
STARTING = 60.0
"""Seconds that the generator may take beside its requests."""


@dataclass(kw_only=True)
class Traffic:
    """Asks each of ``addresses`` (version -> where it listens), once a sample, whoever wants to know of it first."""

    addresses: Mapping[str, Address]
    path: str
    settings: TrafficSettings
    seconds: float
    _at: Moment | None = None
    _running: "asyncio.Future[dict[str, LoadReport | TargetError]] | None" = field(default=None)

    async def reported(self, version: str, now: Moment) -> LoadReport | TargetError:
        """What came of asking ``version`` at the sample of ``now``; an error where it could not be asked at all."""
        if self._running is None or self._at != now:
            self._at = now
            self._running = asyncio.ensure_future(self._asked())
        return (await self._running)[version]

    async def _asked(self) -> dict[str, LoadReport | TargetError]:
        found: dict[str, LoadReport | TargetError] = {}
        urls: dict[str, str] = {}
        for version, address in self.addresses.items():
            try:
                urls[version] = url_of(*await in_thread(address, limit=LIMIT), self.path)
            except TargetError as error:
                found[version] = error
            except TimeoutError:
                found[version] = TargetLost("the engine did not tell the address in time")
        reports = await self._loaded(list(urls.values())) if NEW in urls else []
        return found | dict(zip(urls, reports, strict=False))

    async def _loaded(self, urls: list[str]) -> list[LoadReport]:
        cancelled = threading.Event()
        steps = [Step(rate=self.settings.rate, seconds=self.seconds)]
        limits = LoadLimits(errors=self.settings.errors)
        try:
            return await in_thread(
                lambda: load_all(urls, steps, limits, time_limit=LIMIT, cancelled=cancelled),
                limit=self.seconds + LIMIT + STARTING,
            )
        except TimeoutError:
            raise TargetLost("the generator did not end in time") from None
        finally:
            cancelled.set()  # whoever was waiting for it has left; it asks no more


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficProbe:
    """The measurements that come of :class:`Traffic`, for one version."""

    traffic: Traffic
    version: str = NEW
    min_requests: int = 0
    repeatable: bool = False

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`.probes.Probe`."""
        try:
            report = await self.traffic.reported(self.version, now)
        except TargetError as error:
            report = error
        except KeyError:  # only what the new version is asked too is of any use
            return ()
        if isinstance(report, TargetError):
            result = Result.ERROR if isinstance(report, TargetLost) else Result.INCONCLUSIVE
            return (Measurement(metric=LOAD_RATE, result=result, detail=f"no traffic was made: {report}"),)
        if not report.steps:
            return (Measurement(metric=LOAD_RATE, result=Result.ERROR, detail=report.reason[:300]),)
        return measurements_of(report.steps[0], self.traffic.settings, self.min_requests)


def measurements_of(step: StepReport, settings: TrafficSettings, min_requests: int) -> tuple[Measurement, ...]:
    """What a report says. A generator that was late takes the blame for what was slow, not for errors."""
    share = step.errors / step.sent if step.sent else 1.0
    errors = Reading(value=share, detail=f"{step.errors} of {step.sent} requests")
    if step.sent < min_requests:
        told = f"{step.sent} requests, where {min_requests} are needed"
        errors = Reading(result=Result.INCONCLUSIVE, detail=told)
    elif share > settings.errors:
        errors = Reading(value=share, result=Result.FAILED, detail=f"{errors.detail} failed")
    rate = Reading(value=step.achieved)
    if step.achieved < REACHED * step.rate:
        told = f"asked rate not reached: {step.achieved:.1f} of {step.rate:g} a second"
        rate = Reading(value=step.achieved, result=Result.INCONCLUSIVE, detail=told)
    latency = Reading(value=step.p95)
    if settings.p95 and step.p95 > settings.p95:
        told = f"p95 is {step.p95 * 1000:.0f} ms; {settings.p95 * 1000:.0f} ms are allowed"
        latency = Reading(value=step.p95, result=Result.FAILED, detail=told)
    if step.lateness > LATE:
        told = f"generator saturated: it was late by {step.lateness * 1000:.0f} ms itself (99 of 100)"
        latency = Reading(value=step.p95, result=Result.INCONCLUSIVE, detail=told)
    return (
        measured(LOAD_LATENCY, latency),
        measured(LOAD_ERRORS, errors),
        Measurement(metric=LOAD_ERRORS + REQUESTS, result=Result.SUCCESSFUL, value=float(step.sent)),
        measured(LOAD_RATE, rate),
    )
