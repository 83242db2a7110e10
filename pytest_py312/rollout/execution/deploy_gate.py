"""Preconditions for a deployment that need the journal or the target.

All but :func:`check_can_begin` are those of the gate itself; an operator who types ``py312 deploy`` may ignore them.
"""

from collections.abc import Callable, Iterable, Sequence

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.text import list_names
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.events import Decided, DeployFailed, RollbackRequested, breach_in
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Reaction, StageRun
from pytest_py312.rollout.domain.preconditions import (
    StartConditions,
    check_drilled,
    check_promotion,
    check_start,
    check_target_identity,
    is_same_deployment,
)
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.domain.state_machine import INTERRUPTED_PREFIX
from pytest_py312.rollout.preflight.health_checks import usage_rows
from pytest_py312.rollout.targets.target import Target

MAX_LISTED_CHECKS = 6
"""Number of unproven checks that a message names."""


def check_can_begin(journal: Journal, target: Target, run: StageRun, conditions: StartConditions) -> None:
    """Refuse a run that cannot start, by the journal and by what serves.

    :raises RolloutRefused: something else has to come first.
    """
    current_runs, earlier_stages = journal.current_runs(), conditions.earlier_stages
    check_target_identity(run.environment, run.place, current_runs, run.shares)
    earlier_runs = [
        earlier_run
        for earlier_run in current_runs
        if earlier_run.environment == run.environment and earlier_run.stage in earlier_stages
    ]
    serving_images = {}
    for earlier_run in earlier_runs:
        for deployment in earlier_run.deployments if earlier_run.is_completed else ():
            observed = target.observe(deployment.spec)
            serving_images[deployment.service] = observed.container.image if observed else "nothing"
    check_start(run.stage, run.environment, earlier_stages, current_runs, serving_images)
    check_promotion(run, conditions.prior_environments, current_runs)
    if run.needs_drill and not earlier_stages:
        check_drilled(run, conditions.prior_environments, journal.finished_drills())


def check_proven(subject: str, unproven: Sequence[str]) -> None:
    """Refuse to deploy a stage with checks that are not proven.

    :param subject: the stage and its environment, as text.
    :param unproven: its checks that are not proven, with the reason.
    :raises RolloutRefused: there are some.
    """
    if unproven:
        raise RolloutRefused(
            f"{subject} is not deployed because not all of its checks are proven: "
            f"{list_names(unproven, MAX_LISTED_CHECKS)}"
        )


def check_not_failed_before(previous: StageRun, planned: StageRun, history: Sequence[JournalEntry]) -> None:
    """Refuse to deploy again what has failed already, so that scheduled runs do not repeat it.

    :param history: of the run ``previous``, which was rolled back.
    :raises RolloutRefused: the very same was rolled back for a cause of its own.
    """
    is_same = is_same_deployment(previous, planned) and previous.asked == planned.asked
    if is_same and (reason := rollback_cause(history)):
        raise RolloutRefused(
            f"stage {previous.stage} in {previous.environment} was rolled back with these very images "
            f"({previous.reason or reason}); fix it, or try it again "
            f"with `py312 deploy --stage {previous.stage} --env {previous.environment}`"
        )


def check_health(context: RolloutContext, environment: str, stage: int) -> None:
    """Refuse to deploy if a needed preflight check has found a problem.

    :raises RolloutRefused: lists the problems.
    """
    from pytest_py312.rollout.preflight.health_checks import run_health_checks
    from pytest_py312.rollout.preflight.health_rows import HealthStatus

    problems = [
        row
        for row in run_health_checks(context, environment, stage, of_gate=False)
        if row.needed and row.health is HealthStatus.PROBLEM
    ]
    if problems:
        problem_text = "; ".join(f"{row.area}, {row.what}: {row.detail} ({row.remedy})" for row in problems)
        raise RolloutRefused(f"stage {stage} in {environment} is not deployed: {problem_text}")


def report_unmeasured(target: Target, settings: RolloutSettings, stage: int, log: Callable[[str], None]) -> None:
    """Report if samples of ``stage`` will not count because the target does not measure usage."""
    for row in usage_rows(target, settings, [stage]):
        if row.needed and row.remedy:
            log(f"{row.detail}: {row.remedy}")


def rollback_cause(history: Iterable[JournalEntry]) -> str:
    """Return why a run was rolled back, unless it was merely interrupted."""
    reason = ""
    for entry in history:
        content = entry.content
        if isinstance(content, DeployFailed) and not content.reason.startswith(INTERRUPTED_PREFIX):
            reason = f"{content.service}: {content.reason}"
        elif (breach := breach_in(content)) is not None and breach.reaction is Reaction.ROLL_BACK:
            reason = f"{breach.key}: {breach.detail}"
        elif isinstance(content, RollbackRequested) or (isinstance(content, Decided) and not content.accept):
            reason = content.reason
    return reason
