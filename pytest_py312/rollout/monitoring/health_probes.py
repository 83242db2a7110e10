"""Availability probes for services without HTTP: the gRPC health service, or a command in the container."""

from dataclasses import dataclass

from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.metrics.grpc_health import check_grpc_health
from pytest_py312.rollout.metrics.reading import MetricReading, single_line, to_measurement
from pytest_py312.rollout.monitoring.probes import (
    AVAILABILITY,
    ENGINE_TIMEOUT,
    LATENCY,
    NO_ADDRESS,
    PROBE_TIMEOUT,
    AddressLookup,
    reading_from_error,
)
from pytest_py312.rollout.targets.target import (
    SupportsExec,
    TargetError,
    TargetRefused,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GrpcProbe:
    """Measurement of availability and latency by the gRPC health service. ``service`` is empty for the whole server."""

    address: AddressLookup
    service: str = ""
    timeout: float = PROBE_TIMEOUT
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`.probes.Probe`."""
        reading = await self._read()
        if reading.result is not None:
            return (to_measurement(AVAILABILITY, reading),)
        return (Measurement(metric=AVAILABILITY, result=Result.SUCCESSFUL, value=1.0), to_measurement(LATENCY, reading))

    async def _read(self) -> MetricReading:
        try:
            host, port = await run_in_thread(self.address, timeout=self.timeout)
            return await run_in_thread(
                lambda: check_grpc_health(host, port, self.service, timeout=self.timeout), timeout=self.timeout + 2.0
            )
        except TargetError as error:
            return reading_from_error(error)
        except TimeoutError as error:
            return MetricReading.error(str(error) or NO_ADDRESS)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecProbe:
    """Measurement of availability with a command in the container, which has to exit with 0."""

    target: SupportsExec
    container: Container
    argv: tuple[str, ...]
    timeout: float = PROBE_TIMEOUT
    repeatable: bool = True

    async def measure(self, previous: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        """Measure; see :class:`.probes.Probe`."""
        return (to_measurement(AVAILABILITY, await self._read()),)

    async def _read(self) -> MetricReading:
        try:
            code, output = await run_in_thread(
                lambda: self.target.execute(self.container, self.argv, timeout=self.timeout), timeout=ENGINE_TIMEOUT
            )
        except TargetRefused as error:
            return MetricReading.failed(str(error))
        except (TargetError, TimeoutError) as error:
            return MetricReading.error(str(error) or "the engine did not answer in time")
        if code:
            return MetricReading.failed(f"{self.argv[0]} ended with {code}: {single_line(output)}")
        return MetricReading(value=1.0)
