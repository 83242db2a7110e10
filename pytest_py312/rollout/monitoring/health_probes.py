"""Availability of services that do not speak HTTP: by the health service of gRPC, or by a command in the container."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pytest_py312.rollout.domain.model import Container, Measurement, Moment, Result, Sample
from pytest_py312.rollout.metrics.grpc_health import ask_health
from pytest_py312.rollout.metrics.reading import Reading, measured, one_line
from pytest_py312.rollout.metrics.threads import in_thread
from pytest_py312.rollout.monitoring.probes import AVAILABILITY, ENGINE_LIMIT, LATENCY, LIMIT, Address
from pytest_py312.rollout.targets.target import TargetError, TargetLost, TargetRefused, TargetUnreachable


@dataclass(frozen=True, kw_only=True, slots=True)
class GrpcProbe:
    """Availability and latency by one question to the health service of gRPC. ``service`` empty: the whole server."""

    address: Address
    service: str = ""
    limit: float = LIMIT
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`.probes.Probe`."""
        reading = await self._read()
        if reading.result is not None:
            return (measured(AVAILABILITY, reading),)
        return (
            Measurement(metric=AVAILABILITY, result=Result.SUCCESSFUL, value=1.0),
            measured(LATENCY, reading),
        )

    async def _read(self) -> Reading:
        try:
            host, port = await in_thread(self.address, limit=self.limit)
            return await in_thread(
                lambda: ask_health(host, port, self.service, limit=self.limit), limit=self.limit + 2.0
            )
        except TargetUnreachable as error:
            return Reading(result=Result.INCONCLUSIVE, detail=str(error))
        except TargetRefused as error:
            return Reading.failed(str(error))
        except (TargetLost, TimeoutError) as error:
            return Reading.error(str(error) or "the engine did not tell the address in time")


@runtime_checkable
class Executing(Protocol):
    """A target that can run a command in a container."""

    def execute(self, container: Container, argv: Sequence[str], *, limit: float) -> tuple[int, str]:
        """Its exit code, and the end of what it printed; raises as the verbs of a target do.

        :raises TargetRefused: also where it did not end within ``limit`` seconds, or there is no such program.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecProbe:
    """Availability by a command in the container: it ends with 0."""

    target: Executing
    container: Container
    argv: tuple[str, ...]
    limit: float = LIMIT
    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`.probes.Probe`."""
        try:
            code, printed = await in_thread(
                lambda: self.target.execute(self.container, self.argv, limit=self.limit), limit=ENGINE_LIMIT
            )
        except TargetRefused as error:
            return (measured(AVAILABILITY, Reading.failed(str(error))),)
        except (TargetError, TimeoutError) as error:
            return (measured(AVAILABILITY, Reading.error(str(error) or "the engine did not answer in time")),)
        if code:
            return (measured(AVAILABILITY, Reading.failed(f"{self.argv[0]} ended with {code}: {one_line(printed)}")),)
        return (Measurement(metric=AVAILABILITY, result=Result.SUCCESSFUL, value=1.0),)
