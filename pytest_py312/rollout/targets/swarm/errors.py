"""What a manager of a swarm says no to, told apart: what will pass by itself, and what will not."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_py312.rollout.targets.docker.engine_calls import in_words
from pytest_py312.rollout.targets.target import TargetLost, TargetRefused
from pytest_py312.runners.docker.errors import Refused

_OUT_OF_SEQUENCE = "update out of sequence"
_WITHOUT_LEADER = ("does not have a leader", "deadline exceeded", "connection refused", "is being restarted")
_TAKEN = 409


@contextmanager
def in_swarm_words() -> Iterator[None]:
    """
    :raises TargetLost: no manager answers, or the swarm has no leader just now: so for some seconds after a start.
    :raises TargetRefused: it answered that it cannot.
    """
    try:
        with in_words():
            yield
    except TargetRefused as error:
        cause = error.__cause__
        if isinstance(cause, Refused) and cause.status >= 500 and any(word in str(cause) for word in _WITHOUT_LEADER):
            raise TargetLost(f"the swarm cannot answer just now ({cause})") from error
        if isinstance(cause, Refused) and "not a swarm manager" in str(cause):
            raise TargetRefused(
                "the engine is no manager of a swarm; point DOCKER_HOST, or `engine`, at one"
            ) from error
        raise


def is_out_of_sequence(refused: Refused) -> bool:
    """Whether somebody else changed the same thing in between. The API says so with 500, and not with 409."""
    return _OUT_OF_SEQUENCE in str(refused)


def is_taken(refused: Refused) -> bool:
    """Whether there is something of that name already."""
    return refused.status == _TAKEN
