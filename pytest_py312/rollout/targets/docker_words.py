"""What all of the Docker target says to the engine, and trouble with it in the words of the protocol."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_py312.rollout.targets.protocol import TargetLost, TargetRefused
from pytest_py312.runners.docker_engine import Engine, EngineLost, Refused, told_apart


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
    try:
        with told_apart():
            engine.client.remove_container(container, force=True)
    except Refused as refused:
        if not refused.not_found:
            raise
