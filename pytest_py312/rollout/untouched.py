"""Services that a way back has left alone, and that are down all the same.

An engine that was killed does not start all of its containers again. What ran when a stage was begun is what "all old"
means, so it is started where our own record says that the target was away meanwhile. Otherwise a person may have
stopped it, and is asked.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

from pytest_py312.rollout.journal import Entry
from pytest_py312.rollout.model import Deployment, StageRun
from pytest_py312.rollout.targets.protocol import Target, TargetError

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
