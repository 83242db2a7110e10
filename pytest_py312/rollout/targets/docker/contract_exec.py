"""Addresses between containers of a Docker engine, for contract tests of one service against another."""

from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.domain.model import Container, ServiceSpec
from pytest_py312.rollout.targets.common import JsonObject
from pytest_py312.rollout.targets.docker.engine_calls import inspect_container
from pytest_py312.rollout.targets.target import ServiceUnreachable, TargetRefused
from pytest_py312.runners.docker.engine import DockerEngine

_NETWORKS_WITHOUT_DNS = ("bridge", "default")
"""Networks in which containers cannot be resolved by name."""


def address_for_caller(
    engine: DockerEngine, spec: ServiceSpec, callee: Container, caller: Container
) -> tuple[str, int]:
    """Return host and port under which ``caller`` reaches ``callee``; both must be running.

    :raises EngineRefused, EngineUnavailable: errors of the engine's client.
    """
    container_infos = []
    for container in (callee, caller):
        container_info = inspect_container(engine, container.id)
        if container_info is None or not container_info["State"].get("Running"):
            raise TargetRefused(f"container {container.id[:12]} does not run")
        container_infos.append(container_info)
    return address_between(*container_infos, spec=spec)


def address_between(callee: JsonObject, caller: JsonObject, *, spec: ServiceSpec) -> tuple[str, int]:
    """Return host and port under which ``caller`` reaches ``callee``.

    The host is the service's name where the callee has it in a shared network, as other services would use it. Pure.

    :raises ServiceUnreachable: they share no network.
    """
    callee_networks, caller_networks = _networks(callee), _networks(caller)
    if "host" in (_network_mode(callee), _network_mode(caller)):
        if _network_mode(callee) == _network_mode(caller):
            return "127.0.0.1", spec.port
        address = next(
            (str(endpoint["IPAddress"]) for endpoint in callee_networks.values() if endpoint.get("IPAddress")), ""
        )
        if _network_mode(caller) == "host" and address:
            return address, spec.port
        gateway = next(
            (str(endpoint["Gateway"]) for endpoint in caller_networks.values() if endpoint.get("Gateway")), ""
        )
        if gateway:
            return gateway, spec.port
    for name in sorted(
        callee_networks.keys() & caller_networks.keys(),
        key=lambda name: (name != spec.network, name in _NETWORKS_WITHOUT_DNS, name),
    ):
        if name not in _NETWORKS_WITHOUT_DNS and str(callee["Name"]).removeprefix("/") == spec.container:
            return spec.container, spec.port
        if callee_networks[name].get("IPAddress"):
            return str(callee_networks[name]["IPAddress"]), spec.port
    callee_names, caller_names = ", ".join(callee_networks) or "none", ", ".join(caller_networks) or "none"
    raise ServiceUnreachable(f"the containers share no network ({callee_names}; {caller_names})")


def _networks(container: JsonObject) -> Mapping[str, Mapping[str, Any]]:
    return (container.get("NetworkSettings") or {}).get("Networks") or {}


def _network_mode(container: JsonObject) -> str:
    return str((container.get("HostConfig") or {}).get("NetworkMode", ""))
