"""Plan and fleet -> the run of a stage: which services, in which order, from which image, under which name. Pure."""

from collections.abc import Callable, Iterable, Mapping

from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import matches
from pytest_py312.repository.plan.rollout_settings import KUBERNETES, DeploySettings, RolloutSettings
from pytest_py312.rollout.domain.contracts import edges_of
from pytest_py312.rollout.domain.model import Deployment, ServiceSpec, StageRun
from pytest_py312.rollout.domain.preconditions import deployment_order
from pytest_py312.rollout.domain.soak_overrides import DURATION, INTERVAL, with_asked


def stage_services(plan: Plan, fleet: Fleet, stage: int) -> list[Service]:
    """The services of a stage.

    :raises OptionError: the plan has no such stage, or nothing in it.
    """
    numbers = [one.number for one in plan.stages] or [1]
    if stage not in numbers:
        raise OptionError(f"there is no stage {stage}; the plan has {', '.join(map(str, numbers))}")
    found = [service for service in fleet.services if service.stage == stage]
    if not found:
        raise OptionError(f"stage {stage} has no service")
    return found


def spec_of(service: Service, deploy: DeploySettings) -> ServiceSpec:
    """What a target has to know to serve it.

    :raises RolloutRefused: it is asked for its health where there is nothing to ask.
    """
    if deploy.grpc is not None and not deploy.port:
        raise RolloutRefused(
            f"{service.name} is asked for its health over gRPC, and the plan names no port; add port = 50051"
        )
    return ServiceSpec(
        service=service.name,
        container=deploy.container_of(service.name),
        port=deploy.port,
        health=deploy.health,
        grpc=deploy.grpc,
        health_command=deploy.health_command,
        version=deploy.version,
        network=deploy.network,
        publish=tuple((host, int(port)) for host, _, port in (text.rpartition(":") for text in deploy.publish)),
        ready_timeout=deploy.ready_timeout,
        readiness_delay=deploy.readiness_delay,
        monitor=deploy.monitor,
        drain=deploy.drain,
        retain=deploy.retain,
        namespace=deploy.namespace,
        pod_container=deploy.container if deploy.target == KUBERNETES else "",
    )


def image_of(service: Service, deploy: DeploySettings, target: Interpreter) -> str:
    """The reference of the image that it is to be served from.

    :raises RolloutRefused: the plan names none.
    """
    if not deploy.image:
        raise RolloutRefused(
            f"the plan does not say from which image {service.name} is deployed; write "
            f'image = "registry/{{service}}:{{version}}" in [deploy], or in deploy of [service."{service.name}"]'
        )
    plain = service.name.replace("/", "-").lower()
    return deploy.image.replace("{version}", str(target)).replace("{service}", plain)


def run_of(
    plan: Plan,
    fleet: Fleet,
    settings: RolloutSettings,
    *,
    stage: int,
    environment: str,
    name: str,
    image_id: Callable[[str], str],
    asked: Mapping[str, float] | None = None,
) -> StageRun:
    """A new run of a stage, its images pinned by their ids.

    :param image_id: looks up the id of an image by its reference.
    :param settings: those of the plan.
    :param asked: what a command line says of the soak instead.
    :raises RolloutRefused: something it needs is not in the plan, or services need each other.
    :raises OptionError: no sample fits in the soak that is asked for.
    """
    services = {service.name: service for service in stage_services(plan, fleet, stage)}
    planned, settled = settings.soak_of(stage=stage), with_asked(settings, stage, asked or {})
    deploys = {
        name: settings.deploy_of(stage=stage, name=name, path=service.path) for name, service in services.items()
    }
    order = _in_order(services, deploys)
    specs = {name: spec_of(services[name], deploys[name]) for name in order}
    _check_names(specs.values())
    return StageRun(
        run=name,
        environment=environment,
        stage=stage,
        target=plan.target,
        deployments=tuple(
            Deployment(
                spec=specs[one],
                image=image_id(image_of(services[one], deploys[one], plan.target)),
                wants_twin=settings.soak_of(stage=stage, name=one, path=services[one].path).twin,
            )
            for one in order
        ),
        soak=settled.soak_of(stage=stage).duration,
        configuration=settings.digest,
        needs_drill=settings.deploy_of(stage=stage, name="", path="").require_drill,
        asked=dict(asked or {}),
        planned={DURATION: planned.duration, INTERVAL: planned.interval},
        shares=shares_of(settings, environment),
        contracts=tuple(edges_of(settings.contracts, list(services))),
    )


def _in_order(services: Mapping[str, Service], deploys: Mapping[str, DeploySettings]) -> list[str]:
    """Names of the services, each after those that it needs."""
    needs = {
        name: [
            other.name
            for pattern in deploy.needs
            for other in services.values()
            if matches(pattern, other.name, other.path) and other.name != name
        ]
        for name, deploy in deploys.items()
    }
    return deployment_order(list(services), needs)


def shares_of(settings: RolloutSettings, environment: str) -> tuple[str, ...]:
    """Environments that may lie where this one does; it is enough that one of two says so."""
    own = settings.environment(environment).same_place_as
    return tuple(
        dict.fromkeys((*own, *(one.name for one in settings.environments if environment in one.same_place_as)))
    )


def _check_names(specs: Iterable[ServiceSpec]) -> None:
    """Two services of one name would replace each other."""
    known: dict[tuple[str, str], str] = {}
    for spec in specs:
        other = known.setdefault((spec.namespace, spec.container), spec.service)
        if other != spec.service:
            raise RolloutRefused(
                f"{other} and {spec.service} would both be {spec.container}; give one another name in deploy of "
                f'[service."{spec.service}"]'
            )
