"""Validate the plan's rollout against the fleet: what services need, their containers, ports, soaks, acceptance tests.

Everything here would otherwise be seen when a stage is deployed, with half of it already running.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import PatternIndex, matches, suggest_service
from pytest_py312.repository.formats.toml import KeyPath
from pytest_py312.repository.plan.plan_file import PlanFile
from pytest_py312.repository.plan.plan_node import describe_value
from pytest_py312.repository.plan.rollout_settings import KUBERNETES, DeploySettings, RolloutSettings

_ALL_ADDRESSES = ("", "0.0.0.0")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedService:
    """A service of a stage, and how it is deployed there."""

    name: str
    path: str
    stage: int
    deploy: DeploySettings


def check_deployments(
    file: PlanFile, plan: Plan, settings: RolloutSettings, services: Sequence[tuple[str, str]]
) -> None:
    """Refuse a deployment that cannot work.

    :param file: the plan file that ``plan`` and ``settings`` were read from.
    :param services: (name, path) of every service of the fleet.
    :raises PlanError: ``needs`` names no service or the service itself, services of a stage need each other, two
        services have one name or one port on the target, a soak ends before its first comparison, the target cannot
        do what the plan asks for, or acceptance tests are not in the repository.
    """
    lookup = PatternIndex(services)
    _check_needed_services(file, services, lookup)
    planned = _planned_services(plan, settings, services, lookup)
    _check_circles(file, planned)
    _check_containers(file, planned)
    _check_ports(file, planned)
    _check_soaks(file, planned, settings)
    _check_target(file, planned, settings)
    _check_acceptance(file, plan.root)


def needs_among(deployments: Mapping[str, DeploySettings], paths: Mapping[str, str]) -> dict[str, list[str]]:
    """Return for each service the others that it needs. Both arguments are by its name."""
    return {
        name: [
            other
            for pattern in deploy.needs
            for other, path in paths.items()
            if other != name and matches(pattern, other, path)
        ]
        for name, deploy in deployments.items()
    }


def _planned_services(
    plan: Plan, settings: RolloutSettings, services: Sequence[tuple[str, str]], lookup: PatternIndex
) -> list[PlannedService]:
    stages = {
        service: stage.number
        for stage in plan.stages
        for pattern in stage.services
        for service in lookup.matching_services(pattern)
    }
    numbers = stages if plan.stages else dict.fromkeys(services, 1)
    return [
        PlannedService(
            name=name, path=path, stage=number, deploy=settings.deploy_settings_for(stage=number, name=name, path=path)
        )
        for (name, path), number in numbers.items()
    ]


def _tables(file: PlanFile, section: str) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
    """Yield every table ``deploy`` or ``soak`` with its key: at the top, of stages, of services."""
    stages, services = file.table.get("stage", ()), file.table.get("service", {})
    parents: list[tuple[KeyPath, Mapping[str, object]]] = [
        ((), file.table),
        *((("stage", index), table) for index, table in enumerate(stages)),
        *((("service", pattern), table) for pattern, table in services.items()),
    ]
    for key, parent in parents:
        if isinstance(table := parent.get(section), dict):
            yield (*key, section), table


def _check_needed_services(file: PlanFile, services: Sequence[tuple[str, str]], lookup: PatternIndex) -> None:
    for key, deploy in _tables(file, "deploy"):
        needs = deploy.get("needs", ())
        for index, pattern in enumerate(needs if isinstance(needs, list) else ()):
            needed = lookup.matching_services(pattern)
            if not needed:
                hint = suggest_service(pattern, services)
                raise file.error((*key, "needs", index), f'"{pattern}" fits no service{hint}')
            if key[0] == "service" and needed == lookup.matching_services(str(key[1])) and len(needed) == 1:
                raise file.error(
                    (*key, "needs", index),
                    f'"{pattern}" is the service itself; write what has to be deployed before it, or remove it',
                )


def _check_circles(file: PlanFile, planned: Sequence[PlannedService]) -> None:
    """Refuse services of one stage that need each other: none of them can be deployed first."""
    for stage in {service.stage: None for service in planned}:
        members = [service for service in planned if service.stage == stage]
        needs = needs_among(
            {service.name: service.deploy for service in members}, {service.name: service.path for service in members}
        )
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            circle = error.args[1][::-1]  # graphlib lists each service before the one that needs it
            first = next(service for service in members if service.name == circle[0])
            raise _error(
                file,
                first,
                ("deploy", "needs"),
                f"the services of stage {stage} need each other, so that none can be first: {' needs '.join(circle)}; "
                "remove one of these",
            ) from None


def _check_containers(file: PlanFile, planned: Sequence[PlannedService]) -> None:
    """Refuse names that an engine does not take, and two services of one name: they would replace each other."""
    owners: dict[tuple[str, str], PlannedService] = {}
    for service in planned:
        key = "deployment" if service.deploy.target == KUBERNETES else "container"
        container = service.deploy.container_of(service.name)
        if service.deploy.target == "docker" and len(container) < 2:
            raise _error(
                file,
                service,
                ("deploy", key),
                f'the container of {service.name} is named "{container}", and Docker wants two characters at least; '
                f'write {key} = "{service.name}-service" in deploy of [service."{service.name}"]',
            )
        other = owners.setdefault((service.deploy.namespace, container), service)
        if other is not service:
            raise _error(
                file,
                service,
                ("deploy", key),
                f"{other.name} and {service.name} would both be named {container}; rename one of them in deploy of "
                f'[service."{service.name}"]',
            )


def _check_ports(file: PlanFile, planned: Sequence[PlannedService]) -> None:
    """Refuse a port of the host that is published twice: the second container would not start."""
    owners: dict[str, list[tuple[str, PlannedService]]] = {}
    for service in planned:
        for text in service.deploy.publish:
            outer, _, _ = text.rpartition(":")
            address, _, port = outer.rpartition(":")
            for other_address, other in owners.setdefault(port, []):
                if address == other_address or address in _ALL_ADDRESSES or other_address in _ALL_ADDRESSES:
                    both = f"{other.name} and {service.name} both" if other is not service else f"{service.name} twice"
                    raise _error(
                        file,
                        service,
                        ("deploy", "publish"),
                        f"port {port} is published by {both}; give one of them another port",
                    )
            owners[port].append((address, service))


def _check_soaks(file: PlanFile, planned: Sequence[PlannedService], settings: RolloutSettings) -> None:
    """Refuse a soak beside a control that ends before the first comparison of the two."""
    for service in planned:
        soak = settings.soak_settings_for(stage=service.stage, name=service.name, path=service.path)
        compare = settings.compare_settings_for(stage=service.stage, name=service.name, path=service.path)
        samples = settings.soak_settings_for(stage=service.stage).sample_count  # a stage has one schedule
        if soak.control and samples < compare.min_points:
            hours = math.ceil(compare.min_points * soak.interval / 3600)
            raise _error(
                file,
                service,
                ("soak", "duration"),
                f"{service.name} runs beside a control in stage {service.stage}, whose soak has {samples} samples, and "
                f"the first comparison needs {compare.min_points} (compare.min-points); write "
                f'duration = "{hours}h" at least, or a shorter interval',
            )


def _check_target(file: PlanFile, planned: Sequence[PlannedService], settings: RolloutSettings) -> None:
    """Refuse what only Docker can do: in a swarm or a cluster, this machine does not reach a single container."""
    target = settings.deploy.target
    if target == "docker":
        return
    for service in planned:
        soak = settings.soak_settings_for(stage=service.stage, name=service.name, path=service.path)
        requested = (
            (soak.control, ("soak", "control"), "runs no control"),
            (soak.load.rate > 0, ("soak", "load"), "has no address to send traffic to"),
            (bool(service.deploy.health_command), ("deploy", "health-command"), "runs no command in a container"),
            (service.deploy.grpc is not None, ("deploy", "grpc-health"), "has no address to ask over gRPC"),
        )
        for is_requested, key, problem in requested:
            if is_requested:
                raise _error(file, service, key, f"the target {target} {problem} ({service.name}); {_SUPPORTED}")
    for index, metric in enumerate(settings.metrics):
        if metric.provider == "http":
            message = f"the target {target} has no address to send requests to ({metric.name}); {_SUPPORTED}"
            raise file.error(("soak", "metric", index, "provider"), message)
    if settings.contracts:
        raise file.error(("contract", 0), f"the target {target} runs no contracts; {_SUPPORTED}")


_SUPPORTED = (
    "remove it: availability, restarts, memory, CPU, logs, and metrics of Prometheus and of Python functions are there"
)


def _check_acceptance(file: PlanFile, root: Path) -> None:
    """Refuse acceptance tests that are not in the repository, also if a link leads out of it."""
    for stage_index, stage in enumerate(file.table.get("stage", ())):
        for index, tests in enumerate(stage.get("acceptance", ())):
            for name in ("pytest", "folder"):
                if problem := _path_problem(root, tests.get(name, ".")):
                    raise file.error(("stage", stage_index, "acceptance", index, name), problem)


def _path_problem(root: Path, text: str) -> str:
    """Return why ``text`` is no path in the repository, with the remedy; empty if it is one."""
    try:
        is_inside = (root / text).resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # also one that is too long, or a circle of links
        return f"{describe_value(text)} is not there; write a path from the root of the repository"
    return "" if is_inside else f"{describe_value(text)} leads out of the repository; write a path inside"


def _error(file: PlanFile, service: PlannedService, key: tuple[str, str], message: str) -> PlanError:
    """Return an error at the key (section, name) that applies to ``service``: in its table, its stage's, or at the
    top.
    """
    section, name = key
    places: list[KeyPath] = []
    for table_key, table in _tables(file, section):
        applies = (
            not table_key[:-1]
            or (table_key[0] == "service" and matches(str(table_key[1]), service.name, service.path))
            or (table_key[0] == "stage" and file.value((*table_key[:2], "number")) == service.stage)
        )
        if applies and name in table:
            places.append((*table_key, name))
    return file.error(places[-1] if places else (section,), message)
