"""Whether what served before a stage was deployed serves again: asked of the processes, and changing nothing."""

from functools import cached_property

from pytest_py312.core.errors import Py312Error
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import myself
from pytest_py312.rollout.execution.steps import Answer, Step, StepStatus
from pytest_py312.rollout.targets.target import Target, TargetError


class OldOnes:
    """Answers, service by service, for the newest run of a stage."""

    def __init__(self, ground: Ground, *, stage: int, environment: str) -> None:
        self._ground = ground
        self._stage = stage
        self._environment = environment
        self.ended: StageRun | None = None

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self._ground.state)

    @cached_property
    def _target(self) -> Target:
        return self._ground.target()

    def answer(self, step: Step) -> Answer:
        """Whether the old version of the service that ``step`` is about serves, and on which Python."""
        try:
            trouble = self._trouble(step.about)
        except (Py312Error, TargetError) as error:
            trouble = str(error)
        if trouble:
            return Answer(status=StepStatus.FAILED, reason=f"{step.about}: {trouble}")
        run = self._newest()
        old = run[step.about].old_interpreter if run else None
        on = f", on Python {old}" if old else ""
        return Answer(status=StepStatus.PASSED, reason=f"{step.about} is served by what served before{on}")

    def close(self) -> None:
        """Nothing is said beside what the steps say."""
        if "_journal" in self.__dict__:
            self._journal.close()

    def _trouble(self, service: str) -> str:
        run = self._newest()
        if run is None or service not in run.services:
            return "it was never deployed here, so nothing is known of what served before"
        trouble = Driver(self._journal, self._target, myself()).verify_old(run.run, service)
        if trouble or run[service].old is None:
            return trouble
        found = self._target.observe(run[service].spec)
        if found is None or not found.interpreters:
            return "its process could not be asked for its interpreter; name a `version` path in the plan"
        if run[service].old_interpreter is None and run.target in found.interpreters:
            return f"it runs on Python {run.target}, and what it ran on before is not known"
        return ""

    def _newest(self) -> StageRun | None:
        return next((run for run in self._journal.newest(self._environment) if run.stage == self._stage), None)
