"""Classification of a swarm manager's errors: temporary failures, refusals, and concurrent updates."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_py312.rollout.targets.docker.engine_calls import as_target_errors
from pytest_py312.rollout.targets.target import TargetRefused, TargetUnavailable
from pytest_py312.runners.docker.errors import EngineRefused

_OUT_OF_SEQUENCE = "update out of sequence"
_NO_LEADER_MESSAGES = ("does not have a leader", "deadline exceeded", "connection refused", "is being restarted")
_NAME_TAKEN_STATUS = 409


@contextmanager
def as_swarm_target_errors() -> Iterator[None]:
    """Translate errors of the engine's client into those of a target.

    :raises TargetUnavailable: no manager answers, or the swarm has no leader, as for some seconds after a start.
    :raises TargetRefused: the manager refused the call.
    """
    try:
        with as_target_errors():
            yield
    except TargetRefused as error:
        cause = error.__cause__
        if (
            isinstance(cause, EngineRefused)
            and cause.status >= 500
            and any(message in str(cause) for message in _NO_LEADER_MESSAGES)
        ):
            raise TargetUnavailable(f"the swarm is temporarily unable to answer ({cause})") from error
        if isinstance(cause, EngineRefused) and "not a swarm manager" in str(cause):
            raise TargetRefused(
                "the engine is not a swarm manager; set DOCKER_HOST, or `engine` in the plan, to one"
            ) from error
        raise


def is_out_of_sequence(refused: EngineRefused) -> bool:
    """Return whether someone else changed the object meanwhile. The API reports it as 500 and not as 409."""
    return _OUT_OF_SEQUENCE in str(refused)


def is_name_taken(refused: EngineRefused) -> bool:
    """Return whether an object of that name exists already."""
    return refused.status == _NAME_TAKEN_STATUS
