"""What is asked of the old version that runs beside the new one: the same, at the same moments.

One that does not run, or cannot be asked, says nothing: only a twin that runs and is not well can tell that something
around both is to blame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.repository.plan.rollout_settings import MetricSettings
from pytest_py312.rollout.domain.model import Container, Measurement, Moment, Result, Sample, ServiceSpec
from pytest_py312.rollout.metrics.log_patterns import patterns_in
from pytest_py312.rollout.metrics.resource_usage import MEMORY
from pytest_py312.rollout.metrics.threads import in_thread
from pytest_py312.rollout.monitoring.health_probes import GrpcProbe
from pytest_py312.rollout.monitoring.probes import ENGINE_LIMIT, Address, HttpProbe, Probe, TcpProbe
from pytest_py312.rollout.targets.target import Target, TargetError, TargetRefused, TargetUnreachable


def address_of_twin(address: Address) -> Address:
    """``address``, but a twin that does not run is one that cannot be asked, and no old version that failed."""

    def of_it() -> tuple[str, int]:
        try:
            return address()
        except TargetRefused as error:
            raise TargetUnreachable(f"the old version beside it: {error}") from error

    return of_it


def of_twin(probes: Sequence[Probe], address: Address) -> tuple[Probe, ...]:
    """Those of ``probes`` that a twin can be asked as well, asked of the one at ``address``."""
    return tuple(
        replace(probe, address=address) for probe in probes if isinstance(probe, HttpProbe | TcpProbe | GrpcProbe)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TwinUsage:
    """The memory that a twin uses, for each of ``metrics`` (of the plan) that is about that."""

    target: Target
    spec: ServiceSpec
    twin: Container
    metrics: tuple[MetricSettings, ...]
    limit: float = ENGINE_LIMIT
    repeatable: bool = False

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        """See :class:`.probes.Probe`."""
        try:
            usage = await in_thread(lambda: self.target.sample(self.spec, self.twin, since=now.wall), limit=self.limit)
        except (TargetError, TimeoutError):
            return ()  # there is nothing to compare with just now
        if not usage.memory:
            return ()
        return tuple(
            Measurement(metric=metric.name, result=Result.SUCCESSFUL, value=float(usage.memory))
            for metric in self.metrics
            if (metric.query or metric.name) == MEMORY
        )


@dataclass(kw_only=True)
class KnownExceptions:
    """Exceptions that the old version logs: the one that served before, in what is left of its log, and the twin.

    Called, it says all that it has seen so far; ``None`` where no log could be read. May block.
    """

    target: Target
    spec: ServiceSpec
    containers: tuple[Container, ...]
    _since: dict[str, float] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def __call__(self, now: float) -> frozenset[str] | None:
        """:param now: seconds since the epoch, up to which it is read."""
        for one in self.containers:
            try:
                usage = self.target.sample(self.spec, one, since=self._since.get(one.id, 0.0))
            except TargetError:
                continue  # gone; what it has said before still counts
            self._known |= patterns_in(usage.log).exceptions.keys()
            self._since[one.id] = now
        return frozenset(self._known) if self._since else None
