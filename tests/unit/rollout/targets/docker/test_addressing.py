"""Addresses under which this machine reaches containers, and reasons why it cannot."""

import socket
from typing import Any

import pytest

from pytest_py312.rollout.targets.docker import addressing
from pytest_py312.rollout.targets.docker.addressing import (
    address_between,
    is_host_reachable,
    is_in_local_network,
    resolve_address,
)
from pytest_py312.rollout.targets.target import ServiceUnreachable, TargetRefused
from tests.unit.rollout.runs import spec

NEAR, FAR = "127.0.0.9", "198.51.100.9"
"""Of this machine, and of one that is nobody's (RFC 5737)."""


def home(address: str, **fields: Any) -> dict[str, Any]:
    return {"IPAddress": address, "IPPrefixLen": 8 if address == NEAR else 32, "NetworkID": "n1", **fields}


def container(*homes: dict[str, Any], published: list[dict[str, str]] | None = None, **fields: Any) -> dict[str, Any]:
    networks = {f"net{number}": one for number, one in enumerate(homes)}
    return {
        "State": {"Running": True},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Ports": {"80/tcp": published}, "Networks": networks},
        **fields,
    }


@pytest.fixture(autouse=True)
def _nothing_is_asked_beyond_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addressing, "is_host_reachable", lambda address, port: False)


@pytest.mark.parametrize(
    ("container_info", "address"),
    [
        (container(home(NEAR)), (NEAR, 80)),
        (container(home(FAR), home(NEAR)), (NEAR, 80)),
        (container(home(NEAR), home("127.0.0.10", IPPrefixLen=8)), (NEAR, 80)),
        (container(home("", GlobalIPv6Address="::1", GlobalIPv6PrefixLen=128)), ("::1", 80)),
        (container(home(FAR), published=[{"HostIp": "0.0.0.0", "HostPort": "8080"}]), ("engine", 8080)),
        (container(home(FAR), published=[{"HostIp": "127.0.0.2", "HostPort": "81"}]), ("127.0.0.2", 81)),
        (container(HostConfig={"NetworkMode": "host"}), ("engine", 80)),
    ],
)
def test_its_own_address_goes_before_a_published_port(container_info: dict[str, Any], address: tuple[str, int]) -> None:
    """The proxy of a published port costs time that a control would not have."""
    assert resolve_address(container_info, 80, host="engine") == address


def test_the_network_of_the_plan_goes_first() -> None:
    assert resolve_address(container(home(NEAR), home("127.0.0.10", IPPrefixLen=8)), 80, network="net1") == (
        "127.0.0.10",
        80,
    )


@pytest.mark.parametrize(
    ("container_info", "options", "reason"),
    [
        (container(home(FAR)), {}, "this machine is not in the network net0"),
        (container(home(NEAR)), {"find_driver": lambda network: "macvlan"}, "is a macvlan"),
        (container(home(NEAR)), {"is_remote": True, "host": "build-7"}, "on the engine's own machine, build-7"),
        (container(), {}, "it has no network"),
    ],
)
def test_an_unreachable_container_is_reported_and_not_failed(
    container_info: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ServiceUnreachable, match=reason):
        resolve_address(container_info, 80, **options)


def test_a_route_of_this_machine_is_found_by_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addressing, "is_host_reachable", lambda address, port: True)
    assert resolve_address(container(home(FAR)), 80) == (FAR, 80)


@pytest.mark.parametrize("state", [{"Running": False}, {"Running": True, "Restarting": True}, {}])
def test_a_stopped_container_is_refused(state: dict[str, bool]) -> None:
    with pytest.raises(TargetRefused, match="does not run"):
        resolve_address(container(home(NEAR), State=state), 80)


def test_whether_this_machine_is_in_a_network_is_detected() -> None:
    assert is_in_local_network("127.0.0.9", 8)
    assert is_in_local_network("::1", 128)
    assert not is_in_local_network(FAR, 32)
    assert not is_in_local_network("no address", 24)
    assert not is_in_local_network(NEAR, 99)


def test_a_refused_connection_counts_as_an_answer() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
        assert is_host_reachable("127.0.0.1", port)  # no listener: refused
        held.listen()
        assert is_host_reachable("127.0.0.1", port)


# ---- where containers of an engine meet


def attached(*networks: str, name: str = "/auth", mode: str = "default") -> dict[str, object]:
    homes = {one: {"IPAddress": f"10.0.{number}.2", "Gateway": "10.0.0.1"} for number, one in enumerate(networks)}
    return {"Name": name, "HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": homes}}


@pytest.mark.parametrize(
    ("callee", "caller", "place"),
    [
        (attached("bridge"), attached("bridge"), ("10.0.0.2", 80)),
        (attached("bridge", "backend"), attached("bridge", "backend"), ("auth", 80)),
        (attached("backend", name="/auth.control-r1"), attached("backend"), ("10.0.0.2", 80)),
        (attached("backend"), attached("host", mode="host"), ("10.0.0.2", 80)),
        (attached("host", mode="host"), attached("backend"), ("10.0.0.1", 80)),
        (attached("host", mode="host"), attached("host", mode="host"), ("127.0.0.1", 80)),
    ],
)
def test_where_two_containers_meet(
    callee: dict[str, object], caller: dict[str, object], place: tuple[str, int]
) -> None:
    """By the service's name, as others would call it, wherever names are known."""
    assert address_between(callee, caller, spec=spec("auth", port=80)) == place


def test_two_that_are_in_no_network_together() -> None:
    with pytest.raises(ServiceUnreachable, match=r"share no network \(backend; other\)"):
        address_between(attached("backend"), attached("other"), spec=spec("auth", port=80))
