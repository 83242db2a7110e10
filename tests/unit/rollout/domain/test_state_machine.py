"""The state machine of a stage."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import (
    AcceptanceInvalidated,
    BecameReady,
    Breached,
    ContractPassed,
    ControlRemoved,
    ControlStarted,
    Decided,
    DeployFailed,
    Drifted,
    Event,
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
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import (
    AcceptancePhase,
    Act,
    Breach,
    BreachSeverity,
    Intent,
    Reaction,
    StageRun,
    StageState,
    Verdict,
)
from pytest_py312.rollout.domain.next_act import next_act
from pytest_py312.rollout.domain.state_machine import IllegalEvent, advance
from tests.unit.rollout.runs import (
    SERVICES,
    acceptance_event,
    after,
    carried_on,
    control,
    new,
    old,
    planned,
    soaked,
    soaking,
    success,
)

S = StageState
ALL_THE_WAY_UP = (Act.OBSERVE, Act.PREPARE, Act.SWITCH, Act.READY, Act.VERIFY)


def breach(reaction: Reaction, service: str = "user", metric: str = "health") -> Breached:
    severity = BreachSeverity.SEVERE if reaction is Reaction.ROLL_BACK else BreachSeverity.MINOR
    return Breached(
        breach=Breach(service=service, metric=metric, severity=severity, reaction=reaction, detail="5 of 5 probes")
    )


def acts_of(run: StageRun) -> list[str]:
    """Return all acts that follow by themselves, in order."""
    acts = []
    while (intent := next_act(run)) is not None:
        acts.append(f"{intent.act.value} {intent.service}")
        run = advance(run, success(intent))
    return acts


# ---- deployment


def test_all_is_observed_before_anything_is_changed_and_each_is_healthy_before_the_next() -> None:
    run = advance(planned("auth", "user"), Locked())
    assert acts_of(run) == [
        "observe auth",
        "observe user",
        "prepare auth",
        "switch auth",
        "ready auth",
        "prepare user",
        "switch user",
        "ready user",
        "verify auth",
        "verify user",
    ]


def test_the_states_of_a_stage_that_is_kept() -> None:
    run = planned("auth")
    seen = [run.state]
    events: list[Event] = [
        Locked(),
        *(success(Intent(act=act, service="auth")) for act in ALL_THE_WAY_UP),
    ]
    for event in (*events, SoakCredited(seconds=3600), Judged(verdict=Verdict.PASSED)):
        run = advance(run, event)
        if run.state is not seen[-1]:
            seen.append(run.state)
    assert seen == [S.PLANNED, S.LOCKED, S.DEPLOYING, S.VERIFYING, S.SOAKING, S.SOAKED, S.ACCEPTED]
    assert run.is_completed
    assert run.verdict is Verdict.PASSED


@pytest.mark.parametrize("wrong", [Switched(service="auth"), Prepared(service="user", new=new("user"))])
def test_an_answer_that_nobody_waits_for_is_a_mistake(wrong: Event) -> None:
    run = carried_on(planned(), until=Intent(act=Act.PREPARE, service="auth"))
    with pytest.raises(IllegalEvent, match="is next"):
        advance(run, wrong)


# ---- the old version beside the new one


def with_control(*services: str) -> StageRun:
    """A run of two services, of which ``services`` want a control."""
    run = planned("auth", "user")
    for service in services:
        run = run.with_deployment(service, wants_control=True)
    return run


def test_a_control_starts_when_all_is_verified_and_is_removed_when_the_stage_is_over() -> None:
    run = carried_on(with_control("user"), until=Intent(act=Act.START_CONTROL, service="user"))
    assert all(one.verified for one in run.deployments)
    run = advance(run, ControlStarted(service="user", control=control("user")))
    assert (run.state, run["user"].control, next_act(run)) == (S.SOAKING, control("user"), None)
    run = after(run, [SoakCredited(seconds=3600), Judged(verdict=Verdict.PASSED)])
    assert run.is_completed
    assert acts_of(run) == ["remove the old version beside user"]


def test_a_missing_control_is_no_reason_against_a_stage() -> None:
    run = carried_on(with_control("user"), until=Intent(act=Act.START_CONTROL, service="user"))
    run = advance(run, ControlStarted(service="user", control=None, reason="no address of its own"))
    assert (run.state, run["user"].no_control_reason) == (S.SOAKING, "no address of its own")
    run = after(run, [SoakCredited(seconds=3600), Judged(verdict=Verdict.PASSED)])
    assert acts_of(run) == ["remove the old version beside user"]  # something of it may be left


def test_a_restored_service_has_lost_its_control_and_the_others_lose_theirs() -> None:
    run = advance(carried_on(with_control("auth", "user")), RollbackRequested(reason="by hand", services=("auth",)))
    assert acts_of(run) == ["restore auth", "remove the old version beside user"]
    whole = advance(carried_on(with_control("auth", "user")), RollbackRequested(reason="by hand"))
    assert acts_of(whole) == ["restore user", "restore auth"]


def test_a_control_is_not_stopped_where_the_rollback_is_blocked() -> None:
    """It may be the last running container of the previous version."""
    run = advance(carried_on(with_control("auth")), RollbackRequested(reason="by hand"))
    run = after(run, [RestoreFailed(service="user", reason="no"), RestoreFailed(service="auth", reason="no")])
    assert (run.state, next_act(run)) == (S.ROLLBACK_FAILED, None)
    assert run["auth"].may_have_control


# ---- rollback


def test_the_third_of_four_fails_and_those_that_were_touched_come_back_in_reverse() -> None:
    run = carried_on(planned("a", "b", "c", "d"), until=Intent(act=Act.READY, service="c"))
    run = advance(run, DeployFailed(service="c", reason="not healthy after 30 s"))
    assert run.state is S.ROLLING_BACK
    assert acts_of(run) == ["restore c", "restore b", "restore a"]
    done = carried_on(run)
    assert (done.state, done.verdict, done.reason) == (S.ROLLED_BACK, Verdict.FAILED, "c: not healthy after 30 s")
    assert not done.is_completed
    assert not done.is_up


def test_where_nothing_was_changed_nothing_is_undone() -> None:
    run = advance(planned(), Locked())
    run = advance(run, DeployFailed(service="auth", reason="no image"))
    assert run.state is S.ROLLED_BACK
    assert next_act(run) is None


def test_one_that_cannot_come_back_keeps_none_of_the_others() -> None:
    run = advance(soaking(), breach(Reaction.ROLL_BACK))
    run = advance(run, success(Intent(act=Act.RESTORE, service="gateway")))
    run = advance(run, RestoreFailed(service="user", reason="its image is gone"))
    assert next_act(run) == Intent(act=Act.RESTORE, service="auth")
    run = carried_on(run)
    assert run.state is S.ROLLBACK_FAILED
    assert "its image is gone" in run.reason
    assert acts_of(advance(run, Resumed())) == ["restore user"]


def test_one_service_alone_can_be_rolled_back_and_the_rest_later() -> None:
    run = carried_on(advance(soaking(), RollbackRequested(reason="by hand", services=("user",))))
    assert run.state is S.ROLLED_BACK
    assert run.is_up
    assert run["user"].restored
    assert not run["auth"].restored
    assert acts_of(advance(run, RollbackRequested(reason="by hand"))) == ["restore gateway", "restore auth"]


def test_an_accepted_stage_can_still_be_rolled_back() -> None:
    run = carried_on(advance(advance(soaked(), Judged(verdict=Verdict.PASSED)), RollbackRequested(reason="by hand")))
    assert run.state is S.ROLLED_BACK
    assert not run.is_completed


def test_a_service_of_another_stage_is_refused() -> None:
    with pytest.raises(RolloutRefused, match="has no service billing; it has auth, user, gateway"):
        advance(soaking(), RollbackRequested(reason="by hand", services=("billing",)))


# ---- holding and deciding


def test_a_hold_goes_on_soaking_and_a_person_answers_it() -> None:
    run = advance(soaking(), breach(Reaction.HOLD, metric="latency"))
    run = advance(run, SoakCredited(seconds=3600.0))
    assert (run.state, run.credited) == (S.HELD, 3600.0)
    run = advance(run, Decided(accept=True, by="release engineer", reason="known"))
    assert run.state is S.SOAKED
    assert run.accepted_breaches == ("user: latency",)


def test_what_was_decided_is_not_asked_again_but_an_outage_still_counts() -> None:
    run = advance(soaking(), breach(Reaction.HOLD))
    run = advance(run, Decided(accept=True, by="release engineer", reason="known"))
    assert advance(run, breach(Reaction.HOLD)).state is S.SOAKING
    assert advance(run, breach(Reaction.HOLD, service="auth")).state is S.HELD
    assert advance(run, breach(Reaction.ROLL_BACK)).state is S.ROLLING_BACK


def test_a_hold_that_is_answered_with_no_is_a_rollback() -> None:
    run = advance(soaking(), breach(Reaction.HOLD))
    run = advance(run, Decided(accept=False, by="release engineer", reason="too slow"))
    assert run.state is S.ROLLING_BACK
    assert run.reason == "decided by release engineer: too slow"


def test_there_is_nothing_to_decide_without_a_hold() -> None:
    with pytest.raises(RolloutRefused, match="is soaking: there is nothing to decide"):
        advance(soaking(), Decided(accept=True, by="somebody", reason="in a hurry"))


def test_an_inconclusive_stage_is_never_accepted_by_itself() -> None:
    run = advance(soaked(), Judged(verdict=Verdict.INCONCLUSIVE, reason="no traffic"))
    assert (run.state, run.verdict) == (S.HELD, Verdict.INCONCLUSIVE)
    run = advance(run, Decided(accept=True, by="release engineer", reason="no traffic at night"))
    assert run.state is S.ACCEPTED


EDGE = "user->auth"


def test_a_stage_whose_contracts_nobody_has_tried_is_not_passed() -> None:
    """Selecting items, or using the commands alone, cannot leave contracts out unnoticed."""
    run = replace(soaked(), contracts=(EDGE, "gateway->auth"))
    run = advance(run, ContractPassed(edge=EDGE))
    assert advance(run, ContractPassed(edge=EDGE)) == run
    assert run.untested_contracts == ("gateway->auth",)
    with pytest.raises(IllegalEvent, match="gateway->auth not proven"):
        advance(run, Judged(verdict=Verdict.PASSED))
    run = advance(run, ContractPassed(edge="gateway->auth"))
    assert advance(run, Judged(verdict=Verdict.PASSED)).state is S.ACCEPTED


def test_a_person_may_answer_for_a_contract() -> None:
    run = replace(soaking(), contracts=(EDGE,))
    broken = Breach(
        service="auth",
        metric=f"contract {EDGE}",
        severity=BreachSeverity.SEVERE,
        reaction=Reaction.HOLD,
        detail="broken",
    )
    run = advance(advance(run, Breached(breach=broken)), Decided(accept=True, by="release engineer", reason="unused"))
    assert run.untested_contracts == ()


def test_a_decision_does_not_shorten_the_soak() -> None:
    run = advance(soaking(), breach(Reaction.HOLD))
    run = advance(run, Decided(accept=True, by="release engineer", reason="known"))
    assert run.state is S.SOAKING
    with pytest.raises(IllegalEvent, match="Judged in a stage that is soaking"):
        advance(run, Judged(verdict=Verdict.PASSED))


def test_drift_makes_the_evidence_void() -> None:
    run = advance(soaking(), SoakCredited(seconds=1800.0))
    run = advance(run, Drifted(service="user", detail="another image serves", slot=6))
    assert (run.state, run.credited, run.first_slot) == (S.HELD, 0.0, 7)


# ---- another process takes over


@pytest.mark.parametrize("act", [Act.PREPARE, Act.SWITCH, Act.READY, Act.VERIFY])
@pytest.mark.parametrize("service", SERVICES)
def test_what_a_dead_process_left_half_done_is_undone(act: Act, service: str) -> None:
    """The act may have been done or not: its service is restored in both cases."""
    left = carried_on(planned(), until=Intent(act=act, service=service))
    run = advance(left, Resumed())
    assert run.state is S.ROLLING_BACK
    assert f"restore {service}" in acts_of(run)
    assert carried_on(run).state is S.ROLLED_BACK


@pytest.mark.parametrize("run", [soaking(), soaked(), advance(soaking(), breach(Reaction.HOLD))], ids=lambda r: r.state)
def test_a_healthy_soak_is_left_up(run: StageRun) -> None:
    assert advance(run, Resumed()) == run


# ---- whatever happens

names = st.sampled_from(SERVICES)
seconds = st.sampled_from([0.0, 300.0, 1800.0, 3600.0, 7200.0])
reasons = st.sampled_from(["", "because"])
containers = st.one_of(st.none(), names.map(old))
asked = st.lists(names, max_size=3, unique=True).map(tuple)
any_event = st.one_of(
    st.just(Locked()),
    st.builds(Observed, service=names, old=containers),
    st.builds(Prepared, service=names, new=names.map(new)),
    st.builds(Switched, service=names),
    st.builds(BecameReady, service=names),
    st.builds(Verified, service=names),
    st.builds(ControlStarted, service=names, control=st.one_of(st.none(), names.map(control))),
    st.builds(ControlRemoved, service=names),
    st.builds(DeployFailed, service=names, reason=reasons),
    st.builds(SoakCredited, seconds=seconds),
    st.builds(breach, st.sampled_from(Reaction), service=names),
    st.builds(Drifted, service=names, detail=reasons, slot=st.integers(0, 20)),
    st.builds(ContractPassed, edge=st.just(EDGE)),
    st.builds(
        acceptance_event,
        st.sampled_from(AcceptancePhase),
        result=st.sampled_from([Result.SUCCESSFUL, Result.FAILED]),
        reaction=st.sampled_from([None, Reaction.HOLD, Reaction.ROLL_BACK]),
    ),
    st.builds(Judged, verdict=st.sampled_from([Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED])),
    st.builds(Decided, accept=st.booleans(), by=reasons, reason=reasons),
    st.builds(RollbackRequested, reason=reasons, services=asked),
    st.builds(Restored, service=names),
    st.builds(RestoreFailed, service=names, reason=reasons),
    st.just(Resumed()),
    st.builds(AcceptanceInvalidated, reason=reasons),
)


def planned_with_control() -> StageRun:
    return planned(acceptance=("e2e",)).with_deployment("user", wants_control=True)


class AnyStage(RuleBasedStateMachine):
    """A stage to which anything may happen, in any order, and whose driver may die at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.run = planned_with_control()
        self.history: list[Event] = []
        self.changed: set[str] = set()
        """Services whose containers may have been touched and were not brought back since."""

    def happens(self, event: Event) -> None:
        intent = next_act(self.run)
        if intent is not None and intent.act in (Act.PREPARE, Act.SWITCH):
            self.changed.add(intent.service)  # the act may be done even if its event never comes
        try:
            self.run = advance(self.run, event)
        except (IllegalEvent, RolloutRefused):
            return
        self.history.append(event)
        if isinstance(event, Restored):
            self.changed.discard(event.service)

    @rule(event=any_event)
    def anything_happens(self, event: Event) -> None:
        self.happens(event)

    @precondition(lambda self: next_act(self.run) is not None)
    @rule()
    def the_next_act_succeeds(self) -> None:
        intent = next_act(self.run)
        assert intent is not None
        self.happens(success(intent))

    @precondition(lambda self: self.run.state is S.PLANNED)
    @rule()
    def it_goes_up(self) -> None:
        self.happens(Locked())
        while (intent := next_act(self.run)) is not None:
            self.happens(success(intent))

    @invariant()
    def it_is_never_accepted_without_a_whole_soak(self) -> None:
        assert self.run.state is not S.ACCEPTED or self.run.credited >= self.run.soak

    @invariant()
    def it_is_never_accepted_without_its_acceptance_tests(self) -> None:
        untested = [*map(self.run.pending_acceptance, (AcceptancePhase.AFTER, AcceptancePhase.END))]
        assert self.run.state is not S.ACCEPTED or untested == [(), ()]

    @invariant()
    def what_was_rolled_back_is_not_completed(self) -> None:
        assert not (self.run.is_completed and any(one.restored for one in self.run.deployments))

    @invariant()
    def rolled_back_leaves_nothing_new(self) -> None:
        if self.run.state is S.ROLLED_BACK and not self.run.scope:
            assert self.changed == set()

    @invariant()
    def its_events_make_it_again(self) -> None:
        assert after(planned_with_control(), self.history) == self.run

    @invariant()
    def taking_it_over_twice_is_taking_it_over_once(self) -> None:
        once = advance(self.run, Resumed())
        assert advance(once, Resumed()) == once

    @invariant()
    def taken_over_it_comes_to_an_end(self) -> None:
        run = carried_on(advance(self.run, Resumed()))
        assert run.state in (S.SOAKING, S.SOAKED, S.HELD, S.ACCEPTED, S.ROLLED_BACK)

    @invariant()
    def only_what_waits_or_is_over_has_nothing_to_do(self) -> None:
        left = self.run.state.is_over and any(one.may_have_control for one in self.run.deployments)
        waits = not left and self.run.state not in (S.LOCKED, S.DEPLOYING, S.VERIFYING, S.ROLLING_BACK)
        assert (next_act(self.run) is None) == waits


TestAnyStage = AnyStage.TestCase
TestAnyStage.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


@given(st.lists(any_event, max_size=20))
@settings(max_examples=50, deadline=None)
def test_what_was_refused_changes_nothing(events: list[Event]) -> None:
    run = planned()
    for event in events:
        unchanged = replace(run)
        try:
            run = advance(run, event)
        except (IllegalEvent, RolloutRefused):
            assert run == unchanged
