"""The state machine of a stage: an event turns a run into the next one.

Pure: no clock, no target, no file. The driver records what :func:`.next_act.next_act` says before doing it, and the
resulting event afterwards. Applying :func:`advance` to all events in order gives the run, in any process.

Invariants: a stage is accepted only when its whole soak is credited, and its acceptance tests were run after that; a
rollback restores the containers that were observed before anything was changed, in reverse order; a stage that was
rolled back is not completed.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import (
    AcceptanceInvalidated,
    AcceptanceTested,
    BecameReady,
    Breached,
    ContractPassed,
    ControlRemoved,
    ControlStarted,
    Decided,
    DeployFailed,
    Drifted,
    DrillFinished,
    EnvironmentMoved,
    Event,
    ForeignChangeKept,
    Judged,
    Locked,
    Observed,
    Prepared,
    Restored,
    RestoreFailed,
    Resumed,
    RollbackRequested,
    SoakCredited,
    Switched,
    Verified,
)
from pytest_py312.rollout.domain.model import (
    DEPLOYMENT_STATES,
    MONITORED,
    ROLLBACK_STATES,
    UNFINISHED_ROLLBACK,
    AcceptancePhase,
    Act,
    Breach,
    Intent,
    Reaction,
    StageRun,
    StageState,
    Verdict,
)
from pytest_py312.rollout.domain.next_act import next_act, pending_restores

INTERRUPTED_PREFIX = "interrupted by "
"""Prefix of the reason of a deployment that was interrupted, and did not fail by itself."""


class IllegalEvent(ValueError):
    """An event that is impossible in this state: the driver has a bug."""


def advance(run: StageRun, event: Event) -> StageRun:
    """Return the run after ``event``.

    :raises IllegalEvent: the event is impossible in this state.
    :raises RolloutRefused: a person requested something that is not possible now.
    """
    return _HANDLERS[type(event)](run, event)


def _require_state(run: StageRun, event: Event, *states: StageState) -> None:
    if run.state not in states:
        raise IllegalEvent(f"{type(event).__name__} in a stage that is {run.state.value}")


def _require_next_act(run: StageRun, event: Any, act: Act) -> None:
    """Require that the event answers the next act."""
    expected = next_act(run)
    if expected != Intent(act=act, service=event.service):
        raise IllegalEvent(f"{type(event).__name__} of {event.service}, where {expected} is next")


# ---- deployment


def _on_locked(run: StageRun, event: Locked) -> StageRun:
    _require_state(run, event, StageState.PLANNED)
    return replace(run, state=StageState.LOCKED)


def _on_observed(run: StageRun, event: Observed) -> StageRun:
    _require_next_act(run, event, Act.OBSERVE)
    run = run.with_deployment(event.service, observed=True, old=event.old, old_interpreter=event.interpreter)
    return run if next_act(run) else replace(run, state=StageState.DEPLOYING)


def _on_prepared(run: StageRun, event: Prepared) -> StageRun:
    _require_next_act(run, event, Act.PREPARE)
    return run.with_deployment(event.service, new=event.new)


def _on_switched(run: StageRun, event: Switched) -> StageRun:
    _require_next_act(run, event, Act.SWITCH)
    return run.with_deployment(event.service, switched=True)


def _on_became_ready(run: StageRun, event: BecameReady) -> StageRun:
    _require_next_act(run, event, Act.READY)
    run = run.with_deployment(event.service, ready=True)
    return run if next_act(run) else replace(run, state=StageState.VERIFYING)


def _on_verified(run: StageRun, event: Verified) -> StageRun:
    _require_next_act(run, event, Act.VERIFY)
    run = run.with_deployment(event.service, verified=True)
    return run if next_act(run) else replace(run, state=StageState.SOAKING)


def _on_control_started(run: StageRun, event: ControlStarted) -> StageRun:
    """Without a control the final verdict rests on less; that is no reason against the new version."""
    _require_next_act(run, event, Act.START_CONTROL)
    no_control_reason = "" if event.control else event.reason or "it could not be made"
    run = run.with_deployment(event.service, control=event.control, no_control_reason=no_control_reason)
    return run if next_act(run) else replace(run, state=StageState.SOAKING)


def _on_control_removed(run: StageRun, event: ControlRemoved) -> StageRun:
    _require_next_act(run, event, Act.REMOVE_CONTROL)
    return run.with_deployment(event.service, control_removed=True)


def _on_deploy_failed(run: StageRun, event: DeployFailed) -> StageRun:
    _require_state(run, event, StageState.LOCKED, StageState.DEPLOYING, StageState.VERIFYING)
    return _start_rollback(run, f"{event.service}: {event.reason}")


# ---- soak


def _on_soak_credited(run: StageRun, event: SoakCredited) -> StageRun:
    _require_state(run, event, *MONITORED)
    run = replace(run, credited=max(run.credited, event.seconds))
    is_soak_complete = run.state is StageState.SOAKING and run.credited >= run.soak
    return replace(run, state=StageState.SOAKED) if is_soak_complete else run


def _on_breached(run: StageRun, event: Breached) -> StageRun:
    _require_state(run, event, *MONITORED)
    return _react(run, event.breach)


def _react(run: StageRun, breach: Breach) -> StageRun:
    if breach.reaction is Reaction.ROLL_BACK:
        return _start_rollback(run, f"{breach.key}: {breach.detail}")
    if breach.reaction is Reaction.RECORD or breach.key in run.accepted_breaches:
        return run
    return _hold(run, breach.key, breach.detail)


def _on_drifted(run: StageRun, event: Drifted) -> StageRun:
    _require_state(run, event, *MONITORED)
    run = replace(run.without_final_acceptance(), credited=0.0, first_slot=max(run.first_slot, event.slot + 1))
    return _hold(run, event.key, event.detail)


def _hold(run: StageRun, key: str, detail: str) -> StageRun:
    pending_decisions = run.pending_decisions if key in run.pending_decisions else (*run.pending_decisions, key)
    return replace(
        run, state=StageState.HELD, pending_decisions=pending_decisions, reason=run.reason or f"{key}: {detail}"
    )


def _on_contract_passed(run: StageRun, event: ContractPassed) -> StageRun:
    _require_state(run, event, *MONITORED)
    return run if event.edge in run.kept else replace(run, kept=(*run.kept, event.edge))


_STATE_OF_PHASE = {
    AcceptancePhase.BEFORE: StageState.LOCKED,
    AcceptancePhase.AFTER: StageState.VERIFYING,
    AcceptancePhase.END: StageState.SOAKED,
}


def _on_acceptance_tested(run: StageRun, event: AcceptanceTested) -> StageRun:
    """Record the result, and react to it. All tests of a phase are run before a person has to decide."""
    result = event.result
    _require_state(run, event, _STATE_OF_PHASE[result.phase])
    if result.name not in run.pending_acceptance(result.phase):
        raise IllegalEvent(f"{result.metric} is not expected now")
    state = run.state
    run = replace(run, acceptance_results=(*run.acceptance_results, result))
    run = _react(run, event.breach) if event.breach is not None else run
    if run.state.is_over or run.state is StageState.ROLLING_BACK or state is StageState.SOAKED:
        return run
    if next_act(replace(run, state=state)):
        return replace(run, state=state)
    if state is StageState.LOCKED:
        return replace(run, state=StageState.DEPLOYING)
    return replace(run, state=StageState.HELD if run.pending_decisions else StageState.SOAKING)


def _on_judged(run: StageRun, event: Judged) -> StageRun:
    _require_state(run, event, StageState.SOAKED)
    if event.verdict is Verdict.PASSED and run.untested:
        raise IllegalEvent(f"passed, and {', '.join(run.untested)} not proven")
    if event.verdict is Verdict.PASSED:
        return _accept(run, event.reason)
    held_run = _hold(run, "verdict", event.reason or event.verdict.value)
    return replace(held_run, verdict=event.verdict)


def _accept(run: StageRun, reason: str) -> StageRun:
    if run.credited < run.soak:
        raise IllegalEvent(f"accepted with {run.credited:g} s of {run.soak:g} s credited")
    if pending := run.pending_acceptance(AcceptancePhase.END):
        raise IllegalEvent(f"accepted, and {', '.join(pending)} not run at the end of the soak")
    return replace(run, state=StageState.ACCEPTED, verdict=Verdict.PASSED, reason=reason, pending_decisions=())


def _on_decided(run: StageRun, event: Decided) -> StageRun:
    if run.state is not StageState.HELD:
        raise RolloutRefused(f"stage {run.stage} is {run.state.value}: there is nothing to decide")
    decision = f"{event.by}: {event.reason}"
    if not event.accept:
        return _start_rollback(run, f"decided by {decision}")
    run = replace(run, accepted_breaches=(*run.accepted_breaches, *run.pending_decisions))
    is_tested = not run.pending_acceptance(AcceptancePhase.END)
    if "verdict" in run.pending_decisions and run.credited >= run.soak and is_tested:
        return _accept(run, f"accepted by {decision}")
    state = StageState.SOAKED if run.credited >= run.soak else StageState.SOAKING
    return replace(run, state=state, pending_decisions=(), reason="", verdict=Verdict.PENDING)


# ---- rollback


def _start_rollback(run: StageRun, reason: str, services: tuple[str, ...] = ()) -> StageRun:
    """Start a rollback. If nothing was changed yet, there is nothing to undo."""
    if run.state is StageState.ROLLED_BACK and not pending_restores(replace(run, scope=services)):
        return run
    run = replace(run, scope=services, unrestored=(), pending_decisions=(), reason=reason, verdict=Verdict.FAILED)
    is_undone = run.state in (StageState.PLANNED, StageState.LOCKED) or not pending_restores(run)
    return replace(run, state=StageState.ROLLED_BACK if is_undone else StageState.ROLLING_BACK)


def _on_rollback_requested(run: StageRun, event: RollbackRequested) -> StageRun:
    unknown = sorted(set(event.services) - set(run.services))
    if unknown:
        raise RolloutRefused(f"stage {run.stage} has no service {', '.join(unknown)}; it has {', '.join(run.services)}")
    if set(event.services) == set(run.services):
        return _start_rollback(run, event.reason)
    if event.services and run.state in (StageState.DEPLOYING, StageState.VERIFYING):
        raise RolloutRefused(f"stage {run.stage} is {run.state.value}: it can only be rolled back as a whole")
    earlier_scope = run.scope if run.state in ROLLBACK_STATES else ()
    is_whole_stage = not event.services or (not earlier_scope and run.state in UNFINISHED_ROLLBACK)
    scope = () if is_whole_stage else tuple(dict.fromkeys((*earlier_scope, *event.services)))
    return _start_rollback(run, event.reason, scope)


def _on_restored(run: StageRun, event: Restored) -> StageRun:
    _require_next_act(run, event, Act.RESTORE)
    return _after_restore(run.with_deployment(event.service, restored=True, switched=False, control_removed=True))


def _on_foreign_change_kept(run: StageRun, event: ForeignChangeKept) -> StageRun:
    _require_next_act(run, event, Act.RESTORE)
    run = replace(run, reason=f"{run.reason}; {event.service}: {event.what}")
    return _after_restore(run.with_deployment(event.service, foreign_change=event.what, control_removed=True))


def _on_restore_failed(run: StageRun, event: RestoreFailed) -> StageRun:
    _require_next_act(run, event, Act.RESTORE)
    failure = f"{event.service} could not be brought back: {event.reason}"
    # restoring is retried: report each failure once
    reason = run.reason if failure in run.reason else f"{run.reason}; {failure}"
    return _after_restore(replace(run, unrestored=(*run.unrestored, event.service), reason=reason))


def _after_restore(run: StageRun) -> StageRun:
    """End the rollback after the last restore. One that failed does not keep the others from being restored."""
    if next_act(run):
        return run
    return replace(run, state=StageState.ROLLBACK_FAILED if run.unrestored else StageState.ROLLED_BACK)


def _on_resumed(run: StageRun, event: Resumed) -> StageRun:
    """Undo what was unfinished. A version that was up and monitored stays up, and its soak continues."""
    if run.state in DEPLOYMENT_STATES:
        return _start_rollback(run, f"the run ended while it was {run.state.value}")
    if run.state in UNFINISHED_ROLLBACK:
        return replace(run, state=StageState.ROLLING_BACK, unrestored=())
    return run


def _on_acceptance_invalidated(run: StageRun, event: AcceptanceInvalidated) -> StageRun:
    return replace(run, stale=run.stale or event.reason)


def _on_environment_moved(run: StageRun, event: EnvironmentMoved) -> StageRun:
    return replace(run, place=event.place)


def _on_drill_finished(run: StageRun, event: DrillFinished) -> StageRun:
    _require_state(run, event, StageState.ROLLED_BACK, StageState.ROLLBACK_FAILED)
    if event.passed and (
        run.state is not StageState.ROLLED_BACK or not all(deployment.restored for deployment in run.deployments)
    ):
        raise IllegalEvent("a drill that passed although not all of it was restored")
    return replace(run, drill="passed" if event.passed else "failed")


_HANDLERS: dict[type, Callable[[StageRun, Any], StageRun]] = {
    Locked: _on_locked,
    Observed: _on_observed,
    Prepared: _on_prepared,
    Switched: _on_switched,
    BecameReady: _on_became_ready,
    Verified: _on_verified,
    ControlStarted: _on_control_started,
    ControlRemoved: _on_control_removed,
    DeployFailed: _on_deploy_failed,
    SoakCredited: _on_soak_credited,
    Breached: _on_breached,
    Drifted: _on_drifted,
    ContractPassed: _on_contract_passed,
    AcceptanceTested: _on_acceptance_tested,
    Judged: _on_judged,
    Decided: _on_decided,
    RollbackRequested: _on_rollback_requested,
    Restored: _on_restored,
    RestoreFailed: _on_restore_failed,
    ForeignChangeKept: _on_foreign_change_kept,
    Resumed: _on_resumed,
    AcceptanceInvalidated: _on_acceptance_invalidated,
    EnvironmentMoved: _on_environment_moved,
    DrillFinished: _on_drill_finished,
}
