"""What is to be done next for a run, which follows from its state alone. Pure."""

from pytest_py312.rollout.domain.model import MONITORED, AcceptancePhase, Act, Deployment, Intent, StageRun, StageState


def is_in_progress(run: StageRun) -> bool:
    """Return whether a deployment or rollback is under way or was abandoned.

    The run is then neither over, nor up and monitored.
    """
    return not run.state.is_over and run.state not in MONITORED


def has_pending_work(run: StageRun) -> bool:
    """Return whether something can be done without a decision.

    That is to finish a deployment or rollback, to remove a control, or to end a drill.
    """
    return is_in_progress(run) or is_drill_up(run) or next_act(run) is not None


def is_drill_up(run: StageRun) -> bool:
    """Return whether a drill has deployed the stage: unlike a soak, it is not continued by another process."""
    return run.is_drill and run.state in MONITORED


def next_act(run: StageRun) -> Intent | None:
    """Return what is to be done next; ``None`` if the run waits for samples or for a person, or is over."""
    if run.state is StageState.LOCKED:
        unobserved = [deployment for deployment in run.deployments if not deployment.observed]
        return _first_intent(Act.OBSERVE, unobserved) or _test_intent(run, Act.TEST_BEFORE)
    if run.state is StageState.DEPLOYING:
        return _next_deploy_intent(run)
    if run.state is StageState.VERIFYING:
        unverified = [deployment for deployment in run.deployments if not deployment.verified]
        without_control = [deployment for deployment in run.deployments if _needs_control(deployment)]
        return (
            _first_intent(Act.VERIFY, unverified)
            or _first_intent(Act.START_CONTROL, without_control)
            or _test_intent(run, Act.TEST_AFTER)
        )
    if run.state is StageState.ROLLING_BACK:
        return _first_intent(Act.RESTORE, pending_restores(run))
    if run.state.is_over:
        return _first_intent(
            Act.REMOVE_CONTROL, [deployment for deployment in run.deployments if deployment.may_have_control]
        )
    return None


def _needs_control(deployment: Deployment) -> bool:
    return deployment.wants_control and deployment.control is None and not deployment.no_control_reason


def _first_intent(act: Act, deployments: list[Deployment]) -> Intent | None:
    return Intent(act=act, service=deployments[0].service) if deployments else None


PHASE_OF_ACT = {Act.TEST_BEFORE: AcceptancePhase.BEFORE, Act.TEST_AFTER: AcceptancePhase.AFTER}
"""Acts that run acceptance tests. At the end of the soak no act does that, but the process that monitors the stage."""


def _test_intent(run: StageRun, act: Act) -> Intent | None:
    pending = run.pending_acceptance(PHASE_OF_ACT[act])
    return Intent(act=act, service=pending[0]) if pending else None


def _next_deploy_intent(run: StageRun) -> Intent | None:
    """Deploy one service after the other: each has to be healthy before the next is touched."""
    for deployment in run.deployments:
        if deployment.new is None:
            return Intent(act=Act.PREPARE, service=deployment.service)
        if not deployment.switched:
            return Intent(act=Act.SWITCH, service=deployment.service)
        if not deployment.ready:
            return Intent(act=Act.READY, service=deployment.service)
    return None


def pending_restores(run: StageRun) -> list[Deployment]:
    """Return what is still to be restored, the last deployed first. Services that were never reached are left alone."""
    reached: list[Deployment] = []
    for deployment in run.deployments:
        reached.append(deployment)
        if not deployment.ready:
            break
    in_scope = [deployment for deployment in reached if not run.scope or deployment.service in run.scope]
    pending = [deployment for deployment in in_scope if not deployment.restored and not deployment.foreign_change]
    return [deployment for deployment in reversed(pending) if deployment.service not in run.unrestored]
