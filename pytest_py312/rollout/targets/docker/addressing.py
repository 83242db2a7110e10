"""Where a container is asked from here, and why it cannot be where that is so.

Its own address goes before a published port: what is between the two costs time, and a twin has no published port, so
only there both versions are timed alike. A service that cannot be reached is not a service that is down.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.targets.labels import Said
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnreachable
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import told_apart
from pytest_py312.runners.docker.ping import engine_address

CONNECT_LIMIT = 2.0
"""Seconds for a connection to an address of which it is not certain that it can be reached at all."""
_ELSEWHERE = ("macvlan", "ipvlan", "overlay")
"""Drivers of networks that the engine's own machine is not in."""


class Reach:
    """Reaches the containers of one engine. Both methods raise as the engine's client does, too."""

    def __init__(self, engine: Engine, address: str = "") -> None:
        self._engine = engine
        address = address or engine_address()
        host = address.partition("://")[2].rpartition("@")[2].partition("/")[0].partition(":")[0]
        self._is_remote = address.startswith(("tcp://", "ssh://", "http")) and bool(host)
        self._host = host if self._is_remote else "127.0.0.1"
        self._drivers: dict[str, str] = {}

    def of(self, container: Said, spec: ServiceSpec) -> tuple[str, int]:
        """See :func:`reached`; raises as that does."""
        mode = str((container.get("HostConfig") or {}).get("NetworkMode", ""))
        if mode.startswith("container:"):  # it has the network of another one
            with told_apart():
                container = self._engine.client.inspect_container(mode.partition(":")[2])
        return reached(
            container,
            spec.port,
            network=spec.network,
            host=self._host,
            is_remote=self._is_remote,
            driver_of=self.driver_of,
        )

    def driver_of(self, network: str) -> str:
        """The driver of a network, by its id."""
        if network not in self._drivers:
            with told_apart():
                found: Any = self._engine.client.inspect_network(network)
            self._drivers[network] = str(found.get("Driver", ""))
        return self._drivers[network]


DriverOf = Callable[[str], str]
"""Id of a network -> the name of its driver."""


def reached(
    container: Said,
    port: int,
    *,
    network: str = "",
    host: str = "127.0.0.1",
    is_remote: bool = False,
    driver_of: DriverOf = lambda network: "bridge",
) -> tuple[str, int]:
    """Host and port by which ``port`` inside of ``container`` is asked from here.

    :param network: the one that is preferred, of several.
    :param host: the engine's machine, as it is called from here.
    :param is_remote: whether that is another machine.
    :raises TargetRefused: the container does not run.
    :raises TargetUnreachable: it may run well, and cannot be asked from here.
    """
    state = container.get("State") or {}
    if state.get("Restarting") or not state.get("Running"):
        raise TargetRefused("its container does not run")
    if (container.get("HostConfig") or {}).get("NetworkMode") == "host":
        return host, port
    homes = sorted(_homes(container), key=lambda home: (home[0] != network, home[0]))
    why = "it has no network"
    for name, said, address in homes:
        driver = driver_of(str(said.get("NetworkID", "")))
        if is_remote:
            why = f"{address} is an address on the engine's own machine, {host}; publish port {port}"
        elif driver in _ELSEWHERE:
            why = f"the network {name} is a {driver}, which this machine is not in; publish port {port}"
        elif not is_near(address, int(said.get("IPPrefixLen") or said.get("GlobalIPv6PrefixLen") or 0)):
            why = f"the network {name} is not one of this machine's; publish port {port}"
        else:
            return address, port
    published = _published(container, port, host)
    if published:
        return published
    for _, _, address in homes:
        if answers(address, port):  # by a route that only this machine knows of
            return address, port
    raise TargetUnreachable(f"port {port} cannot be reached from here: {why}")


def _homes(container: Said) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for name, said in ((container.get("NetworkSettings") or {}).get("Networks") or {}).items():
        address = said.get("IPAddress") or said.get("GlobalIPv6Address")
        if address:
            yield name, said, str(address)


def _published(container: Said, port: int, host: str) -> tuple[str, int] | None:
    for one in ((container.get("NetworkSettings") or {}).get("Ports") or {}).get(f"{port}/tcp") or ():
        told = str(one.get("HostIp") or "")
        return (host if told in ("", "0.0.0.0", "::") else told), int(one["HostPort"])
    return None


def is_near(address: str, prefix: int) -> bool:
    """Whether this machine is itself in the network of ``address``: what it would send there has an address of it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:  # nothing is sent
            asking.connect((address, 9))
            own = str(asking.getsockname()[0])
        return ipaddress.ip_address(own) in ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    except (OSError, ValueError):
        return False


def answers(address: str, port: int, limit: float = CONNECT_LIMIT) -> bool:
    """Whether anything is at ``address``; to refuse a connection is an answer."""
    try:
        socket.create_connection((address, port), timeout=limit).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
