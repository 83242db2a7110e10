"""What somebody else has deployed between our look at a service and our hand on it.

The lock keeps out whoever uses this program, and nobody who starts a container by hand. So what serves is looked at
once more right before it is replaced, by its id; and what is found then is left as it is, on the way back as well.

Services that a way back has left alone, and that are down all the same.

An engine that was killed does not start all of its containers again. What ran when a stage was begun is what "all old"
means, so it is started where our own record says that the target was away meanwhile. Otherwise a person may have
stopped it, and is asked.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

from pytest_py312.rollout.domain.journal import Entry
from pytest_py312.rollout.domain.model import Container, Deployment, Observation, StageRun
from pytest_py312.rollout.targets.target import Target, TargetError


def changed_since(one: Deployment, found: Observation | None) -> str:
    """Why what serves now is not what the run has found when it began, for people; empty where it is."""
    if found is None:
        return f"{_named(one.old)} was removed by somebody else since this run looked" if one.old else ""
    if is_known(one, found):
        return ""
    since = f"in the place of {_named(one.old)}" if one.old else "where nothing did before"
    return f"{_named(found.container)} serves {since}: somebody else has deployed it since this run looked"


def left_alone(target: Target, one: Deployment, run: str) -> str:
    """On the way back of a service that nothing was switched of: what is to be left alone there, for people, after what
    the run has made was removed. Empty where there is nothing of that kind.

    Raises as a target does.
    """
    if one.switched:
        return ""
    found = target.observe(one.spec)
    if found is None or not found.running or is_known(one, found):
        return ""
    target.restore(one.spec, None, run=run)
    return f"{_named(found.container)}, which somebody else has deployed, serves, and was left as it is"


def is_known(one: Deployment, found: Observation) -> bool:
    """Whether it is what the run has found or made; or, where a target replaces step by step, both of them."""
    known = [container.id for container in (one.old, one.new) if container is not None]
    return any(name in found.container.id for name in known)


def _named(container: Container) -> str:
    return f"{container.id[:12]} of image {container.image.removeprefix('sha256:')[:12]}"


AWAY = "the target did not answer: "
"""Begins the note of an act that a target was lost in."""


def was_away(history: Iterable[Entry]) -> bool:
    """Whether the target was lost at any time of a run."""
    return any(isinstance(entry.what, str) and entry.what.startswith(AWAY) for entry in history)


def fallen(target: Target, run: StageRun) -> list[Deployment]:
    """What was left alone, served when the run began, and does not run by now, as far as that can be asked."""
    found = []
    for one in run.deployments:
        if one.restored or one.old is None or (run.scope and one.service not in run.scope):
            continue
        with suppress(TargetError):
            seen = target.observe(one.spec)
            if seen is None or not seen.running:
                found.append(one)
    return found


def started(target: Target, run: StageRun, one: Deployment, not_old: Callable[[Deployment], str]) -> str:
    """Start what served before again, and see that it serves; why it does not, empty where it does."""
    try:
        target.restore(one.spec, one.old, run=run.run)
        return not_old(one)
    except TargetError as error:
        return str(error)
