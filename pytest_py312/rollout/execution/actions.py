"""The acts of a way up, each once, on one target: what is done, and the event that says what came of it.

Nothing is written down here, and no state is kept: see driver.py.

The old version beside the new one: made once that serves, removed when the soak is over.

It says what is the new version's doing and what the environment's. That there is none is never held against a service.
"""

from collections.abc import Callable
from contextlib import suppress

from pytest_py312.rollout.domain.events import (
    BecameReady,
    DeployFailed,
    Event,
    Observed,
    Prepared,
    Switched,
    TwinMade,
    Verified,
)
from pytest_py312.rollout.domain.model import Act, Container, Deployment, StageRun
from pytest_py312.rollout.execution.foreign_changes import changed_since
from pytest_py312.rollout.targets.target import Phase, Target, TargetError, TargetRefused, Twinning


class Acts:
    """Each raises :class:`.TargetError` where the target does not answer, or refuses."""

    def __init__(self, target: Target, *, pause: Callable[[float], None], stopwatch: Callable[[], float]) -> None:
        self._target = target
        self._pause = pause
        self._stopwatch = stopwatch

    def do(self, act: Act, run: StageRun, one: Deployment) -> Event:
        """One act of the way up."""
        return _BY_ACT[act](self, run, one)

    def observe(self, run: StageRun, one: Deployment) -> Event:
        found = self._target.observe(one.spec)
        if found is None:
            return Observed(service=one.service, old=None)
        if not found.running:
            raise TargetRefused(
                f"its container {one.spec.container} does not run: there is nothing to come back to; start or remove it"
            )
        trouble = self.unready(one, found.container, delay=0.0)
        if trouble:
            raise TargetRefused(
                f"what serves now is not well ({trouble}), and a way back would end there; mend it first"
            )
        return Observed(service=one.service, old=found.container, interpreter=found.interpreter)

    def prepare(self, run: StageRun, one: Deployment) -> Event:
        return Prepared(service=one.service, new=self._target.prepare(one.spec, image=one.image, run=run.run))

    def switch(self, run: StageRun, one: Deployment) -> Event:
        changed = changed_since(one, self._target.observe(one.spec))
        if changed:
            raise TargetRefused(changed)
        self._target.switch(one.spec, _made(one))
        return Switched(service=one.service)

    def ready(self, run: StageRun, one: Deployment) -> Event:
        trouble = self.unready(one, _made(one))
        return DeployFailed(service=one.service, reason=trouble) if trouble else BecameReady(service=one.service)

    def verify(self, run: StageRun, one: Deployment) -> Event:
        """Health says that something answers; what it runs on only its process can tell."""
        found = self._target.observe(one.spec)
        if found is None or found.container.id != _made(one).id or not found.running:
            raise TargetRefused("what serves is not what was deployed")
        if not found.interpreters:
            raise TargetRefused("its process could not be asked for its interpreter; name a `version` path in the plan")
        if set(found.interpreters) != {run.target}:
            others = ", ".join(str(other) for other in found.interpreters)
            raise TargetRefused(f"it runs on Python {others}, not on {run.target}")
        trouble = self.unready(one, _made(one))
        if trouble:
            raise TargetRefused(trouble)
        return Verified(service=one.service)

    def twin(self, run: StageRun, one: Deployment) -> Event:
        return made_twin(self._target, run, one, self.unready)

    def unready(self, one: Deployment, container: Container, delay: float | None = None) -> str:
        """Wait until ``container`` is ready, and say why it is not. ``delay`` is for one of which nobody knows."""
        delay = one.spec.readiness_delay if delay is None else delay
        begun = self._stopwatch()
        while True:
            found = self._target.ready(one.spec, container)
            waited = self._stopwatch() - begun
            if found.phase is Phase.BROKEN:
                return found.detail
            if found.phase is Phase.READY and (found.asked or waited >= delay):
                return ""
            limit = one.spec.ready_timeout + (0.0 if found.asked else delay)
            if waited >= limit:
                return f"not ready after {limit:g} s: {found.detail}"
            self._pause(found.again)

    def not_old(self, one: Deployment) -> str:
        """Why what serves is not what served before; ``""`` where it is, and it answers."""
        found = self._target.observe(one.spec)
        if one.old is None:
            return "" if found is None else "something serves where nothing did before"
        if found is None or not found.running:
            return "nothing serves"
        # its container may have had to be made again, of the same image
        again = found.container.image == one.old.image and found.container != one.new
        if found.container.id != one.old.id and not again:
            return f"container {found.container.id[:12]} of image {found.container.image[:19]} serves"
        trouble = self.unready(one, found.container)
        if trouble:
            return trouble
        found = self._target.observe(one.spec) or found
        if one.old_interpreter is not None and found.interpreters and found.interpreter != one.old_interpreter:
            return f"it runs on Python {', '.join(map(str, found.interpreters))}, not on {one.old_interpreter}"
        return ""


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


_BY_ACT: dict[Act, Callable[[Acts, StageRun, Deployment], Event]] = {
    Act.OBSERVE: Acts.observe,
    Act.PREPARE: Acts.prepare,
    Act.SWITCH: Acts.switch,
    Act.READY: Acts.ready,
    Act.VERIFY: Acts.verify,
    Act.TWIN: Acts.twin,
}


def _made(one: Deployment) -> Container:
    if one.new is None:
        raise TargetRefused("it was not prepared")
    return one.new


def trouble_removing_twin(target: Target, run: StageRun, one: Deployment) -> str:
    """Remove the twin of a service; why it may still be there, ``""`` where it is gone."""
    try:
        if isinstance(target, Twinning):
            target.remove_twin(one.spec, run=run.run)
    except TargetError as error:
        return f"the old version beside {one.service} could not be removed: {error}"
    return ""
