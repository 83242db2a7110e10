"""Health that a Docker target asks for beside HTTP: by gRPC, and by a command in the container."""

from collections.abc import Sequence
from threading import Thread

from pytest_py312.rollout.domain.model import Container, ServiceSpec
from pytest_py312.rollout.metrics.grpc_health import ask_health
from pytest_py312.rollout.metrics.reading import one_line
from pytest_py312.rollout.targets.docker.addressing import Reach
from pytest_py312.rollout.targets.labels import Said
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import Engine

MOST_PRINTED = 256 * 1024
"""Bytes: what one container writes for another is printed."""


def unwell(engine: Engine, said: Said, spec: ServiceSpec, reach: Reach, *, limit: float) -> str:
    """Why a container is not healthy by what the plan asks beside HTTP; empty where it is, or nothing is asked.

    Raises as the engine's client and a target do.
    """
    if spec.grpc is not None and spec.port:
        reading = ask_health(*reach.of(said, spec), spec.grpc, limit=limit)
        if reading.value is None:
            return reading.detail
    if spec.health_command:
        container = Container(id=str(said["Id"]), image=str(said["Image"]))
        code, printed = executed(engine, container, spec.health_command, limit=limit)
        if code:
            return f"{spec.health_command[0]} ended with {code}: {one_line(printed)}"
    return ""


def executed(engine: Engine, container: Container, argv: Sequence[str], *, limit: float) -> tuple[int, str]:
    """A command in a container, as :class:`~pytest_py312.rollout.monitoring.health_probes.Executing` says it.

    One that does not end in time is left to itself: an engine has no way to end it, and the container has its own.
    """
    printed = bytearray()
    ended: list[int] = []
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            ended.append(engine.execute(container.id, list(argv), lambda kind, part: printed.extend(part)))
        except BaseException as error:  # whatever it is, somebody waits for it
            trouble.append(error)

    thread = Thread(target=run, name=f"health of {container.id[:12]}", daemon=True)
    thread.start()
    thread.join(limit)
    if trouble:
        raise trouble[0]
    if not ended:
        raise TargetRefused(f"{argv[0]} did not end within {limit:g} s")
    return ended[0], bytes(printed[-MOST_PRINTED:]).decode("utf-8", "replace")
