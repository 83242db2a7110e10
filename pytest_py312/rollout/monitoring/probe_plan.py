"""What the plan settles -> what is asked of each service of a stage that was deployed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import (
    CompareSettings,
    EnvironmentSettings,
    MetricSettings,
    RolloutSettings,
    SoakSettings,
)
from pytest_py312.rollout.canary_analysis.error_budget import Budget
from pytest_py312.rollout.domain.model import Container, Deployment, ServiceSpec, StageRun
from pytest_py312.rollout.metrics.user_functions import PythonFunction
from pytest_py312.rollout.monitoring.breaches import MetricRule, Watched
from pytest_py312.rollout.monitoring.control_probes import KnownExceptions, TwinUsage, address_of_twin, of_twin
from pytest_py312.rollout.monitoring.health_probes import ExecProbe, Executing, GrpcProbe
from pytest_py312.rollout.monitoring.probes import (
    WINDOW,
    Address,
    ContainerHealth,
    ContainerProbe,
    HttpProbe,
    Probe,
    PrometheusProbe,
    PythonProbe,
    ReadyProbe,
    TcpProbe,
)
from pytest_py312.rollout.monitoring.traffic import BESIDE, LOAD_ERRORS, NEW, Traffic, TrafficProbe
from pytest_py312.rollout.targets.target import Target


@runtime_checkable
class Reachable(Protocol):
    """A target that tells where a container listens, so that the service itself can be asked, and timed."""

    def address(self, spec: ServiceSpec, container: Container) -> tuple[str, int]:
        """Host and port of ``spec.port``, as they are from here; raises as a target does."""
        ...


def watched_of(
    run: StageRun, services: Mapping[str, Service], settings: RolloutSettings, target: Target, *, root: Path
) -> tuple[Watched, ...]:
    """Each service of ``run`` with its probes.

    :param root: the folder of the plan.
    :raises RolloutRefused: a metric cannot be asked for, or a service is no longer there.
    """
    gone = [name for name in run.services if name not in services]
    if gone:
        raise RolloutRefused(f"stage {run.stage} was deployed with {', '.join(gone)}, which the plan no longer has")
    return tuple(_Service(run, services[one.service], one, settings, target, root).watched() for one in run.deployments)


class _Service:
    """One service, on the way to its probes."""

    def __init__(
        self,
        run: StageRun,
        service: Service,
        deployment: Deployment,
        settings: RolloutSettings,
        target: Target,
        root: Path,
    ) -> None:
        if deployment.new is None:
            raise RolloutRefused(f"{service.name} was not deployed: there is nothing to watch")
        self._run = run
        self._service = service
        self._spec = deployment.spec
        self._container = deployment.new
        self._deployment = deployment
        self._settings = settings
        self._target = target
        self._root = root
        self._where: EnvironmentSettings = settings.environment(run.environment)
        self._metrics = settings.metrics_of(service.name, service.path)

    def watched(self) -> Watched:
        rules = {
            metric.name: MetricRule(
                settings=metric,
                limits=self._soak(metric.name),
                compare=self._compare(metric.name),
            )
            for metric in self._metrics
        }
        asked = (*self._availability(), *self._asked())
        new_traffic, old_traffic = self._traffic()
        return Watched(
            service=self._service.name,
            critical=self._service.critical,
            probes=(*asked, self._engine(), *new_traffic),
            twin=(*self._twin(asked), *old_traffic),
            no_twin=self._deployment.no_twin,
            settings=self._soak(),
            compare=self._compare(),
            rules=rules,
            budgets=self._budgets(),
        )

    def _budgets(self) -> dict[str, Budget]:
        found = {
            metric.name: Budget(share=metric.budget, window=metric.window or WINDOW)
            for metric in self._metrics
            if metric.budget
        }
        load = self._soak().load
        return found | ({LOAD_ERRORS: Budget(share=load.budget)} if load.rate and load.budget else {})

    def _traffic(self) -> tuple[list[Probe], list[Probe]]:
        """Traffic for the new version, and for the old one where it runs beside."""
        soak, address = self._soak(), self._address()
        load, path = soak.load, soak.load.path or self._spec.health
        if not load.rate:
            return [], []
        if address is None or not path:
            raise RolloutRefused(
                f"the plan wants traffic for {self._service.name}, and there is no port or no path to ask; write "
                f"`port` in its deploy table and `path` in its load table"
            )
        # what one sample asks has come to its end before the next is due
        seconds = min(load.seconds, self._settings.soak_of(stage=self._run.stage).interval / 2)
        if load.rate * seconds < soak.min_requests:
            raise RolloutRefused(
                f"the traffic of {self._service.name} is {load.rate * seconds:.0f} requests a sample ({load.rate:g} a "
                f"second for {seconds:g} s), and a share of fewer than {soak.min_requests} says nothing: raise its "
                "`rate` or `seconds`"
            )
        twin = self._twin_address()
        addresses = {NEW: address} | ({BESIDE: twin} if twin else {})
        traffic = Traffic(addresses=addresses, path=path, settings=load, seconds=seconds)
        probes = [
            TrafficProbe(traffic=traffic, version=version, min_requests=soak.min_requests) for version in addresses
        ]
        return [probes[0]], [*probes[1:]]

    def _soak(self, metric: str = "") -> SoakSettings:
        service = self._service
        return self._settings.soak_of(stage=self._run.stage, name=service.name, path=service.path, metric=metric)

    def _compare(self, metric: str = "") -> CompareSettings:
        service = self._service
        return self._settings.compare_of(stage=self._run.stage, name=service.name, path=service.path, metric=metric)

    def _availability(self) -> list[Probe]:
        """The best that can be asked: the service itself, its port, what the target knows of its health."""
        address = self._address()
        target: object = self._target
        if self._spec.grpc is not None and not address:
            raise RolloutRefused(
                f"{self._service.name} cannot be asked over gRPC: the target {self._target.name} tells no address"
            )
        if self._spec.health_command and not isinstance(target, Executing):
            raise RolloutRefused(f"the target {self._target.name} runs no health-command; {self._service.name} has one")
        if address and self._spec.health:
            return [HttpProbe(address=address, path=self._spec.health)]
        if self._spec.health:
            return [ReadyProbe(target=self._target, spec=self._spec, container=self._container)]
        if address and self._spec.grpc is not None:
            return [GrpcProbe(address=address, service=self._spec.grpc)]
        if self._spec.health_command and isinstance(target, Executing):
            return [ExecProbe(target=target, container=self._container, argv=self._spec.health_command)]
        health = ContainerHealth(target=self._target, spec=self._spec)
        return [TcpProbe(address=address)] if address else [health]

    def _twin(self, asked: Sequence[Probe]) -> tuple[Probe, ...]:
        twin, target = self._deployment.twin, self._target
        if twin is None:
            return ()
        metrics = tuple(metric for metric in self._metrics if metric.provider == "docker")
        found: list[Probe] = [TwinUsage(target=target, spec=self._spec, twin=twin, metrics=metrics)] if metrics else []
        address = self._twin_address()
        return (*found, *(of_twin(asked, address) if address else ()))

    def _twin_address(self) -> Address | None:
        twin, target = self._deployment.twin, self._target
        if twin is None or not isinstance(target, Reachable) or not self._spec.port:
            return None
        return address_of_twin(lambda: target.address(self._spec, twin))

    def _known(self) -> Callable[[float], frozenset[str] | None]:
        """Exceptions of the old version, where it was to be compared with."""
        one = self._deployment
        if one.twin is None or one.old is None:
            return lambda now: None
        return KnownExceptions(target=self._target, spec=self._spec, containers=(one.old, one.twin))

    def _address(self) -> Address | None:
        target = self._target
        if not isinstance(target, Reachable) or not self._spec.port:
            return None
        return lambda: target.address(self._spec, self._container)

    def _asked(self) -> list[Probe]:
        return [self._probe(metric) for metric in self._metrics if metric.provider not in ("docker", "logs")]

    def _probe(self, metric: MetricSettings) -> Probe:
        name = self._service.name
        missing = self._soak(metric.name).missing
        if metric.provider == "prometheus":
            if not self._where.prometheus:
                raise RolloutRefused(
                    f"the metric {metric.name} asks a Prometheus, and the plan does not say where that is; write "
                    f'{self._where.name} = {{ prometheus = "http://..." }} in [deploy.environments]'
                )
            return PrometheusProbe(
                address=self._where.prometheus,
                metric=metric,
                service=name,
                missing=missing,
                min_requests=self._soak(metric.name).min_requests,
            )
        if metric.provider == "python":
            function = PythonFunction(metric.query, self._root)
            return PythonProbe(function=function, metric=metric, service=name, missing=missing)
        address = self._address()
        path = metric.query or self._spec.health
        if address is None or not path.startswith("/"):
            raise RolloutRefused(
                f"the metric {metric.name} asks {name} over HTTP, and there is no port or no path to ask"
            )
        return HttpProbe(address=address, path=path, metric=metric, missing=missing)

    def _engine(self) -> Probe:
        metrics = tuple(metric for metric in self._metrics if metric.provider in ("docker", "logs"))
        return ContainerProbe(
            target=self._target,
            spec=self._spec,
            container=self._container,
            interpreter=self._run.target,
            metrics=metrics,
            missing=self._soak().missing,
            missing_of={metric.name: self._soak(metric.name).missing for metric in metrics},
            known=self._known(),
        )
