"""Create the run of a stage from plan and fleet: its services in order, their images and their names. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.plan.deployment_check import needs_among
from pytest_py312.repository.plan.rollout_settings import (
    KUBERNETES,
    DeploySettings,
    EnvironmentSettings,
    RolloutSettings,
    SoakSettings,
)
from pytest_py312.rollout.domain.contracts import contract_edges
from pytest_py312.rollout.domain.model import Deployment, StageRun
from pytest_py312.rollout.domain.preconditions import deployment_order
from pytest_py312.rollout.domain.soak_overrides import DURATION, INTERVAL, with_overrides
from pytest_py312.rollout.domain.target_model import ServiceSpec, TargetAddress


def stage_services(plan: Plan, fleet: Fleet, stage: int) -> list[Service]:
    """Return the services of a stage.

    :raises OptionError: the plan has no such stage, or the stage has no service.
    """
    stage_numbers = [planned_stage.number for planned_stage in plan.stages] or [1]
    if stage not in stage_numbers:
        raise OptionError(f"there is no stage {stage}; the plan has {', '.join(map(str, stage_numbers))}")
    services = [service for service in fleet.services if service.stage == stage]
    if not services:
        raise OptionError(f"stage {stage} has no service")
    return services


def make_service_spec(service: Service, deploy: DeploySettings) -> ServiceSpec:
    """Return what a target needs in order to serve a service.

    :raises RolloutRefused: gRPC health is configured without a port.
    """
    if deploy.grpc is not None and not deploy.port:
        raise RolloutRefused(
            f"the health of {service.name} is checked over gRPC, but the plan names no port; add port = 50051"
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


def image_reference(service: Service, deploy: DeploySettings, target: Interpreter) -> str:
    """Return the reference of the image to deploy.

    :raises RolloutRefused: the plan names no image.
    """
    if not deploy.image:
        raise RolloutRefused(
            f"the plan names no image for {service.name}; write "
            f'image = "registry/{{service}}:{{version}}" in [deploy], or in deploy of [service."{service.name}"]'
        )
    image_name = service.name.replace("/", "-").lower()
    return deploy.image.replace("{version}", str(target)).replace("{service}", image_name)


def create_run(
    plan: Plan,
    fleet: Fleet,
    settings: RolloutSettings,
    *,
    stage: int,
    environment: str,
    name: str,
    look_up_image_id: Callable[[str], str],
    soak_overrides: Mapping[str, float] | None = None,
) -> StageRun:
    """Create a new run of a stage, with its images pinned by id.

    :param look_up_image_id: returns the id of the image with a reference.
    :param settings: the rollout settings of the plan.
    :param soak_overrides: seconds by soak setting, from the command line.
    :raises RolloutRefused: the plan lacks something, or services need each other.
    :raises OptionError: the interval is longer than the soak.
    """
    services = {service.name: service for service in stage_services(plan, fleet, stage)}
    planned, overridden = settings.soak_settings_for(stage=stage), with_overrides(settings, stage, soak_overrides or {})
    deploy_settings = {
        name: settings.deploy_settings_for(stage=stage, name=name, path=service.path)
        for name, service in services.items()
    }
    order = _order_by_needs(services, deploy_settings)
    specs = {name: make_service_spec(services[name], deploy_settings[name]) for name in order}

    def deployment(service: Service) -> Deployment:
        soak = settings.soak_settings_for(stage=stage, name=service.name, path=service.path)
        image = look_up_image_id(image_reference(service, deploy_settings[service.name], plan.target))
        return Deployment(spec=specs[service.name], image=image, wants_control=soak.control)

    return StageRun(
        run=name,
        environment=environment,
        stage=stage,
        target=plan.target,
        deployments=tuple(deployment(services[service_name]) for service_name in order),
        soak=overridden.soak_settings_for(stage=stage).duration,
        configuration=settings.digest,
        needs_drill=settings.deploy_settings_for(stage=stage, name="", path="").require_drill,
        asked=dict(soak_overrides or {}),
        planned={DURATION: planned.duration, INTERVAL: planned.interval},
        shares=environments_sharing_target(settings, environment),
        contracts=tuple(contract_edges(settings.contracts, list(services))),
        acceptance=tuple(tests.name for tests in settings.acceptance_tests_of(stage)),
        address=_target_address(settings, environment),
    )


def _target_address(settings: RolloutSettings, environment: str) -> TargetAddress:
    own = settings.environment_settings(environment)
    return TargetAddress(
        kind=settings.deploy.target,
        engine=own.engine,
        engines=own.engines,
        context=own.context,
        namespace=own.namespace,
    )


def recorded_settings(runs: Iterable[StageRun]) -> RolloutSettings:
    """Return what a recovery needs of the settings that ``runs`` began with: targets, and the schedule of the soak.

    :param runs: the newest run of each stage in each environment.
    :raises RolloutRefused: a version before this field has recorded them.
    """
    addresses: dict[str, TargetAddress] = {}
    soak = SoakSettings()
    for run in sorted(runs, key=lambda one: one.run):  # names begin with the time
        if run.address is not None:
            addresses[run.environment] = run.address
            soak = replace(
                soak,
                interval=run.planned.get(INTERVAL, soak.interval),
                duration=run.planned.get(DURATION, soak.duration),
            )
    if not addresses:
        raise RolloutRefused("the journal does not say how to reach the target; the plan has to be corrected first")
    return RolloutSettings(
        deploy=DeploySettings(target=list(addresses.values())[-1].kind),
        soak=soak,
        environments=tuple(
            EnvironmentSettings(
                name=name,
                engine=address.engine,
                engines=address.engines,
                context=address.context,
                namespace=address.namespace,
            )
            for name, address in addresses.items()
        ),
    )


def _order_by_needs(services: Mapping[str, Service], deploy_settings: Mapping[str, DeploySettings]) -> list[str]:
    """Return the names of the services, each after those that it needs."""
    paths = {name: service.path for name, service in services.items()}
    return deployment_order(list(services), needs_among(deploy_settings, paths))


def environments_sharing_target(settings: RolloutSettings, environment: str) -> tuple[str, ...]:
    """Return the environments that may share a target with this one. It is enough that one of the two declares it."""
    own = settings.environment_settings(environment).shares_target_with
    return tuple(
        dict.fromkeys(
            (*own, *(other.name for other in settings.environments if environment in other.shares_target_with))
        )
    )
