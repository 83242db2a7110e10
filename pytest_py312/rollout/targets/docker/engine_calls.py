"""What all of the Docker target says to the engine, and trouble with it in the words of the protocol."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.targets.labels import Said, last_lines
from pytest_py312.rollout.targets.target import TargetLost, TargetRefused
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import EngineLost, Refused, if_known, told_apart

_NANOSECONDS = re.compile(r"(\.\d{6})\d+")


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


def ran_out_before(engine: Engine, container: Said, *, since: float) -> bool:
    """Whether a container that the engine has started again ran out of memory before that.

    A start takes the engine's own word for it away, and it is started again within a moment. Its events tell, of which
    it keeps few: so they are asked at each sample, and where they do not tell, the restart still counts.

    :param since: seconds since the epoch; only what happened after that. 0.0: in the last minute before it was started.
    """
    started = moment_in(str(container["State"].get("StartedAt", "")))
    if not int(container.get("RestartCount", 0)) or started is None or started < since:
        return False
    try:
        with told_apart():
            client: Any = engine.client  # whose stubs know no parts of a second
            told = client.events(
                since=f"{since or started - 60:.9f}",
                until=f"{started:.9f}",  # by the engine's own clock, and over: it does not wait for more
                filters={"container": str(container["Id"]), "event": "oom"},
                decode=True,
            )
            return any(True for _ in told)
    except Refused:
        return False


def moment_in(text: str) -> float | None:
    """Seconds since the epoch, of a moment as an engine writes it: with nanoseconds, and a ``Z``."""
    try:
        return datetime.fromisoformat(_NANOSECONDS.sub(r"\1", text)).timestamp()
    except ValueError:
        return None
