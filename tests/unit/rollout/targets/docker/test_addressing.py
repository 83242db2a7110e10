"""Where a container is asked from here, and what is said where it cannot be."""

import socket
from typing import Any

import pytest

from pytest_py312.rollout.targets.docker import addressing
from pytest_py312.rollout.targets.docker.addressing import answers, is_near, reached
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnreachable

NEAR, FAR = "127.0.0.9", "198.51.100.9"
"""Of this machine, and of one that is nobody's (RFC 5737)."""


def home(address: str, **said: Any) -> dict[str, Any]:
    return {"IPAddress": address, "IPPrefixLen": 8 if address == NEAR else 32, "NetworkID": "n1", **said}


def container(*homes: dict[str, Any], published: list[dict[str, str]] | None = None, **said: Any) -> dict[str, Any]:
    networks = {f"net{number}": one for number, one in enumerate(homes)}
    return {
        "State": {"Running": True},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Ports": {"80/tcp": published}, "Networks": networks},
        **said,
    }


@pytest.fixture(autouse=True)
def _nothing_is_asked_beyond_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addressing, "answers", lambda address, port: False)


@pytest.mark.parametrize(
    ("said", "address"),
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
def test_its_own_address_goes_before_a_published_port(said: dict[str, Any], address: tuple[str, int]) -> None:
    """What is between here and a published port costs time that a twin would not have."""
    assert reached(said, 80, host="engine") == address


def test_the_network_of_the_plan_goes_first() -> None:
    assert reached(container(home(NEAR), home("127.0.0.10", IPPrefixLen=8)), 80, network="net1") == ("127.0.0.10", 80)


@pytest.mark.parametrize(
    ("said", "how", "why"),
    [
        (container(home(FAR)), {}, "network net0 is not one of this machine's"),
        (container(home(NEAR)), {"driver_of": lambda network: "macvlan"}, "is a macvlan"),
        (container(home(NEAR)), {"is_remote": True, "host": "build-7"}, "on the engine's own machine, build-7"),
        (container(), {}, "it has no network"),
    ],
)
def test_what_cannot_be_reached_is_told_and_no_failure(said: dict[str, Any], how: dict[str, Any], why: str) -> None:
    with pytest.raises(TargetUnreachable, match=why):
        reached(said, 80, **how)


def test_a_route_that_only_this_machine_knows_is_found_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addressing, "answers", lambda address, port: True)
    assert reached(container(home(FAR)), 80) == (FAR, 80)


@pytest.mark.parametrize("state", [{"Running": False}, {"Running": True, "Restarting": True}, {}])
def test_one_that_does_not_run_is_refused(state: dict[str, bool]) -> None:
    with pytest.raises(TargetRefused, match="does not run"):
        reached(container(home(NEAR), State=state), 80)


def test_whether_this_machine_is_in_a_network() -> None:
    assert is_near("127.0.0.9", 8)
    assert is_near("::1", 128)
    assert not is_near(FAR, 32)
    assert not is_near("no address", 24)
    assert not is_near(NEAR, 99)


def test_to_refuse_is_an_answer() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
        assert answers("127.0.0.1", port)  # nobody listens: refused
        held.listen()
        assert answers("127.0.0.1", port)
