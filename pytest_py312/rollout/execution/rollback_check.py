"""Verify that what served before a stage was deployed serves again. It asks the processes and changes nothing."""

from functools import cached_property

from pytest_py312.core.errors import Py312Error
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import current_operator
from pytest_py312.rollout.execution.steps import RolloutStep, StepResult, StepStatus
from pytest_py312.rollout.targets.target import Target, TargetError


class RollbackVerifier:
    """Verifier of the services of the current run of a stage, one by one."""

    def __init__(self, context: RolloutContext, *, stage: int, environment: str) -> None:
        self._context = context
        self._stage = stage
        self._environment = environment
        self.ended: StageRun | None = None

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self._context.state_dir)

    @cached_property
    def _target(self) -> Target:
        return self._context.target()

    def answer(self, step: RolloutStep) -> StepResult:
        """Return whether the previous version of a service serves, and on which Python."""
        try:
            problem = self._find_problem(step.subject)
        except (Py312Error, TargetError) as error:
            problem = str(error)
        if problem:
            return StepResult(status=StepStatus.FAILED, reason=f"{step.subject}: {problem}")
        run = self._current_run()
        old = run[step.subject].old_interpreter if run else None
        version_text = f", on Python {old}" if old else ""
        return StepResult(
            status=StepStatus.PASSED, reason=f"the previous version of {step.subject} serves{version_text}"
        )

    def close(self) -> None:
        """Close the journal. There is no result besides those of the steps."""
        if "_journal" in self.__dict__:
            self._journal.close()

    def _find_problem(self, service: str) -> str:
        run = self._current_run()
        if run is None or service not in run.services:
            return "it was never deployed here, so the version before is unknown"
        problem = Driver(self._journal, self._target, current_operator()).verify_previous(run.run, service)
        if problem or run[service].old is None:
            return problem
        observed = self._target.observe(run[service].spec)
        if observed is None or not observed.interpreters:
            return "the interpreter of its process is unknown; name a `version` path in the plan"
        if run[service].old_interpreter is None and run.target in observed.interpreters:
            return f"it runs on Python {run.target}, and its previous interpreter is unknown"
        return ""

    def _current_run(self) -> StageRun | None:
        return self._journal.current_run(self._environment, self._stage)
