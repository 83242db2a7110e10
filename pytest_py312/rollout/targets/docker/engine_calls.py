"""Engine calls shared by the modules of the Docker target, and translation of the engine's errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_py312.core import clock
from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.targets.common import JsonObject, printable_last_lines
from pytest_py312.rollout.targets.docker.container_state import parse_timestamp
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnavailable
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable, none_if_missing, translate_errors

_REMOVAL_ATTEMPTS, _RESTART_POLICY_ATTEMPTS = 50, 10
_INTERVAL = 0.2
"""Seconds between two attempts."""


@contextmanager
def as_target_errors() -> Iterator[None]:
    """Translate errors of the engine's client into those of a target.

    :raises TargetUnavailable: the engine does not answer.
    :raises TargetRefused: the engine refused the call.
    """
    try:
        yield
    except EngineUnavailable as error:
        raise TargetUnavailable(str(error)) from error
    except EngineRefused as error:
        raise TargetRefused(str(error)) from error


def remove_container(engine: DockerEngine, container: str) -> None:
    """Remove a container, running or not, if it exists. Its volumes stay because other containers may use them.

    The engine refuses with status 409 while it removes the container for somebody else; then its name is still taken.

    :raises EngineRefused, EngineUnavailable: errors of the engine's client.
    """
    _retry_while(
        "already in progress",
        lambda: none_if_missing(lambda: engine.client.remove_container(container, force=True)),
        attempts=_REMOVAL_ATTEMPTS,
    )


def set_restart_policy(engine: DockerEngine, container: str, name: str) -> None:
    """Set the restart policy of a container, running or not.

    The engine refuses with status 500 while the container's process has ended and the engine has not noticed it yet,
    as happens with a container that crashes again and again. It accepts the same request a moment later.

    :raises EngineRefused, EngineUnavailable: errors of the engine's client.
    """
    policy: Any = {"Name": name}

    def update() -> None:
        with translate_errors():
            engine.client.update_container(container, restart_policy=policy)

    _retry_while("not running", update, attempts=_RESTART_POLICY_ATTEMPTS)


def _retry_while(refusal: str, call: Callable[[], None], *, attempts: int) -> None:
    """Call again as long as the engine refuses with these words in its explanation, a few times.

    :raises EngineRefused, EngineUnavailable: another refusal, or the last one; the engine does not answer.
    """
    for left in reversed(range(attempts)):
        try:
            call()
            return
        except EngineRefused as refused:
            if not left or refusal not in str(refused):
                raise
        clock.pause(_INTERVAL)


def inspect_container(engine: DockerEngine, container: str) -> JsonObject | None:
    """Return the engine's description of a container, ``None`` if it does not exist."""
    return none_if_missing(lambda: engine.client.inspect_container(container))


def list_containers(engine: DockerEngine, spec: ServiceSpec, *labels: str) -> list[Any]:
    """Return the containers that have these labels and are named after the service's container.

    The name matters because one engine may serve several environments.
    """
    with translate_errors():
        containers: Any = engine.client.containers(all=True, filters={"label": list(labels)})
    names = (f"/{spec.container}", f"/{spec.container}.")
    return [
        container
        for container in containers
        if any(name == names[0] or name.startswith(names[1]) for name in container.get("Names") or ())
    ]


def read_log(engine: DockerEngine, container: str, *, tail: int, since: float | None = None) -> list[str]:
    """Return the newest log lines of a container."""
    try:
        with translate_errors():
            log: Any = engine.client.logs(container, tail=tail, since=since)
    except EngineRefused:
        return []  # the container is gone, or its log driver cannot be read
    return list(printable_last_lines(log, tail))


def ran_out_of_memory_before_restart(engine: DockerEngine, container: JsonObject, *, since: float) -> bool:
    """Return whether a container that the engine restarted had run out of memory before.

    A start resets the engine's ``OOMKilled`` flag, and a restart follows immediately. Only the engine's events show it,
    and the engine keeps few of them, so they are read with each sample. Without an event the restart still counts.

    :param since: seconds since the epoch; earlier events are ignored. 0.0: one minute before the last start.
    """
    started = parse_timestamp(str(container["State"].get("StartedAt", "")))
    if not int(container.get("RestartCount", 0)) or started is None or started < since:
        return False
    try:
        with translate_errors():
            client: Any = engine.client  # its stubs allow no fractions of a second
            oom_events = client.events(
                since=f"{since or started - 60:.9f}",
                until=f"{started:.9f}",  # in the past by the engine's clock, so that the call does not wait for events
                filters={"container": str(container["Id"]), "event": "oom"},
                decode=True,
            )
            return any(True for _ in oom_events)
    except EngineRefused:
        return False
