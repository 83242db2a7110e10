"""The acts of a deployment on one target. Each returns the event that describes its result.

Nothing is recorded here and no state is kept, see :mod:`.driver`.

The control is the previous version. It is started once the new version serves, and removed when the soak is over. It
separates effects of the new version from those of the environment; a missing control never counts against a service.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.rollout.domain.events import (
    BecameReady,
    ControlStarted,
    DeployFailed,
    Event,
    Observed,
    Prepared,
    Switched,
    Verified,
)
from pytest_py312.rollout.domain.model import Act, Deployment, StageRun
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.execution.foreign_changes import foreign_change
from pytest_py312.rollout.targets.target import ReadinessPhase, SupportsControl, Target, TargetError, TargetRefused

SETTLE_LIMIT, SETTLE_INTERVAL = 10.0, 0.5
"""Seconds that a restored version has to be all that serves, and between two looks."""


class WaitInterrupted(Exception):
    """A stop was requested while a new container was getting ready. ``str()`` names the signal."""


class Actions:
    """Executor of acts. All methods raise :class:`.TargetError` if the target does not answer, or refuses.

    ``stop_reason`` returns why to stop waiting for a new container, or ``""``.
    """

    def __init__(
        self,
        target: Target,
        *,
        pause: Callable[[float], None],
        stopwatch: Callable[[], float],
        stop_reason: Callable[[], str] = lambda: "",
    ) -> None:
        self._target = target
        self._pause = pause
        self._stopwatch = stopwatch
        self._stop_reason = stop_reason

    def perform(self, act: Act, run: StageRun, deployment: Deployment) -> Event:
        """Perform one act of a deployment.

        :raises WaitInterrupted: see there. Nothing is left behind that a rollback does not know.
        """
        with PROGRESS.activity(_DESCRIPTIONS[act], deployment.service):
            return _METHODS[act](self, run, deployment)

    def observe(self, run: StageRun, deployment: Deployment) -> Event:
        observed = self._target.observe(deployment.spec)
        if observed is None:
            return Observed(service=deployment.service, old=None)
        if not observed.running:
            raise TargetRefused(
                f"its container {deployment.spec.container} is not running, so there is no version to roll back to; "
                "start or remove it first"
            )
        problem = self.wait_until_ready(deployment, observed.container, delay=0.0)
        if problem:
            raise TargetRefused(
                f"what serves now is not well ({problem}), and a rollback would restore it; fix it first"
            )
        return Observed(service=deployment.service, old=observed.container, interpreter=observed.interpreter)

    def prepare(self, run: StageRun, deployment: Deployment) -> Event:
        return Prepared(
            service=deployment.service, new=self._target.prepare(deployment.spec, image=deployment.image, run=run.run)
        )

    def switch(self, run: StageRun, deployment: Deployment) -> Event:
        change = foreign_change(deployment, self._target.observe(deployment.spec))
        if change:
            raise TargetRefused(change)
        self._target.switch(deployment.spec, _new_container(deployment))
        return Switched(service=deployment.service)

    def await_ready(self, run: StageRun, deployment: Deployment) -> Event:
        problem = self.wait_until_ready(deployment, _new_container(deployment), stop_reason=self._stop_reason)
        return (
            DeployFailed(service=deployment.service, reason=problem)
            if problem
            else BecameReady(service=deployment.service)
        )

    def verify(self, run: StageRun, deployment: Deployment) -> Event:
        """Verify what the serving process runs on: health only shows that something answers."""
        observed = self._target.observe(deployment.spec)
        if observed is None or observed.container.id != _new_container(deployment).id or not observed.running:
            raise TargetRefused("what serves is not what was deployed")
        if not observed.interpreters:
            raise TargetRefused("the interpreter of its process is unknown; name a `version` path in the plan")
        if set(observed.interpreters) != {run.target}:
            raise TargetRefused(describe_interpreters(observed.interpreters, run.target))
        problem = self.wait_until_ready(deployment, _new_container(deployment), stop_reason=self._stop_reason)
        if problem:
            raise TargetRefused(problem)
        return Verified(service=deployment.service)

    def start_control(self, run: StageRun, deployment: Deployment) -> Event:
        return start_control(self._target, run, deployment, self.wait_until_ready)

    def wait_until_ready(
        self,
        deployment: Deployment,
        container: Container,
        delay: float | None = None,
        stop_reason: Callable[[], str] = lambda: "",
    ) -> str:
        """Wait until ``container`` is ready, and return why it is not; empty if it is.

        :param delay: the wait for a container whose health cannot be checked.
        :raises WaitInterrupted: ``stop_reason`` returns one.
        """
        delay = deployment.spec.readiness_delay if delay is None else delay
        started_at = self._stopwatch()
        while True:
            readiness = self._target.readiness(deployment.spec, container)
            waited = self._stopwatch() - started_at
            if readiness.phase is ReadinessPhase.BROKEN:
                return readiness.detail
            if readiness.phase is ReadinessPhase.READY and (readiness.is_probed or waited >= delay):
                return ""
            if reason := stop_reason():
                raise WaitInterrupted(reason)
            limit = deployment.spec.ready_timeout + (0.0 if readiness.is_probed else delay)
            if waited >= limit:
                return f"not ready after {limit:g} s: {readiness.detail}"
            self._pause(readiness.retry_after)

    def verify_previous(self, deployment: Deployment) -> str:
        """Return why what serves is not what served before; empty if it is, and is ready, within some seconds.

        A swarm may still run a task of the replaced version for a moment, above all after a restart of its manager: a
        single look would call such a rollback failed.
        """
        started_at = self._stopwatch()
        while True:
            try:
                problem = self._problem_of_previous(deployment)
            except TargetRefused as error:  # such as a task that cannot be inspected yet
                problem = str(error)
            if not problem or self._stopwatch() - started_at >= SETTLE_LIMIT:
                return problem
            self._pause(SETTLE_INTERVAL)

    def _problem_of_previous(self, deployment: Deployment) -> str:
        observed = self._target.observe(deployment.spec)
        if deployment.old is None:
            return "" if observed is None else "something serves where nothing did before"
        if observed is None or not observed.running:
            return "nothing serves"
        # its container may have been recreated, from the same image
        is_recreated = observed.container.image == deployment.old.image and observed.container != deployment.new
        if observed.container.id != deployment.old.id and not is_recreated:
            return f"container {observed.container.id[:12]} of image {observed.container.image[:19]} serves"
        problem = self.wait_until_ready(deployment, observed.container)
        if problem:
            return problem
        observed = self._target.observe(deployment.spec) or observed
        if (
            deployment.old_interpreter is not None
            and observed.interpreters
            and observed.interpreter != deployment.old_interpreter
        ):
            return describe_interpreters(observed.interpreters, deployment.old_interpreter)
        return ""


def describe_interpreters(running: Sequence[Interpreter], expected: Interpreter) -> str:
    """Describe what runs instead of the expected Python, or beside it."""
    others = ", ".join(str(interpreter) for interpreter in running if interpreter != expected)
    if expected in running:
        return f"Python {others} runs beside {expected}; if that is intended, set the service's `version` path"
    return f"it runs on Python {others}, not on {expected}"


def start_control(
    target: Target, run: StageRun, deployment: Deployment, wait_until_ready: Callable[[Deployment, Container], str]
) -> ControlStarted:
    """Start the control of a service and wait until it is ready.

    :param wait_until_ready: waits for a container, and returns why it is not ready.
    """
    if deployment.old is None:
        return ControlStarted(service=deployment.service, control=None, reason="nothing served before")
    if not isinstance(target, SupportsControl):
        return ControlStarted(
            service=deployment.service, control=None, reason=f"the target {target.name} cannot run one"
        )
    try:
        control = target.start_control(deployment.spec, deployment.old, run=run.run)
        problem = wait_until_ready(deployment, control)
    except TargetError as error:
        problem = str(error)
    if not problem:
        return ControlStarted(service=deployment.service, control=control)
    with suppress(TargetError):  # if this fails, it is removed when the stage is over
        target.remove_control(deployment.spec, run=run.run)
    return ControlStarted(service=deployment.service, control=None, reason=problem)


_METHODS: dict[Act, Callable[[Actions, StageRun, Deployment], Event]] = {
    Act.OBSERVE: Actions.observe,
    Act.PREPARE: Actions.prepare,
    Act.SWITCH: Actions.switch,
    Act.READY: Actions.await_ready,
    Act.VERIFY: Actions.verify,
    Act.START_CONTROL: Actions.start_control,
}


_DESCRIPTIONS: dict[Act, str] = {
    Act.OBSERVE: "looking at",
    Act.PREPARE: "preparing",
    Act.SWITCH: "switching",
    Act.READY: "waiting for",
    Act.VERIFY: "verifying",
    Act.START_CONTROL: "starting the previous version beside",
}
"""What is shown while an act is performed, before the name of the service."""


def _new_container(deployment: Deployment) -> Container:
    if deployment.new is None:
        raise TargetRefused("it was not prepared")
    return deployment.new


def remove_control(target: Target, run: StageRun, deployment: Deployment) -> str:
    """Remove the control of a service; return why it may still exist, empty if it is gone."""
    try:
        if isinstance(target, SupportsControl):
            target.remove_control(deployment.spec, run=run.run)
    except TargetError as error:
        return f"the control of {deployment.service} could not be removed: {error}"
    return ""
