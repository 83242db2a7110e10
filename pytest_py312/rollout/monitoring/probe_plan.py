"""Builds the probes of each service of a deployed stage from the plan."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import (
    CompareSettings,
    EnvironmentSettings,
    MetricSettings,
    RolloutSettings,
    SoakSettings,
)
from pytest_py312.rollout.canary_analysis.error_budget import ErrorBudget
from pytest_py312.rollout.domain.model import Deployment, StageRun
from pytest_py312.rollout.metrics.user_functions import UserFunction
from pytest_py312.rollout.monitoring.control_probes import (
    ControlUsageProbe,
    OldVersionExceptions,
    control_address,
    control_probes,
)
from pytest_py312.rollout.monitoring.health_probes import ExecProbe, GrpcProbe
from pytest_py312.rollout.monitoring.monitored_service import MetricRule, MonitoredService
from pytest_py312.rollout.monitoring.probes import (
    DEFAULT_WINDOW,
    AddressLookup,
    ContainerHealthProbe,
    ContainerProbe,
    HttpProbe,
    Probe,
    PrometheusProbe,
    ReadinessProbe,
    TcpProbe,
    UserFunctionProbe,
)
from pytest_py312.rollout.monitoring.traffic import (
    CONTROL_VERSION,
    LOAD_ERRORS,
    NEW_VERSION,
    TrafficGenerator,
    TrafficProbe,
)
from pytest_py312.rollout.targets.target import SupportsAddress, SupportsExec, Target

CONTAINER_METRIC_PROVIDERS = ("docker", "logs")
"""Providers whose metrics are read together, by one :class:`ContainerProbe`."""


def monitored_services(
    run: StageRun, services: Mapping[str, Service], settings: RolloutSettings, target: Target, *, root: Path
) -> tuple[MonitoredService, ...]:
    """Return the services of ``run`` with their probes.

    :param root: the folder of the plan.
    :raises RolloutRefused: a metric cannot be measured, or the plan no longer has a service.
    """
    missing = [name for name in run.services if name not in services]
    if missing:
        raise RolloutRefused(f"stage {run.stage} was deployed with {', '.join(missing)}, which the plan no longer has")
    return tuple(
        _ServiceProbePlan(run, services[deployment.service], deployment, settings, target, root).build()
        for deployment in run.deployments
    )


class _ServiceProbePlan:
    """Builder of one service's probes."""

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
            raise RolloutRefused(f"{service.name} was not deployed, so there is nothing to monitor")
        self._run = run
        self._service = service
        self._spec = deployment.spec
        self._container = deployment.new
        self._deployment = deployment
        self._settings = settings
        self._target = target
        self._root = root
        self._environment: EnvironmentSettings = settings.environment_settings(run.environment)
        self._metrics = settings.metrics_for(service.name, service.path)

    def build(self) -> MonitoredService:
        rules = {
            metric.name: MetricRule(
                settings=metric, limits=self._soak_settings(metric.name), compare=self._compare_settings(metric.name)
            )
            for metric in self._metrics
        }
        base_probes = (*self._availability_probes(), *self._metric_probes())
        new_traffic, control_traffic = self._traffic_probes()
        return MonitoredService(
            service=self._service.name,
            critical=self._service.critical,
            probes=(*base_probes, self._container_probe(), *new_traffic),
            control_probes=(*self._control_probes(base_probes), *control_traffic),
            no_control_reason=self._deployment.no_control_reason,
            settings=self._soak_settings(),
            compare=self._compare_settings(),
            rules=rules,
            budgets=self._budgets(),
        )

    def _budgets(self) -> dict[str, ErrorBudget]:
        budgets = {
            metric.name: ErrorBudget(share=metric.budget, window=metric.window or DEFAULT_WINDOW)
            for metric in self._metrics
            if metric.budget
        }
        load = self._soak_settings().load
        return budgets | ({LOAD_ERRORS: ErrorBudget(share=load.budget)} if load.rate and load.budget else {})

    def _traffic_probes(self) -> tuple[list[Probe], list[Probe]]:
        """Return the traffic probes of the new version and of the control."""
        soak, address = self._soak_settings(), self._address()
        load = soak.load
        path = load.path or (load.requests[0].path if load.requests else self._spec.health)
        if not load.rate:
            return [], []
        if address is None or not path:
            raise RolloutRefused(
                f"the plan has traffic for {self._service.name}, but no port or no path for it; set `port` in its "
                f"deploy table and `path` in its load table"
            )
        # the traffic of one sample ends before the next sample is due
        seconds = min(load.seconds, self._settings.soak_settings_for(stage=self._run.stage).interval / 2)
        if load.rate * seconds < soak.min_requests:
            raise RolloutRefused(
                f"the traffic of {self._service.name} is {load.rate * seconds:.0f} requests per sample ({load.rate:g} "
                f"per second for {seconds:g} s), but {soak.min_requests} are needed for an error share: increase its "
                "`rate` or `seconds`"
            )
        weights = [request.weight for request in load.requests] or [1]
        needed = math.ceil(sum(weights) / min(weights))
        if round(load.rate * seconds) < needed:  # each sample begins with the first turn
            raise RolloutRefused(
                f"the traffic of {self._service.name} is {load.rate * seconds:.0f} requests per sample, but {needed} "
                "are needed to send each kind of its `requests`: increase its `rate`, `seconds` or smallest `weight`"
            )
        control = self._control_address()
        addresses = {NEW_VERSION: address} | ({CONTROL_VERSION: control} if control else {})
        traffic = TrafficGenerator(addresses=addresses, path=path, settings=load, seconds=seconds)
        probes = [
            TrafficProbe(generator=traffic, version=version, min_requests=soak.min_requests) for version in addresses
        ]
        return [probes[0]], [*probes[1:]]

    def _soak_settings(self, metric: str = "") -> SoakSettings:
        service = self._service
        return self._settings.soak_settings_for(
            stage=self._run.stage, name=service.name, path=service.path, metric=metric
        )

    def _compare_settings(self, metric: str = "") -> CompareSettings:
        service = self._service
        return self._settings.compare_settings_for(
            stage=self._run.stage, name=service.name, path=service.path, metric=metric
        )

    def _availability_probes(self) -> list[Probe]:
        """Return the best available probe: the service itself, its port, or its health as the target reports it."""
        address = self._address()
        target: object = self._target
        if self._spec.grpc is not None and not address:
            raise RolloutRefused(
                f"{self._service.name} cannot be probed over gRPC: the target {self._target.name} provides no address"
            )
        if self._spec.health_command and not isinstance(target, SupportsExec):
            raise RolloutRefused(
                f"the target {self._target.name} cannot run the health-command of {self._service.name}"
            )
        if address and self._spec.health:
            return [HttpProbe(address=address, path=self._spec.health)]
        if self._spec.health:
            return [ReadinessProbe(target=self._target, spec=self._spec, container=self._container)]
        if address and self._spec.grpc is not None:
            return [GrpcProbe(address=address, service=self._spec.grpc)]
        if self._spec.health_command and isinstance(target, SupportsExec):
            return [ExecProbe(target=target, container=self._container, argv=self._spec.health_command)]
        health = ContainerHealthProbe(target=self._target, spec=self._spec)
        return [TcpProbe(address=address)] if address else [health]

    def _control_probes(self, base_probes: Sequence[Probe]) -> tuple[Probe, ...]:
        control, target = self._deployment.control, self._target
        if control is None:
            return ()
        metrics = tuple(metric for metric in self._metrics if metric.provider == "docker")
        usage_probe = ControlUsageProbe(target=target, spec=self._spec, control=control, metrics=metrics)
        address = self._control_address()
        return (usage_probe, *(control_probes(base_probes, address) if address else ()))

    def _control_address(self) -> AddressLookup | None:
        control, target = self._deployment.control, self._target
        if control is None or not isinstance(target, SupportsAddress) or not self._spec.port:
            return None
        return control_address(lambda: target.address(self._spec, control))

    def _old_version_exceptions(self) -> Callable[[float], frozenset[str] | None]:
        """Return the source of the previous version's exceptions; it returns ``None`` without a control."""
        deployment = self._deployment
        if deployment.control is None or deployment.old is None:
            return lambda now: None
        return OldVersionExceptions(
            target=self._target, spec=self._spec, containers=(deployment.old, deployment.control)
        )

    def _address(self) -> AddressLookup | None:
        target = self._target
        if not isinstance(target, SupportsAddress) or not self._spec.port:
            return None
        return lambda: target.address(self._spec, self._container)

    def _metric_probes(self) -> list[Probe]:
        return [
            self._metric_probe(metric) for metric in self._metrics if metric.provider not in CONTAINER_METRIC_PROVIDERS
        ]

    def _metric_probe(self, metric: MetricSettings) -> Probe:
        if metric.provider not in PROBE_BUILDERS:
            raise RolloutRefused(f"the metric {metric.name} has the provider {metric.provider!r}, which has no probe")
        return PROBE_BUILDERS[metric.provider](self, metric)

    def prometheus_probe(self, metric: MetricSettings) -> Probe:
        """Return the probe of a metric that is a query to Prometheus."""
        if not self._environment.prometheus:
            raise RolloutRefused(
                f"the metric {metric.name} needs a Prometheus, but the plan has no address of one; write "
                f'{self._environment.name} = {{ prometheus = "http://..." }} in [deploy.environments]'
            )
        settings = self._soak_settings(metric.name)
        return PrometheusProbe(
            base_url=self._environment.prometheus,
            metric=metric,
            service=self._service.name,
            missing=settings.missing,
            min_requests=settings.min_requests,
        )

    def user_function_probe(self, metric: MetricSettings) -> Probe:
        """Return the probe of a metric that is a function of the repository."""
        return UserFunctionProbe(
            function=UserFunction(metric.query, self._root),
            metric=metric,
            service=self._service.name,
            missing=self._soak_settings(metric.name).missing,
        )

    def http_probe(self, metric: MetricSettings) -> Probe:
        """Return the probe of a metric that is a request to the service."""
        address = self._address()
        path = metric.query or self._spec.health
        if address is None or not path.startswith("/"):
            raise RolloutRefused(
                f"the metric {metric.name} needs HTTP access to {self._service.name}, but there is no port or no path"
            )
        return HttpProbe(address=address, path=path, metric=metric, missing=self._soak_settings(metric.name).missing)

    def _container_probe(self) -> Probe:
        metrics = tuple(metric for metric in self._metrics if metric.provider in CONTAINER_METRIC_PROVIDERS)
        return ContainerProbe(
            target=self._target,
            spec=self._spec,
            container=self._container,
            interpreter=self._run.target,
            metrics=metrics,
            missing=self._soak_settings().missing,
            missing_by_metric={metric.name: self._soak_settings(metric.name).missing for metric in metrics},
            known_exceptions=self._old_version_exceptions(),
            judges_processes=self._soak_settings().worker_processes != "ignore",
        )


PROBE_BUILDERS: Mapping[str, Callable[[_ServiceProbePlan, MetricSettings], Probe]] = {
    "http": _ServiceProbePlan.http_probe,
    "prometheus": _ServiceProbePlan.prometheus_probe,
    "python": _ServiceProbePlan.user_function_probe,
}
"""Provider of a metric -> what makes its probe; :data:`CONTAINER_METRIC_PROVIDERS` share one probe."""
