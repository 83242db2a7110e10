"""Containers of the previous version that run next to the new one: controls and stand-ins.

A control is a new container and not the previous one started again: that one has the ports and names of the service,
and it is needed unchanged for a rollback.
"""

import secrets
from typing import Any

from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.targets.common import RUN_LABEL, SERVICE_LABEL
from pytest_py312.rollout.targets.docker.container_config import (
    CONTROL,
    ROLE_LABEL,
    as_control,
    as_stand_in,
    request_from_container,
)
from pytest_py312.rollout.targets.docker.engine_calls import inspect_container, list_containers, remove_container
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import translate_errors

STAND_IN_LIFETIME = 900
"""Seconds after which a stand-in ends by itself, in case it was never removed."""


def start_control(engine: DockerEngine, spec: ServiceSpec, old: Container, *, run: str) -> Container:
    """Start a control: a container configured like ``old``, isolated from the service's traffic.

    :raises TargetRefused: this container cannot be duplicated.
    :raises EngineRefused, EngineUnavailable: errors of the engine's client.
    """
    remove_controls(engine, spec)
    request = _isolated_request(engine, spec, old, run=run)
    return _create_and_start(engine, request, f"{spec.container}.control-{run}", old.image)


def start_stand_in(engine: DockerEngine, spec: ServiceSpec, old: Container, *, run: str) -> Container:
    """Start an idle container of the previous version; raises like :func:`start_control`."""
    request = as_stand_in(_isolated_request(engine, spec, old, run=run), seconds=STAND_IN_LIFETIME)
    return _create_and_start(engine, request, f"{spec.container}.stand-in-{secrets.token_hex(4)}", old.image)


def _isolated_request(engine: DockerEngine, spec: ServiceSpec, old: Container, *, run: str) -> dict[str, Any]:
    """Return the request for a container configured like ``old`` that does not interfere with the service."""
    old_info = inspect_container(engine, old.id)
    if old_info is None:
        raise TargetRefused(f"the previous container {old.id[:12]} no longer exists, so its configuration is unknown")
    network_mode = str(old_info["HostConfig"].get("NetworkMode", ""))
    if network_mode == "host" or network_mode.startswith("container:"):
        raise TargetRefused(
            f"it uses the network of {network_mode}, where a second container cannot have the same port"
        )
    with translate_errors():
        image: Any = engine.client.inspect_image(old.image)  # type: ignore[no-untyped-call]  # so in its stubs
    return as_control(request_from_container(old_info, image, spec=spec, image=old.image, run=run))


def _create_and_start(engine: DockerEngine, request: dict[str, Any], name: str, image: str) -> Container:
    with translate_errors():
        created: Any = engine.client.create_container_from_config(request, name=name)  # type: ignore[no-untyped-call]  # so in its stubs
        engine.client.start(created["Id"])
    return Container(id=str(created["Id"]), image=image)


def remove_controls(engine: DockerEngine, spec: ServiceSpec, *, run: str = "") -> None:
    """Remove the controls of a service, of one run or of all runs.

    :raises EngineRefused, EngineUnavailable: errors of the engine's client.
    """
    labels = [f"{SERVICE_LABEL}={spec.service}", f"{ROLE_LABEL}={CONTROL}", *([f"{RUN_LABEL}={run}"] if run else [])]
    for control in list_containers(engine, spec, *labels):
        remove_container(engine, str(control["Id"]))
