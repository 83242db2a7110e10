"""Find the address under which this machine, or another container, reaches a container, or why it cannot.

The container's own address is preferred to a published port: the port proxy costs time, and a control has no published
port, so only the container's address gives comparable latencies. An unreachable service is not reported as down.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.targets.common import JsonObject
from pytest_py312.rollout.targets.docker.engine_calls import inspect_container
from pytest_py312.rollout.targets.target import ServiceUnreachable, TargetRefused
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import translate_errors
from pytest_py312.runners.docker.ping import engine_address

CONNECT_TIMEOUT = 2.0
"""Seconds for a connection to an address that may not be routable."""
_UNROUTABLE_DRIVERS = ("macvlan", "ipvlan", "overlay")
"""Network drivers whose addresses the engine's own machine cannot reach."""
_NETWORKS_WITHOUT_DNS = ("bridge", "default")
"""Networks in which containers cannot be resolved by name."""


class AddressResolver:
    """Resolver of the addresses of containers of one engine. Methods also raise errors of the engine's client."""

    def __init__(self, engine: DockerEngine, address: str = "") -> None:
        self._engine = engine
        address = address or engine_address()
        host = address.partition("://")[2].rpartition("@")[2].partition("/")[0].partition(":")[0]
        self._is_remote = address.startswith(("tcp://", "ssh://", "http")) and bool(host)
        self._host = host if self._is_remote else "127.0.0.1"
        self._drivers: dict[str, str] = {}

    def resolve(self, container: JsonObject, spec: ServiceSpec) -> tuple[str, int]:
        """Return host and port of the service's port; see :func:`resolve_address`."""
        mode = _network_mode(container)
        if mode.startswith("container:"):  # it shares the network of another container
            with translate_errors():
                container = self._engine.client.inspect_container(mode.partition(":")[2])
        return resolve_address(
            container,
            spec.port,
            network=spec.network,
            host=self._host,
            is_remote=self._is_remote,
            find_driver=self.network_driver,
        )

    def network_driver(self, network_id: str) -> str:
        """Return the driver of a network."""
        if network_id not in self._drivers:
            with translate_errors():
                network_info: Any = self._engine.client.inspect_network(network_id)
            self._drivers[network_id] = str(network_info.get("Driver", ""))
        return self._drivers[network_id]


DriverLookup = Callable[[str], str]
"""Maps the id of a network to the name of its driver."""


def resolve_address(
    container: JsonObject,
    port: int,
    *,
    network: str = "",
    host: str = "127.0.0.1",
    is_remote: bool = False,
    find_driver: DriverLookup = lambda network: "bridge",
) -> tuple[str, int]:
    """Return host and port under which this machine reaches ``port`` inside ``container``.

    :param network: the preferred network.
    :param host: name or address of the engine's machine.
    :param is_remote: whether the engine runs on another machine.
    :raises TargetRefused: the container does not run.
    :raises ServiceUnreachable: the container runs, but no route to it is known.
    """
    state = container.get("State") or {}
    if state.get("Restarting") or not state.get("Running"):
        raise TargetRefused("its container does not run")
    if _network_mode(container) == "host":
        return host, port
    attachments = sorted(
        _network_attachments(container), key=lambda attachment: (attachment[0] != network, attachment[0])
    )
    reason = "it has no network"
    for name, endpoint, address in attachments:
        driver = find_driver(str(endpoint.get("NetworkID", "")))
        if is_remote:
            reason = f"{address} is an address on the engine's own machine, {host}; publish port {port}"
        elif driver in _UNROUTABLE_DRIVERS:
            reason = f"the network {name} is a {driver}, which this machine cannot reach; publish port {port}"
        elif not is_in_local_network(
            address, int(endpoint.get("IPPrefixLen") or endpoint.get("GlobalIPv6PrefixLen") or 0)
        ):
            reason = f"this machine is not in the network {name}; publish port {port}"
        else:
            return address, port
    published = _published_address(container, port, host)
    if published:
        return published
    for _, _, address in attachments:
        if is_host_reachable(address, port):  # by a route configured on this machine
            return address, port
    raise ServiceUnreachable(f"port {port} cannot be reached from here: {reason}")


def _network_attachments(container: JsonObject) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for name, endpoint in _networks(container).items():
        address = endpoint.get("IPAddress") or endpoint.get("GlobalIPv6Address")
        if address:
            yield name, endpoint, str(address)


def _published_address(container: JsonObject, port: int, host: str) -> tuple[str, int] | None:
    for binding in ((container.get("NetworkSettings") or {}).get("Ports") or {}).get(f"{port}/tcp") or ():
        host_ip = str(binding.get("HostIp") or "")
        return (host if host_ip in ("", "0.0.0.0", "::") else host_ip), int(binding["HostPort"])
    return None


def is_in_local_network(address: str, prefix: int) -> bool:
    """Return whether this machine is in the network of ``address``, judging by the source address it would use."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe_socket:  # nothing is sent
            probe_socket.connect((address, 9))
            local_address = str(probe_socket.getsockname()[0])
        return ipaddress.ip_address(local_address) in ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    except (OSError, ValueError):
        return False


def is_host_reachable(address: str, port: int, timeout: float = CONNECT_TIMEOUT) -> bool:
    """Return whether a machine exists at ``address``; a refused connection counts as an answer."""
    try:
        socket.create_connection((address, port), timeout=timeout).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


# ---- from container to container


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
