"""The state machine of a stage: a run and an event make a run, and a run says what is to be done next.

Pure: no clock, no target, no file. Whoever drives it writes :func:`next_act` down before doing it, and the event that
comes of it afterwards; :func:`advance` of all events in turn is the run, also for a process that was not there.

What holds whatever happens: a stage is accepted only when its whole soak is credited; a rollback goes to the
containers that were observed before anything was changed, in reverse order; what was rolled back is not completed.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import (
    BecameReady,
    Breached,
    ContractKept,
    Credited,
    Decided,
    DeployFailed,
    Drifted,
    Drilled,
    Event,
    Judged,
    LeftAlone,
    Locked,
    Moved,
    Observed,
    Outdated,
    Prepared,
    Restored,
    RestoreFailed,
    Resumed,
    RollbackAsked,
    Switched,
    TwinMade,
    TwinRemoved,
    Verified,
)
from pytest_py312.rollout.domain.model import Act, Deployment, Intent, Reaction, StageRun, StageState, Verdict

S = StageState

INTERRUPTED = "interrupted by "
"""Begins the reason of a deployment that failed because somebody wanted it to end, and not of itself."""
WATCHED = frozenset({S.SOAKING, S.SOAKED, S.HELD})
"""States in which the new version is up and proven to be the new one."""


def is_half_done(run: StageRun) -> bool:
    """Whether something is under way that nobody may be at any more: neither over, nor up and watched."""
    return not run.state.is_over and run.state not in WATCHED


def is_unfinished(run: StageRun) -> bool:
    """Whether something is to be done that needs nobody's word: half of it was, or something is left to be removed."""
    return is_half_done(run) or next_act(run) is not None


class IllegalEvent(ValueError):
    """An event that cannot happen in this state: whoever drives the machine is wrong about where it is."""


def advance(run: StageRun, event: Event) -> StageRun:
    """The run after ``event``.

    :raises IllegalEvent: it cannot happen now.
    :raises RolloutRefused: a person asked for something that is not possible now.
    """
    return _HANDLERS[type(event)](run, event)


def next_act(run: StageRun) -> Intent | None:
    """What is to be done next; ``None`` where it is to wait: for samples, for a person, or for ever."""
    if run.state is S.LOCKED:
        return _first(Act.OBSERVE, [one for one in run.deployments if not one.observed])
    if run.state is S.DEPLOYING:
        return _next_deployed(run)
    if run.state is S.VERIFYING:
        unverified = [one for one in run.deployments if not one.verified]
        return _first(Act.VERIFY, unverified) or _first(Act.TWIN, [one for one in run.deployments if _lacks_twin(one)])
    if run.state is S.ROLLING_BACK:
        return _first(Act.RESTORE, _to_restore(run))
    if run.state.is_over:
        return _first(Act.UNTWIN, [one for one in run.deployments if one.may_have_twin])
    return None


def _lacks_twin(one: Deployment) -> bool:
    return one.wants_twin and one.twin is None and not one.no_twin


def _first(act: Act, deployments: list[Deployment]) -> Intent | None:
    return Intent(act=act, service=deployments[0].service) if deployments else None


def _next_deployed(run: StageRun) -> Intent | None:
    """One service after the other, each healthy before the next is touched."""
    for one in run.deployments:
        if one.new is None:
            return Intent(act=Act.PREPARE, service=one.service)
        if not one.switched:
            return Intent(act=Act.SWITCH, service=one.service)
        if not one.ready:
            return Intent(act=Act.READY, service=one.service)
    return None


def _to_restore(run: StageRun) -> list[Deployment]:
    """What is still to be brought back, the last deployed first. Services that were never reached are left alone."""
    reached: list[Deployment] = []
    for one in run.deployments:
        reached.append(one)
        if not one.ready:
            break
    wanted = [one for one in reached if not run.scope or one.service in run.scope]
    left = [one for one in wanted if not one.restored and not one.stranger]
    return [one for one in reversed(left) if one.service not in run.unrestored]


def _in(run: StageRun, event: Event, *states: StageState) -> None:
    if run.state not in states:
        raise IllegalEvent(f"{type(event).__name__} in a stage that is {run.state.value}")


def _awaited(run: StageRun, event: Any, act: Act) -> None:
    """The event answers the act that is next."""
    wanted = next_act(run)
    if wanted != Intent(act=act, service=event.service):
        raise IllegalEvent(f"{type(event).__name__} of {event.service}, where {wanted} is next")


# ---- on the way up


def _locked(run: StageRun, event: Locked) -> StageRun:
    _in(run, event, S.PLANNED)
    return replace(run, state=S.LOCKED)


def _observed(run: StageRun, event: Observed) -> StageRun:
    _awaited(run, event, Act.OBSERVE)
    run = run.with_deployment(event.service, observed=True, old=event.old, old_interpreter=event.interpreter)
    return run if next_act(run) else replace(run, state=S.DEPLOYING)


def _prepared(run: StageRun, event: Prepared) -> StageRun:
    _awaited(run, event, Act.PREPARE)
    return run.with_deployment(event.service, new=event.new)


def _switched(run: StageRun, event: Switched) -> StageRun:
    _awaited(run, event, Act.SWITCH)
    return run.with_deployment(event.service, switched=True)


def _ready(run: StageRun, event: BecameReady) -> StageRun:
    _awaited(run, event, Act.READY)
    run = run.with_deployment(event.service, ready=True)
    return run if next_act(run) else replace(run, state=S.VERIFYING)


def _verified(run: StageRun, event: Verified) -> StageRun:
    _awaited(run, event, Act.VERIFY)
    run = run.with_deployment(event.service, verified=True)
    return run if next_act(run) else replace(run, state=S.SOAKING)


def _twin_made(run: StageRun, event: TwinMade) -> StageRun:
    """Without one there is less to be said at the end; that is no reason against the new version."""
    _awaited(run, event, Act.TWIN)
    no_twin = "" if event.twin else event.reason or "it could not be made"
    run = run.with_deployment(event.service, twin=event.twin, no_twin=no_twin)
    return run if next_act(run) else replace(run, state=S.SOAKING)


def _twin_removed(run: StageRun, event: TwinRemoved) -> StageRun:
    _awaited(run, event, Act.UNTWIN)
    return run.with_deployment(event.service, twin_removed=True)


def _deploy_failed(run: StageRun, event: DeployFailed) -> StageRun:
    _in(run, event, S.LOCKED, S.DEPLOYING, S.VERIFYING)
    return _back(run, f"{event.service}: {event.reason}")


# ---- while it is watched


def _credited(run: StageRun, event: Credited) -> StageRun:
    _in(run, event, *WATCHED)
    run = replace(run, credited=max(run.credited, event.seconds))
    whole = run.state is S.SOAKING and run.credited >= run.soak
    return replace(run, state=S.SOAKED) if whole else run


def _breached(run: StageRun, event: Breached) -> StageRun:
    _in(run, event, *WATCHED)
    breach = event.breach
    if breach.reaction is Reaction.ROLL_BACK:
        return _back(run, f"{breach.key}: {breach.detail}")
    if breach.reaction is Reaction.RECORD or breach.key in run.decided:
        return run
    return _hold(run, breach.key, breach.detail)


def _drifted(run: StageRun, event: Drifted) -> StageRun:
    _in(run, event, *WATCHED)
    run = replace(run, credited=0.0, first_slot=max(run.first_slot, event.slot + 1))
    return _hold(run, f"{event.service}: drift", event.detail)


def _hold(run: StageRun, key: str, detail: str) -> StageRun:
    held_for = run.held_for if key in run.held_for else (*run.held_for, key)
    return replace(run, state=S.HELD, held_for=held_for, reason=run.reason or f"{key}: {detail}")


def _contract_kept(run: StageRun, event: ContractKept) -> StageRun:
    _in(run, event, *WATCHED)
    return run if event.edge in run.kept else replace(run, kept=(*run.kept, event.edge))


def _judged(run: StageRun, event: Judged) -> StageRun:
    _in(run, event, S.SOAKED)
    if event.verdict is Verdict.PASSED and run.untried:
        raise IllegalEvent(f"passed, and {', '.join(run.untried)} not tried")
    if event.verdict is Verdict.PASSED:
        return _accepted(run, event.reason)
    held = _hold(run, "verdict", event.reason or event.verdict.value)
    return replace(held, verdict=event.verdict)


def _accepted(run: StageRun, reason: str) -> StageRun:
    if run.credited < run.soak:
        raise IllegalEvent(f"accepted with {run.credited:g} s of {run.soak:g} s credited")
    return replace(run, state=S.ACCEPTED, verdict=Verdict.PASSED, reason=reason, held_for=())


def _decided(run: StageRun, event: Decided) -> StageRun:
    if run.state is not S.HELD:
        raise RolloutRefused(f"stage {run.stage} is {run.state.value}: there is nothing to decide")
    who = f"{event.by}: {event.reason}"
    if not event.accept:
        return _back(run, f"decided by {who}")
    run = replace(run, decided=(*run.decided, *run.held_for))
    if "verdict" in run.held_for and run.credited >= run.soak:
        return _accepted(run, f"accepted by {who}")
    state = S.SOAKED if run.credited >= run.soak else S.SOAKING
    return replace(run, state=state, held_for=(), reason="", verdict=Verdict.PENDING)


# ---- on the way back


def _back(run: StageRun, reason: str, services: tuple[str, ...] = ()) -> StageRun:
    """Where nothing was changed yet there is nothing to undo; else towards what served before."""
    if run.state is S.ROLLED_BACK and not _to_restore(replace(run, scope=services)):
        return run
    run = replace(run, scope=services, unrestored=(), held_for=(), reason=reason, verdict=Verdict.FAILED)
    undone = run.state in (S.PLANNED, S.LOCKED) or not _to_restore(run)
    return replace(run, state=S.ROLLED_BACK if undone else S.ROLLING_BACK)


def _rollback_asked(run: StageRun, event: RollbackAsked) -> StageRun:
    unknown = sorted(set(event.services) - set(run.services))
    if unknown:
        raise RolloutRefused(f"stage {run.stage} has no service {', '.join(unknown)}; it has {', '.join(run.services)}")
    if set(event.services) == set(run.services):
        return _back(run, event.reason)
    if event.services and run.state in (S.DEPLOYING, S.VERIFYING):
        raise RolloutRefused(f"stage {run.stage} is {run.state.value}: it can be rolled back as a whole only")
    earlier = run.scope if run.state in (S.ROLLING_BACK, S.ROLLED_BACK, S.ROLLBACK_FAILED) else ()
    whole = not event.services or (not earlier and run.state in (S.ROLLING_BACK, S.ROLLBACK_FAILED))
    return _back(run, event.reason, () if whole else tuple(dict.fromkeys((*earlier, *event.services))))


def _restored(run: StageRun, event: Restored) -> StageRun:
    _awaited(run, event, Act.RESTORE)
    return _came_back(run.with_deployment(event.service, restored=True, switched=False, twin_removed=True))


def _left_alone(run: StageRun, event: LeftAlone) -> StageRun:
    _awaited(run, event, Act.RESTORE)
    run = replace(run, reason=f"{run.reason}; {event.service}: {event.what}")
    return _came_back(run.with_deployment(event.service, stranger=event.what, twin_removed=True))


def _restore_failed(run: StageRun, event: RestoreFailed) -> StageRun:
    _awaited(run, event, Act.RESTORE)
    told = f"{event.service} could not be brought back: {event.reason}"
    reason = run.reason if told in run.reason else f"{run.reason}; {told}"  # it is tried again and again
    return _came_back(replace(run, unrestored=(*run.unrestored, event.service), reason=reason))


def _came_back(run: StageRun) -> StageRun:
    """One that cannot be brought back keeps none of the others from it."""
    if next_act(run):
        return run
    return replace(run, state=S.ROLLBACK_FAILED if run.unrestored else S.ROLLED_BACK)


def _resumed(run: StageRun, event: Resumed) -> StageRun:
    """What was half done is undone; what was up and watched is left up, and its soak goes on."""
    if run.state in (S.PLANNED, S.LOCKED, S.DEPLOYING, S.VERIFYING):
        return _back(run, f"the run ended while it was {run.state.value}")
    if run.state in (S.ROLLING_BACK, S.ROLLBACK_FAILED):
        return replace(run, state=S.ROLLING_BACK, unrestored=())
    return run


def _outdated(run: StageRun, event: Outdated) -> StageRun:
    return replace(run, stale=run.stale or event.reason)


def _moved(run: StageRun, event: Moved) -> StageRun:
    return replace(run, place=event.place)


def _drilled(run: StageRun, event: Drilled) -> StageRun:
    _in(run, event, S.ROLLED_BACK, S.ROLLBACK_FAILED)
    if event.passed and (run.state is not S.ROLLED_BACK or not all(one.restored for one in run.deployments)):
        raise IllegalEvent("a drill that passed, and not all of it is back")
    return replace(run, drill="passed" if event.passed else "failed")


_HANDLERS: dict[type, Callable[[StageRun, Any], StageRun]] = {
    Locked: _locked,
    Observed: _observed,
    Prepared: _prepared,
    Switched: _switched,
    BecameReady: _ready,
    Verified: _verified,
    TwinMade: _twin_made,
    TwinRemoved: _twin_removed,
    DeployFailed: _deploy_failed,
    Credited: _credited,
    Breached: _breached,
    Drifted: _drifted,
    ContractKept: _contract_kept,
    Judged: _judged,
    Decided: _decided,
    RollbackAsked: _rollback_asked,
    Restored: _restored,
    RestoreFailed: _restore_failed,
    LeftAlone: _left_alone,
    Resumed: _resumed,
    Outdated: _outdated,
    Moved: _moved,
    Drilled: _drilled,
}
