"""What is asked about a service at each sample, and the measurements that come of it.

A probe never raises: what kept it from an answer is a measurement too. A *repeatable* one may be asked again right
away to tell a blip from an outage; what an engine counts since the last sample may not, as it would be gone.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS
from pytest_py312.rollout.domain.model import (
    Container,
    Measurement,
    Moment,
    Observation,
    Result,
    Sample,
    ServiceSpec,
    Usage,
)
from pytest_py312.rollout.metrics import resource_usage
from pytest_py312.rollout.metrics.http_client import Answer, NoAnswer, NotAsked, ask, url_of
from pytest_py312.rollout.metrics.log_patterns import Patterns, patterns_in
from pytest_py312.rollout.metrics.prometheus import filled_in, query
from pytest_py312.rollout.metrics.reading import Reading, measured
from pytest_py312.rollout.metrics.threads import in_thread
from pytest_py312.rollout.metrics.user_functions import PythonFunction
from pytest_py312.rollout.targets.target import (
    Phase,
    Target,
    TargetError,
    TargetLost,
    TargetRefused,
    TargetUnreachable,
)

AVAILABILITY = "availability"
LATENCY = "latency"
"""Seconds, from the beginning of the question to the last byte of the answer."""
INTERPRETER = "interpreter"
DRIFT = "drift"
UNDONE = "undone"
"""That the target itself has taken the new version away: it was no good, and nobody else has acted."""
HEALTH_CHECK = "health check"
"""What the engine's own check of the container says, where it has one."""
LIMIT = 5.0
"""Seconds that a probe may take, all in all."""
WINDOW = 300.0
"""Seconds that a query is about, where the plan does not say."""
ENGINE_LIMIT = 30.0
"""Seconds that an engine may take: asked for many containers, it answers them in turn."""

Address = Callable[[], tuple[str, int]]
"""Where the service listens just now; a restart may move it. May block, and raise as a target does."""


class Probe(Protocol):
    """A question about one service."""

    @property
    def repeatable(self) -> bool:
        """Whether it may be asked again within one sample."""
        ...

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """Ask. ``before`` is the last sample of the service that was kept."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpProbe:
    """Availability and latency by one request: an answer below 400 in time is available.

    ``metric`` is a metric of the plan that the same answer's latency is judged by; without one it is recorded.
    """

    address: Address
    path: str
    metric: MetricSettings | None = None
    missing: str = "inconclusive"
    limit: float = LIMIT
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`Probe`."""
        reading = await self._read()
        if self.metric is not None:
            return (judged(self.metric, reading, self.missing),)
        if reading.result is not None:
            return (Measurement(metric=AVAILABILITY, result=reading.result, detail=reading.detail),)
        return (
            Measurement(metric=AVAILABILITY, result=Result.SUCCESSFUL, value=1.0),
            measured(LATENCY, reading),
        )

    async def _read(self) -> Reading:
        try:
            host, port = await in_thread(self.address, limit=self.limit)
            answer = await ask(url_of(host, port, self.path), limit=self.limit)
        except (NotAsked, TargetLost, TimeoutError) as error:
            return Reading.error(str(error) or "the engine did not tell the address in time")
        except TargetUnreachable as error:
            return Reading(result=Result.INCONCLUSIVE, detail=str(error))
        except (NoAnswer, TargetRefused) as error:
            return Reading.failed(f"{self.path}: {error}")
        return self._judged(answer)

    def _judged(self, answer: Answer) -> Reading:
        if answer.status >= 400:
            return Reading.failed(f"{self.path}: HTTP {answer.status}")
        return Reading(value=answer.seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class TcpProbe:
    """Whether somebody accepts connections."""

    address: Address
    limit: float = LIMIT
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`Probe`."""
        reading = await self._read()
        return (measured(AVAILABILITY, reading),)

    async def _read(self) -> Reading:
        try:
            host, port = await in_thread(self.address, limit=self.limit)
            return await in_thread(lambda: _connect(host, port, self.limit), limit=self.limit)
        except TargetLost as error:
            return Reading.error(str(error))
        except TargetUnreachable as error:
            return Reading(result=Result.INCONCLUSIVE, detail=str(error))
        except TargetRefused as error:
            return Reading.failed(str(error))
        except TimeoutError:
            return Reading.failed(f"no connection within {self.limit:g} s")


def _connect(host: str, port: int, limit: float) -> Reading:
    try:
        with socket.create_connection((host, port), timeout=limit):
            return Reading(value=1.0)
    except socket.gaierror as error:
        return Reading.error(f"{host} cannot be found: {error}")
    except OSError as error:
        return Reading.failed(f"port {port}: {error}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerHealth:
    """Availability as the engine knows it: the container runs, and the command that checks its health says well."""

    target: Target
    spec: ServiceSpec
    limit: float = ENGINE_LIMIT
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`Probe`."""
        return await _as_told(lambda: health_in(self.target.observe(self.spec)), self.limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyProbe:
    """Availability as the target asks it: for a service that is not reached from here."""

    target: Target
    spec: ServiceSpec
    container: Container
    limit: float = ENGINE_LIMIT
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`Probe`."""
        return await _as_told(self._asked, self.limit)

    def _asked(self) -> Reading:
        found = self.target.ready(self.spec, self.container)
        return Reading(value=1.0) if found.phase is Phase.READY else Reading.failed(found.detail)


async def _as_told(ask: Callable[[], Reading], limit: float) -> tuple[Measurement, ...]:
    """Availability as a target tells it; that it tells nothing is its trouble and not the service's."""
    try:
        return (measured(AVAILABILITY, await in_thread(ask, limit=limit)),)
    except (TargetError, TimeoutError) as error:
        return (Measurement(metric=AVAILABILITY, result=Result.ERROR, detail=_engine_trouble(error)),)


def health_in(seen: Observation | None) -> Reading:
    """What an observation says about availability."""
    if seen is None:
        return Reading.failed("there is no container of that name")
    if not seen.running:
        return Reading.failed(f"it does not run; it ended with {seen.exit_code}")
    if seen.health == "unhealthy":
        return Reading.failed("its health check fails")
    if seen.health == "starting":
        return Reading(result=Result.INCONCLUSIVE, detail="its health check has not said anything yet")
    return Reading(value=1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerProbe:
    """What the engine tells: is it the container that was deployed, on which interpreter, and what does it use and log.

    ``metrics`` are those of the plan with the providers ``docker`` and ``logs``. ``known`` are exceptions that the old
    version logs too; where it is ``None`` nobody knows them, and exceptions are recorded only.
    """

    target: Target
    spec: ServiceSpec
    container: Container
    interpreter: Interpreter | None = None
    metrics: tuple[MetricSettings, ...] = ()
    missing: str = "inconclusive"
    missing_of: Mapping[str, str] = field(default_factory=dict)
    """The same for single metrics of the plan."""
    known: Callable[[float], frozenset[str] | None] = lambda now: None
    """Given the date; may block."""
    limit: float = ENGINE_LIMIT
    repeatable: bool = False

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`Probe`."""
        since = before.at.wall if before else now.wall
        try:
            seen, usage, known = await in_thread(lambda: self._ask(since, now.wall), limit=self.limit)
        except (TargetError, TimeoutError) as error:
            return (Measurement(metric="engine", result=Result.ERROR, detail=_engine_trouble(error)),)
        return (*self._identity(seen), *self._figures(usage, known, before, now))

    def _ask(self, since: float, now: float) -> tuple[Observation | None, Usage | None, frozenset[str] | None]:
        seen = self.target.observe(self.spec)
        if seen is None or seen.container.id != self.container.id:
            return seen, None, None
        return seen, self.target.sample(self.spec, self.container, since=since), self.known(now)

    def _identity(self, seen: Observation | None) -> list[Measurement]:
        if seen is None:
            return [measured("container", Reading.failed("it is gone, and nothing has its name"))]
        if seen.container.id != self.container.id and seen.undone:
            return [measured(UNDONE, Reading.failed(seen.undone))]
        if seen.container.id != self.container.id:
            told = f"container {seen.container.id[:12]} serves, where {self.container.id[:12]} was deployed"
            return [measured(DRIFT, Reading.failed(told))]
        found = [Measurement(metric=DRIFT, result=Result.SUCCESSFUL)]
        if self.interpreter is not None and seen.interpreters:
            found.append(measured(INTERPRETER, interpreters_read(seen.interpreters, self.interpreter)))
        if seen.health and seen.running:
            found.append(measured(HEALTH_CHECK, health_in(seen)))
        return found

    def _figures(
        self, usage: Usage | None, known: frozenset[str] | None, before: Sample | None, now: Moment
    ) -> list[Measurement]:
        if usage is None:
            return []
        found = resource_usage.figures(resource_usage.counters_in(before), usage, now)
        patterns = patterns_in(usage.log, lost=usage.log_lost)
        found |= log_readings(patterns, known)
        planned = {metric.query or metric.name: metric for metric in self.metrics}
        made = [measured(name, reading, missing=self.missing) for name, reading in found.items() if name not in planned]
        for wanted, metric in planned.items():
            if wanted in found:
                made.append(judged(metric, found[wanted], self.missing_of.get(metric.name, self.missing)))
            elif wanted != resource_usage.CPU:  # of which there is none at the first reading
                made.append(measured(metric.name, Reading.error(f"there is no figure {wanted}")))
        return [*made, *resource_usage.counters_of(usage)]


def interpreters_read(seen: Sequence[Interpreter], wanted: Interpreter) -> Reading:
    """What the Pythons of all processes say. One that runs beside the wanted one may be a job's of a moment."""
    others = ", ".join(str(one) for one in seen if one != wanted)
    if wanted not in seen:
        return Reading.failed(f"it runs on {others}, not on {wanted}")
    if others:
        told = f"Python {others} runs beside {wanted}; where that is meant to be, name the service's `version` path"
        return Reading(result=Result.INCONCLUSIVE, detail=told)
    return Reading(result=Result.SUCCESSFUL)


def log_readings(patterns: Patterns, known: frozenset[str] | None) -> dict[str, Reading]:
    """Name of what is counted in a log -> how often. Exceptions that are ``known`` are not new."""
    new = {name: count for name, count in patterns.exceptions.items() if known is not None and name not in known}
    worst = sorted(patterns.exceptions, key=lambda name: (name not in new, -patterns.exceptions[name], name))
    lost = "lines were lost; " if patterns.lost else ""
    exceptions = Reading(value=float(sum(patterns.exceptions.values())), detail=lost + "; ".join(worst))
    if known is not None and new:
        told = f"new: {'; '.join(name for name in worst if name in new)}"
        exceptions = Reading(value=float(sum(new.values())), result=Result.FAILED, detail=told)
    return {
        "exceptions": exceptions,
        "log errors": Reading(value=float(patterns.errors)),
        "log warnings": Reading(value=float(patterns.warnings)),
        "deprecations": Reading(value=float(patterns.deprecations)),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class PrometheusProbe:
    """A metric of the plan that a query answers; where it says of how many requests, of enough of them."""

    address: str
    metric: MetricSettings
    service: str
    missing: str = "inconclusive"
    min_requests: int = 0
    limit: float = 10.0
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`Probe`."""
        if self.metric.requests:
            counted = await self._query(self.metric.requests)
            if counted.result is not None:
                return (judged(self.metric, counted, self.missing),)
            if counted.value is None or counted.value < self.min_requests:
                told = f"{counted.value or 0:.0f} requests, where {self.min_requests} are needed"
                return (Measurement(metric=self.metric.name, result=Result.INCONCLUSIVE, detail=told),)
            if self.metric.budget:
                count = Measurement(metric=self.metric.name + REQUESTS, result=Result.SUCCESSFUL, value=counted.value)
                return (judged(self.metric, await self._query(self.metric.query), self.missing), count)
        return (judged(self.metric, await self._query(self.metric.query), self.missing),)

    async def _query(self, expression: str) -> Reading:
        text = filled_in(expression, service=self.service, window=self.metric.window or WINDOW)
        return await query(self.address, text, limit=self.limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonProbe:
    """A metric of the plan that a function of the user answers."""

    function: PythonFunction
    metric: MetricSettings
    service: str
    missing: str = "inconclusive"
    limit: float = 10.0
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`Probe`."""
        return (judged(self.metric, await self.function.call(self.service, limit=self.limit), self.missing),)


def judged(metric: MetricSettings, reading: Reading, missing: str) -> Measurement:
    """What ``reading`` means by what the plan says about ``metric``. Its own conditions go before the provider's."""
    if reading.value is not None and (metric.success or metric.failure):
        reading = Reading(value=reading.value, detail=reading.detail)
    return measured(metric.name, reading, success=metric.success, failure=metric.failure, missing=missing)


def _engine_trouble(error: Exception) -> str:
    return f"the engine: {str(error) or 'no answer in time'}"
