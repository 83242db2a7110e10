"""The old version beside the new one, on a Docker engine.

It is a container of its own and not the old one started again: that one has the ports and names of the service, and is
the way back, which nothing may change.
"""

import secrets
from typing import Any

from pytest_py312.rollout.domain.model import Container, ServiceSpec
from pytest_py312.rollout.targets.docker.container_config import ROLE_LABEL, TWIN, as_stand_in, as_twin, request_like
from pytest_py312.rollout.targets.docker.engine_calls import inspected, labelled, remove
from pytest_py312.rollout.targets.labels import RUN_LABEL, SERVICE_LABEL
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import told_apart

STAND_IN_SECONDS = 900
"""After which a stand-in is gone, whoever has forgotten it."""


def start_twin(engine: Engine, spec: ServiceSpec, old: Container, *, run: str) -> Container:
    """
    :raises TargetRefused: there can be none of this one.
    :raises Refused, EngineLost: as the engine's client does.
    """
    remove_twins(engine, spec)
    request = _beside(engine, spec, old, run=run)
    return _started(engine, request, f"{spec.container}.twin-{run}", old.image)


def start_stand_in(engine: Engine, spec: ServiceSpec, old: Container, *, run: str) -> Container:
    """See :class:`~pytest_py312.rollout.targets.target.Meeting`; raises as :func:`start_twin` does."""
    request = as_stand_in(_beside(engine, spec, old, run=run), seconds=STAND_IN_SECONDS)
    return _started(engine, request, f"{spec.container}.stand-in-{secrets.token_hex(4)}", old.image)


def _beside(engine: Engine, spec: ServiceSpec, old: Container, *, run: str) -> dict[str, Any]:
    """A request for a container that is set up like the old one, and gets in nobody's way."""
    said = inspected(engine, old.id)
    if said is None:
        raise TargetRefused(f"the old container {old.id[:12]} is gone, and nothing tells how it was set up")
    mode = str(said["HostConfig"].get("NetworkMode", ""))
    if mode == "host" or mode.startswith("container:"):
        raise TargetRefused(f"its network is that of {mode}, where a second one cannot have its port")
    with told_apart():
        image: Any = engine.client.inspect_image(old.image)  # type: ignore[no-untyped-call]  # so in its stubs
    return as_twin(request_like(said, image, spec=spec, image=old.image, run=run))


def _started(engine: Engine, request: dict[str, Any], name: str, image: str) -> Container:
    with told_apart():
        made: Any = engine.client.create_container_from_config(request, name=name)  # type: ignore[no-untyped-call]  # so in its stubs
        engine.client.start(made["Id"])
    return Container(id=str(made["Id"]), image=image)


def remove_twins(engine: Engine, spec: ServiceSpec, *, run: str = "") -> None:
    """Remove the twins of a service, of one run or of all.

    :raises Refused, EngineLost: as the engine's client does.
    """
    labels = [f"{SERVICE_LABEL}={spec.service}", f"{ROLE_LABEL}={TWIN}", *([f"{RUN_LABEL}={run}"] if run else [])]
    for one in labelled(engine, spec, *labels):
        remove(engine, str(one["Id"]))
