"""Detect containers that were deployed or stopped outside of this tool during a rollout.

The lock stops other users of this tool, but not someone who starts a container manually. So the serving container is
compared by its id right before it is replaced. A foreign one is left as it is, in a rollback as well.

Services that a rollback leaves alone may be stopped all the same: an engine that was killed does not restart all of its
containers. They are started if the history of the run shows that the target was unreachable. Otherwise a person may
have stopped them, so it is only reported.
"""

from collections.abc import Callable
from contextlib import suppress

from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Deployment, StageRun
from pytest_py312.rollout.domain.target_model import Container, Observation, short_image_id
from pytest_py312.rollout.targets.target import Target, TargetError


def foreign_change(deployment: Deployment, observed: Observation | None) -> str:
    """Describe how the serving container differs from the one this run started from; empty if it does not."""
    if observed is None:
        return (
            f"{_describe_container(deployment.old)} was removed by someone else during this run"
            if deployment.old
            else ""
        )
    if is_expected(deployment, observed):
        return ""
    place = f"in place of {_describe_container(deployment.old)}" if deployment.old else "where nothing did before"
    return f"{_describe_container(observed.container)} serves {place}: someone else deployed it during this run"


def keep_foreign(target: Target, deployment: Deployment, run: str) -> str:
    """Describe the foreign container that a rollback leaves alone, and remove what the run has made; empty if there is
    none.

    Only a service that was not switched yet can have one. Raises as a target does.
    """
    if deployment.switched:
        return ""
    observed = target.observe(deployment.spec)
    if observed is None or not observed.running or is_expected(deployment, observed):
        return ""
    target.restore(deployment.spec, None, run=run)
    return f"{_describe_container(observed.container)}, deployed by someone else, serves and was left as it is"


def is_expected(deployment: Deployment, observed: Observation) -> bool:
    """Return whether it is the previous or the new container; a target that replaces step by step may report both."""
    expected_ids = [container.id for container in (deployment.old, deployment.new) if container is not None]
    return any(container_id in observed.container.id for container_id in expected_ids)


def _describe_container(container: Container) -> str:
    return f"{container.id[:12]} of image {short_image_id(container.image)}"


UNREACHABLE_PREFIX = "the target did not answer: "
"""Prefix of the note about an act during which the target was unreachable."""


def stopped_services(target: Target, run: StageRun) -> list[Deployment]:
    """Return services that were left alone, served when the run began, and do not run now, as far as is known."""
    stopped = []
    for deployment in run.deployments:
        if deployment.restored or deployment.old is None or (run.scope and deployment.service not in run.scope):
            continue
        with suppress(TargetError):
            observed = target.observe(deployment.spec)
            if observed is None or not observed.running:
                stopped.append(deployment)
    return stopped


class SkippedServices:
    """Services that a rollback has left alone, and that do not run although they ran when the stage began.

    ``verify_previous`` returns why what served before does not serve, empty if it does.
    """

    def __init__(
        self, journal: Journal, target: Target, verify_previous: Callable[[Deployment], str], log: Callable[[str], None]
    ) -> None:
        self._journal = journal
        self._target = target
        self._verify_previous = verify_previous
        self._log = log

    def check(self, run: StageRun) -> None:
        """Start them if the target was unreachable at any time of the run; otherwise only report them."""
        history = self._journal.history(run.run)
        notes = [entry.content for entry in history if isinstance(entry.content, str)]
        was_lost = any(note.startswith(UNREACHABLE_PREFIX) for note in notes)
        for deployment in stopped_services(self._target, run):
            if was_lost:
                self.start(run, deployment)
                continue
            self._log_and_note(
                run,
                f"{deployment.service} was not changed, but is not running now: start {deployment.spec.container}, or "
                f"run `py312 recover --env {run.environment} --start`",
            )

    def start(self, run: StageRun, deployment: Deployment) -> bool:
        """Start what served before, and return whether it serves."""
        name = deployment.service
        self._log_and_note(run, f"{name} was not changed, ran when the stage began, and is not running now: started")
        try:
            self._target.restore(deployment.spec, deployment.old, run=run.run)
            problem = self._verify_previous(deployment)
        except TargetError as error:
            problem = str(error)
        if problem:
            self._log_and_note(run, f"{name} could not be started: {problem}")
        return not problem

    def _log_and_note(self, run: StageRun, text: str) -> None:
        self._log(text)
        self._journal.add_note(run.run, text)
