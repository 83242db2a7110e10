"""The old version beside the new one: made once that serves, removed when the soak is over.

It says what is the new version's doing and what the environment's. That there is none is never held against a service.
"""

from collections.abc import Callable
from contextlib import suppress

from pytest_py312.rollout.events import TwinMade
from pytest_py312.rollout.model import Container, Deployment, StageRun
from pytest_py312.rollout.targets.protocol import Target, TargetError, Twinning


def made_twin(
    target: Target, run: StageRun, one: Deployment, unready: Callable[[Deployment, Container], str]
) -> TwinMade:
    """Start the twin of a service and wait until it is ready.

    :param unready: waits for a container, and says why it is not ready.
    """
    if one.old is None:
        return TwinMade(service=one.service, twin=None, reason="nothing served before")
    if not isinstance(target, Twinning):
        return TwinMade(service=one.service, twin=None, reason=f"the target {target.name} cannot run one")
    try:
        made = target.twin(one.spec, one.old, run=run.run)
        trouble = unready(one, made)
    except TargetError as error:
        trouble = str(error)
    if not trouble:
        return TwinMade(service=one.service, twin=made)
    with suppress(TargetError):  # removed again when the stage is over
        target.remove_twin(one.spec, run=run.run)
    return TwinMade(service=one.service, twin=None, reason=trouble)


def trouble_removing_twin(target: Target, run: StageRun, one: Deployment) -> str:
    """Remove the twin of a service; why it may still be there, ``""`` where it is gone."""
    try:
        if isinstance(target, Twinning):
            target.remove_twin(one.spec, run=run.run)
    except TargetError as error:
        return f"the old version beside {one.service} could not be removed: {error}"
    return ""
