"""What all of the Docker target says to the engine, and trouble with it in the words of the protocol."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_py312.rollout.model import ServiceSpec
from pytest_py312.rollout.targets.docker_setup import Said, last_lines
from pytest_py312.rollout.targets.protocol import TargetLost, TargetRefused
from pytest_py312.runners.docker_engine import Engine
from pytest_py312.runners.docker_trouble import EngineLost, Refused, if_known, told_apart


@contextmanager
def in_words() -> Iterator[None]:
    """
    :raises TargetLost: the engine does not answer.
    :raises TargetRefused: it answered that it cannot.
    """
    try:
        yield
    except EngineLost as error:
        raise TargetLost(str(error)) from error
    except Refused as error:
        raise TargetRefused(str(error)) from error


def remove(engine: Engine, container: str) -> None:
    """Remove a container, whether it runs or not; one that is gone already is fine. Its volumes stay: another one may
    have the same.

    :raises Refused, EngineLost: as the engine's client does.
    """
    if_known(lambda: engine.client.remove_container(container, force=True))


def inspected(engine: Engine, container: str) -> Said | None:
    """What the engine says of a container; ``None`` where there is none."""
    return if_known(lambda: engine.client.inspect_container(container))


def labelled(engine: Engine, spec: ServiceSpec, *labels: str) -> list[Any]:
    """Containers with these labels whose names are ours to use, as the engine lists them: one engine may serve several
    environments."""
    with told_apart():
        found: Any = engine.client.containers(all=True, filters={"label": list(labels)})
    names = (f"/{spec.container}", f"/{spec.container}.")
    return [
        one for one in found if any(name == names[0] or name.startswith(names[1]) for name in one.get("Names") or ())
    ]


def log_of(engine: Engine, container: str, *, tail: int, since: float | None = None) -> list[str]:
    """The newest lines that a container has logged."""
    try:
        with told_apart():
            log: Any = engine.client.logs(container, tail=tail, since=since)
    except Refused:
        return []  # it is gone, or its engine keeps no log
    return list(last_lines(log, tail))
