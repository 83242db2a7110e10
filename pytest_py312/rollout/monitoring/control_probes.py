"""Probes of the control, the previous version next to the new one: the same probes at the same times.

A control that does not run or cannot be reached is inconclusive. Only a running control that fails shows that the cause
is the environment and not the new version.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.metrics.log_patterns import count_patterns
from pytest_py312.rollout.metrics.reading import to_measurement
from pytest_py312.rollout.metrics.resource_usage import CONTROL_MEMORY, MEMORY
from pytest_py312.rollout.metrics.worker_processes import CONTROL_EXPECTED_PROCESSES, process_readings
from pytest_py312.rollout.monitoring.health_probes import GrpcProbe
from pytest_py312.rollout.monitoring.probes import ENGINE_TIMEOUT, AddressLookup, HttpProbe, Probe, TcpProbe
from pytest_py312.rollout.targets.target import ServiceUnreachable, Target, TargetError, TargetRefused


def control_address(address: AddressLookup) -> AddressLookup:
    """Wrap ``address`` so that a control that does not run counts as unreachable and not as failed."""

    def control_address_or_unreachable() -> tuple[str, int]:
        try:
            return address()
        except TargetRefused as error:
            raise ServiceUnreachable(f"control: {error}") from error

    return control_address_or_unreachable


def control_probes(probes: Sequence[Probe], address: AddressLookup) -> tuple[Probe, ...]:
    """Return the probes that also apply to a control, with its ``address``."""
    return tuple(
        replace(probe, address=address) for probe in probes if isinstance(probe, HttpProbe | TcpProbe | GrpcProbe)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlUsageProbe:
    """What the engine reports of a control: its processes, and its memory to judge growth, also for each of the plan's
    ``metrics`` that measures memory.
    """

    target: Target
    spec: ServiceSpec
    control: Container
    metrics: tuple[MetricSettings, ...]
    timeout: float = ENGINE_TIMEOUT
    repeatable: bool = False

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`.probes.Probe`."""
        try:
            usage = await run_in_thread(
                lambda: self.target.read_usage(self.spec, self.control, since=now.wall), timeout=self.timeout
            )
        except (TargetError, TimeoutError):
            return ()  # nothing to compare with in this sample
        readings, expected = process_readings(
            previous, usage.process_ages, now, expected_metric=CONTROL_EXPECTED_PROCESSES
        )
        processes = [to_measurement(name, reading) for name, reading in readings.items()]
        if not usage.memory:
            return (*processes, *((expected,) if expected else ()))
        names = [metric.name for metric in self.metrics if (metric.query or metric.name) == MEMORY]
        memory = [
            Measurement(metric=name, result=Result.SUCCESSFUL, value=float(usage.memory))
            for name in (CONTROL_MEMORY, *names)
        ]
        return (*memory, *processes, *((expected,) if expected else ()))


@dataclass(kw_only=True)
class OldVersionExceptions:
    """Exceptions that the previous version logs, from the remaining log of the stopped container and from the control.

    A call returns all fingerprints seen so far, ``None`` if no log could be read yet. May block.
    """

    target: Target
    spec: ServiceSpec
    containers: tuple[Container, ...]
    _since: dict[str, float] = field(default_factory=dict)
    _fingerprints: set[str] = field(default_factory=set)

    def __call__(self, now: float) -> frozenset[str] | None:
        """Read the logs up to ``now`` (seconds since the epoch)."""
        for container in self.containers:
            try:
                usage = self.target.read_usage(self.spec, container, since=self._since.get(container.id, 0.0))
            except TargetError:
                continue  # gone; what it logged earlier still counts
            self._fingerprints |= count_patterns(usage.log).exceptions.keys()
            self._since[container.id] = now
        return frozenset(self._fingerprints) if self._since else None
