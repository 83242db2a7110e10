"""How containers of a Docker engine are told to do something for one another."""

from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.domain.model import Container, ServiceSpec
from pytest_py312.rollout.targets.docker.engine_calls import inspected
from pytest_py312.rollout.targets.labels import Said
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnreachable
from pytest_py312.runners.docker.engine import Engine

_UNNAMED = ("bridge", "default")
"""Networks in which nobody is found by name."""


def met(engine: Engine, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
    """See :class:`~pytest_py312.rollout.targets.target.Meeting`.

    :raises Refused, EngineLost: as the engine's client does.
    """
    sides = []
    for one in (callee, caller):
        said = inspected(engine, one.id)
        if said is None or not said["State"].get("Running"):
            raise TargetRefused(f"container {one.id[:12]} does not run")
        sides.append(said)
    return meeting_place(*sides, spec=spec)


def meeting_place(callee: Said, caller: Said, *, spec: ServiceSpec) -> tuple[str, int]:
    """Host and port by which ``caller`` reaches ``callee``: the service's name where it has that there, as others would
    call it. Pure.

    :raises TargetUnreachable: they are in no network together.
    """
    homes, theirs = _networks(callee), _networks(caller)
    if "host" in (_mode(callee), _mode(caller)):
        if _mode(callee) == _mode(caller):
            return "127.0.0.1", spec.port
        address = next((str(said["IPAddress"]) for said in homes.values() if said.get("IPAddress")), "")
        if _mode(caller) == "host" and address:
            return address, spec.port
        gateway = next((str(said["Gateway"]) for said in theirs.values() if said.get("Gateway")), "")
        if gateway:
            return gateway, spec.port
    for name in sorted(homes.keys() & theirs.keys(), key=lambda name: (name != spec.network, name in _UNNAMED, name)):
        if name not in _UNNAMED and str(callee["Name"]).removeprefix("/") == spec.container:
            return spec.container, spec.port
        if homes[name].get("IPAddress"):
            return str(homes[name]["IPAddress"]), spec.port
    raise TargetUnreachable(
        f"they are in no network together ({', '.join(homes) or 'none'}; {', '.join(theirs) or 'none'})"
    )


def _networks(container: Said) -> Mapping[str, Mapping[str, Any]]:
    return (container.get("NetworkSettings") or {}).get("Networks") or {}


def _mode(container: Said) -> str:
    return str((container.get("HostConfig") or {}).get("NetworkMode", ""))
