"""Probes: the measurements that are taken of a service in each sample of a soak.

A probe never raises; an error is a measurement too. A *repeatable* probe may run again within the same sample, to
distinguish a short failure from an outage. Probes that read what happened since the last sample are not repeatable.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS_SUFFIX
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.metrics import resource_usage
from pytest_py312.rollout.metrics.http_client import HttpResponse, NoResponse, RequestNotSent, build_url, http_request
from pytest_py312.rollout.metrics.log_patterns import LogPatterns, count_patterns
from pytest_py312.rollout.metrics.prometheus import run_query, substitute_placeholders
from pytest_py312.rollout.metrics.reading import MetricReading, to_measurement
from pytest_py312.rollout.metrics.user_functions import UserFunction
from pytest_py312.rollout.metrics.worker_processes import process_readings
from pytest_py312.rollout.targets.target import (
    ReadinessPhase,
    ServiceUnreachable,
    Target,
    TargetError,
    TargetRefused,
)

AVAILABILITY = "availability"
LATENCY = "latency"
"""Seconds from the start of the request to the last byte of the response."""
INTERPRETER = "interpreter"
DRIFT = "drift"
ENGINE_ROLLBACK = "undone"
"""Metric that fails if the target itself rolled the new version back or stopped its update."""
HEALTH_CHECK = "health check"
"""Result of the engine's own health check of the container, if it has one."""
PROBE_TIMEOUT = 5.0
"""Seconds that a probe may take in total."""
DEFAULT_WINDOW = 300.0
"""Default time window of a query in seconds."""
ENGINE_TIMEOUT = 30.0
"""Seconds that an engine may take; it answers concurrent calls one after the other."""

NO_ADDRESS = "the engine did not return the address in time"

AddressLookup = Callable[[], tuple[str, int]]
"""Returns the current address of a service, which a restart may change. May block; raises errors of a target."""


class Probe(Protocol):
    """Source of measurements of one service."""

    @property
    def repeatable(self) -> bool:
        """Whether it may run more than once in a sample."""
        ...

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Take the measurements. ``previous`` is the last stored sample of the service."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpProbe:
    """Measurement of availability and latency with one request; a status below 400 in time counts as available.

    With ``metric``, a metric of the plan, the latency is judged by its conditions instead.
    """

    address: AddressLookup
    path: str
    metric: MetricSettings | None = None
    missing: str = "inconclusive"
    timeout: float = PROBE_TIMEOUT
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`Probe`."""
        reading = await self._read()
        if self.metric is not None:
            return (judge_reading(self.metric, reading, self.missing),)
        if reading.result is not None:
            return (Measurement(metric=AVAILABILITY, result=reading.result, detail=reading.detail),)
        return (Measurement(metric=AVAILABILITY, result=Result.SUCCESSFUL, value=1.0), to_measurement(LATENCY, reading))

    async def _read(self) -> MetricReading:
        try:
            host, port = await run_in_thread(self.address, timeout=self.timeout)
            response = await http_request(build_url(host, port, self.path), timeout=self.timeout)
        except (NoResponse, TargetRefused) as error:
            return MetricReading.failed(f"{self.path}: {error}")
        except (RequestNotSent, TimeoutError) as error:
            return MetricReading.error(str(error) or NO_ADDRESS)
        except TargetError as error:
            return reading_from_error(error)
        return self._to_reading(response)

    def _to_reading(self, response: HttpResponse) -> MetricReading:
        if response.status >= 400:
            return MetricReading.failed(f"{self.path}: HTTP {response.status}")
        return MetricReading(value=response.seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class TcpProbe:
    """Measurement of availability by connecting to the port."""

    address: AddressLookup
    timeout: float = PROBE_TIMEOUT
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`Probe`."""
        reading = await self._read()
        return (to_measurement(AVAILABILITY, reading),)

    async def _read(self) -> MetricReading:
        try:
            host, port = await run_in_thread(self.address, timeout=self.timeout)
            return await run_in_thread(lambda: _connect(host, port, self.timeout), timeout=self.timeout)
        except TargetError as error:
            return reading_from_error(error)
        except TimeoutError:
            return MetricReading.failed(f"no connection within {self.timeout:g} s")


def reading_from_error(error: TargetError) -> MetricReading:
    """Return the reading where the address of a service could not be looked up."""
    if isinstance(error, ServiceUnreachable):
        return MetricReading(result=Result.INCONCLUSIVE, detail=str(error))
    if isinstance(error, TargetRefused):
        return MetricReading.failed(str(error))
    return MetricReading.error(str(error) or NO_ADDRESS)


def _connect(host: str, port: int, timeout: float) -> MetricReading:
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return MetricReading(value=1.0)
    except socket.gaierror as error:
        return MetricReading.error(f"cannot resolve {host}: {error}")
    except OSError as error:
        return MetricReading.failed(f"port {port}: {error}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerHealthProbe:
    """Measurement of availability by the state of the container and its health check in the engine."""

    target: Target
    spec: ServiceSpec
    timeout: float = ENGINE_TIMEOUT
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`Probe`."""
        return await _availability_from_target(
            lambda: availability_reading(self.target.observe(self.spec)), self.timeout
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadinessProbe:
    """Measurement of availability through the target, for a service that this machine cannot reach."""

    target: Target
    spec: ServiceSpec
    container: Container
    timeout: float = ENGINE_TIMEOUT
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`Probe`."""
        return await _availability_from_target(self._read, self.timeout)

    def _read(self) -> MetricReading:
        readiness = self.target.readiness(self.spec, self.container)
        return (
            MetricReading(value=1.0)
            if readiness.phase is ReadinessPhase.READY
            else MetricReading.failed(readiness.detail)
        )


async def _availability_from_target(read: Callable[[], MetricReading], timeout: float) -> tuple[Measurement, ...]:
    """Measure availability through a target; errors of the target are not failures of the service."""
    try:
        return (to_measurement(AVAILABILITY, await run_in_thread(read, timeout=timeout)),)
    except (TargetError, TimeoutError) as error:
        return (Measurement(metric=AVAILABILITY, result=Result.ERROR, detail=_describe_engine_error(error)),)


def availability_reading(observation: Observation | None) -> MetricReading:
    """Convert an observation to a reading of the availability."""
    if observation is None:
        return MetricReading.failed("no container has its name")
    if not observation.running:
        return MetricReading.failed(f"it does not run; its exit code was {observation.exit_code}")
    if observation.health == "unhealthy":
        return MetricReading.failed("its health check fails")
    if observation.health == "starting":
        return MetricReading(result=Result.INCONCLUSIVE, detail="its health check has no result yet")
    return MetricReading(value=1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerProbe:
    """Measurement of what the engine reports: identity of the container, interpreter, resource usage and log.

    ``metrics`` are those of the plan with the providers ``docker`` and ``logs``. ``known_exceptions`` returns the
    exceptions that the previous version logs too. While it returns ``None``, exceptions are only recorded.
    """

    target: Target
    spec: ServiceSpec
    container: Container
    interpreter: Interpreter | None = None
    metrics: tuple[MetricSettings, ...] = ()
    missing: str = "inconclusive"
    missing_by_metric: Mapping[str, str] = field(default_factory=dict)
    """``missing`` of single metrics of the plan."""
    known_exceptions: Callable[[float], frozenset[str] | None] = lambda now: None
    """Called with the seconds since the epoch; may block."""
    judges_processes: bool = True
    """Whether processes that have ended or were replaced are inconclusive."""
    timeout: float = ENGINE_TIMEOUT
    repeatable: bool = False

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`Probe`."""
        since = previous.at.wall if previous else now.wall
        try:
            observation, usage, known_exceptions = await run_in_thread(
                lambda: self._read_target(since, now.wall), timeout=self.timeout
            )
        except (TargetError, TimeoutError) as error:
            return (Measurement(metric="engine", result=Result.ERROR, detail=_describe_engine_error(error)),)
        return (
            *self._identity_measurements(observation),
            *self._usage_measurements(usage, known_exceptions, previous, now),
        )

    def _read_target(self, since: float, now: float) -> tuple[Observation | None, Usage | None, frozenset[str] | None]:
        observation = self.target.observe(self.spec)
        if observation is None or observation.container.id != self.container.id:
            return observation, None, None
        return observation, self.target.read_usage(self.spec, self.container, since=since), self.known_exceptions(now)

    def _identity_measurements(self, observation: Observation | None) -> list[Measurement]:
        if observation is None:
            return [to_measurement("container", MetricReading.failed("it no longer exists"))]
        if observation.container.id != self.container.id and observation.undone:
            return [to_measurement(ENGINE_ROLLBACK, MetricReading.failed(observation.undone))]
        if observation.container.id != self.container.id:
            serving, deployed = observation.container.id[:12], self.container.id[:12]
            detail = f"container {serving} serves instead of {deployed}, which was deployed"
            return [to_measurement(DRIFT, MetricReading.failed(detail))]
        measurements = [Measurement(metric=DRIFT, result=Result.SUCCESSFUL)]
        if self.interpreter is not None and observation.interpreters:
            measurements.append(
                to_measurement(INTERPRETER, interpreter_reading(observation.interpreters, self.interpreter))
            )
        if observation.health and observation.running:
            measurements.append(to_measurement(HEALTH_CHECK, availability_reading(observation)))
        return measurements

    def _usage_measurements(
        self, usage: Usage | None, known_exceptions: frozenset[str] | None, previous: Sample | None, now: Timestamp
    ) -> list[Measurement]:
        if usage is None:
            return []
        readings = resource_usage.usage_readings(resource_usage.read_counters(previous), usage, now)
        ages = usage.process_ages if self.judges_processes else None
        readings_of_processes, expected = process_readings(previous, ages, now)
        readings |= readings_of_processes
        patterns = count_patterns(usage.log, is_incomplete=usage.log_lost)
        readings |= log_readings(patterns, known_exceptions)
        planned_metrics = {metric.query or metric.name: metric for metric in self.metrics}
        measurements = [
            to_measurement(name, reading, missing=self.missing)
            for name, reading in readings.items()
            if name not in planned_metrics
        ]
        for reading_name, metric in planned_metrics.items():
            if reading_name in readings:
                measurements.append(
                    judge_reading(metric, readings[reading_name], self.missing_by_metric.get(metric.name, self.missing))
                )
            elif reading_name != resource_usage.CPU:  # the first sample has no reading of it
                measurements.append(
                    to_measurement(metric.name, MetricReading.error(f"there is no metric {reading_name}"))
                )
        return [*measurements, *((expected,) if expected else ()), *resource_usage.counter_measurements(usage)]


def interpreter_reading(running: Sequence[Interpreter], target: Interpreter) -> MetricReading:
    """Judge the running interpreters; another one next to the target may belong to a short job and is inconclusive."""
    other_versions = ", ".join(str(interpreter) for interpreter in running if interpreter != target)
    if target not in running:
        return MetricReading.failed(f"it runs on {other_versions}, not on {target}")
    if other_versions:
        detail = f"Python {other_versions} runs next to {target}; if that is intended, set the service's `version` path"
        return MetricReading(result=Result.INCONCLUSIVE, detail=detail)
    return MetricReading(result=Result.SUCCESSFUL)


def log_readings(patterns: LogPatterns, known_exceptions: frozenset[str] | None) -> dict[str, MetricReading]:
    """Return the readings of a log by metric. Exceptions other than ``known_exceptions`` are failures."""
    new = {
        name: count
        for name, count in patterns.exceptions.items()
        if known_exceptions is not None and name not in known_exceptions
    }
    new_first = sorted(patterns.exceptions, key=lambda name: (name not in new, -patterns.exceptions[name], name))
    incomplete_note = "lines were lost; " if patterns.is_incomplete else ""
    exceptions = MetricReading(
        value=float(sum(patterns.exceptions.values())), detail=incomplete_note + "; ".join(new_first)
    )
    if known_exceptions is not None and new:
        detail = f"new: {'; '.join(name for name in new_first if name in new)}"
        exceptions = MetricReading(value=float(sum(new.values())), result=Result.FAILED, detail=detail)
    return {
        "exceptions": exceptions,
        "log errors": MetricReading(value=float(patterns.errors)),
        "log warnings": MetricReading(value=float(patterns.warnings)),
        "deprecations": MetricReading(value=float(patterns.deprecations)),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class PrometheusProbe:
    """Measurement of a metric of the plan with a query, and its number of requests if the plan has a query for it."""

    base_url: str
    metric: MetricSettings
    service: str
    missing: str = "inconclusive"
    min_requests: int = 0
    timeout: float = 10.0
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`Probe`."""
        if self.metric.requests:
            request_count = await self._query(self.metric.requests)
            if request_count.result is not None:
                return (judge_reading(self.metric, request_count, self.missing),)
            if request_count.value is None or request_count.value < self.min_requests:
                detail = f"{request_count.value or 0:.0f} requests; {self.min_requests} are needed"
                return (Measurement(metric=self.metric.name, result=Result.INCONCLUSIVE, detail=detail),)
            if self.metric.budget:
                count_measurement = Measurement(
                    metric=self.metric.name + REQUESTS_SUFFIX, result=Result.SUCCESSFUL, value=request_count.value
                )
                return (
                    judge_reading(self.metric, await self._query(self.metric.query), self.missing),
                    count_measurement,
                )
        return (judge_reading(self.metric, await self._query(self.metric.query), self.missing),)

    async def _query(self, expression: str) -> MetricReading:
        text = substitute_placeholders(expression, service=self.service, window=self.metric.window or DEFAULT_WINDOW)
        return await run_query(self.base_url, text, timeout=self.timeout)


@dataclass(frozen=True, kw_only=True, slots=True)
class UserFunctionProbe:
    """Measurement of a metric of the plan with a function of the user."""

    function: UserFunction
    metric: MetricSettings
    service: str
    missing: str = "inconclusive"
    timeout: float = 10.0
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`Probe`."""
        return (judge_reading(self.metric, await self.function.call(self.service, timeout=self.timeout), self.missing),)


def judge_reading(metric: MetricSettings, reading: MetricReading, missing: str) -> Measurement:
    """Convert a reading by the plan's conditions for ``metric``, which override the provider's own result."""
    if reading.value is not None and (metric.success or metric.failure):
        reading = MetricReading(value=reading.value, detail=reading.detail)
    return to_measurement(metric.name, reading, success=metric.success, failure=metric.failure, missing=missing)


def _describe_engine_error(error: Exception) -> str:
    return f"the engine: {str(error) or 'no answer in time'}"
