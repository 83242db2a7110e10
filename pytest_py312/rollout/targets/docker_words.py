"""Trouble with the engine in the words of the protocol."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_py312.rollout.targets.protocol import TargetLost, TargetRefused
from pytest_py312.runners.docker_engine import EngineLost, Refused


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
