"""Acceptance tests of a stage: how a run of them is judged, and what the stage does then."""

from dataclasses import replace

import pytest

from pytest_py312.rollout.domain.acceptance import (
    AcceptanceOutcomes,
    confirm_failures,
    describe_acceptance,
    judge_acceptance,
)
from pytest_py312.rollout.domain.events import (
    Decided,
    DeployFailed,
    Drifted,
    Judged,
    Locked,
    Observed,
    Resumed,
    SoakCredited,
)
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import (
    AcceptancePhase,
    AcceptanceResult,
    Act,
    Intent,
    Reaction,
    StageRun,
    StageState,
    Verdict,
)
from pytest_py312.rollout.domain.next_act import next_act
from pytest_py312.rollout.domain.run_history import select_current_run
from pytest_py312.rollout.domain.state_machine import IllegalEvent, advance
from tests.unit.rollout.runs import acceptance_event, carried_on, planned, soaking, success

BEFORE, AFTER, END = AcceptancePhase
S = StageState


def outcomes(passed: str = "", failed: str = "", **changes: object) -> AcceptanceOutcomes:
    """Return the outcomes of tests, named by letters."""
    made = AcceptanceOutcomes(passed=frozenset(passed), failed=frozenset(failed))
    return replace(made, **changes)  # type: ignore[arg-type]  # names are those of the fields


def reference(passed: str = "", failed: str = "", **changes: object) -> AcceptanceResult:
    return judge_acceptance("e2e", BEFORE, outcomes(passed, failed, **changes))


# ---- judgement


@pytest.mark.parametrize(
    ("baseline", "now", "result", "reason"),
    [
        (reference("ab"), outcomes("ab"), Result.SUCCESSFUL, ""),
        (reference("ab"), outcomes("abc"), Result.SUCCESSFUL, ""),
        (reference("a", "b"), outcomes("a", "b"), Result.SUCCESSFUL, "failing as before the deployment: b"),
        (reference("a", "b"), outcomes("ab"), Result.SUCCESSFUL, ""),
        (reference("ab"), outcomes("a", "b"), Result.FAILED, "newly failing: b"),
        (reference("ab", "c"), outcomes("", "abc"), Result.FAILED, "newly failing: a, b"),
        (reference("a"), outcomes("a", "x"), Result.FAILED, "newly failing: x"),
        (reference("ab"), outcomes("a"), Result.INCONCLUSIVE, "passed before the deployment, and not run now: b"),
        (reference("a", "b"), outcomes("a"), Result.SUCCESSFUL, ""),
        (reference("", "ab"), outcomes("", "ab"), Result.INCONCLUSIVE, "no test passes: all of them failed before"),
        (reference("a"), outcomes(problem="no pytest"), Result.INCONCLUSIVE, "no pytest"),
        (reference(problem="no pytest"), outcomes("ab"), Result.SUCCESSFUL, ""),
        (reference(problem="no pytest"), outcomes("a", "b"), Result.INCONCLUSIVE, "failing: b; they could not be run"),
        (None, outcomes("a", "b"), Result.FAILED, "newly failing: b (nothing served before"),
        (None, outcomes("a"), Result.SUCCESSFUL, ""),
    ],
)
def test_a_run_is_compared_with_the_one_before_the_deployment(
    baseline: AcceptanceResult | None, now: AcceptanceOutcomes, result: Result, reason: str
) -> None:
    judged = judge_acceptance("e2e", AFTER, now, baseline=baseline)
    assert judged.result is result
    assert judged.reason.startswith(reason)
    assert bool(judged.reason) == bool(reason)


def test_before_the_deployment_failures_are_only_a_reference() -> None:
    result = reference("ab", "c")
    assert (result.result, result.passing, result.known_failing, result.newly_failing) == (
        Result.FAILED,
        ("a", "b"),
        ("c",),
        (),
    )
    assert describe_acceptance(result) == "acceptance e2e before the deployment: 2 passed, 1 failed (failing: c)"


def test_what_a_person_has_accepted_is_not_new_at_the_end() -> None:
    result = judge_acceptance("e2e", END, outcomes("a", "bc"), baseline=reference("abc"), accepted=["b"])
    assert (result.result, result.newly_failing, result.known_failing) == (Result.FAILED, ("c",), ("b",))


def test_a_test_that_passes_when_repeated_has_not_failed() -> None:
    confirmed = confirm_failures(outcomes("ad", "bc"), outcomes("ab", "cd"))
    assert (confirmed.passed, confirmed.failed) == (frozenset("abd"), frozenset("c"))
    assert confirmed.flaky == frozenset("bd")
    judged = judge_acceptance("e2e", AFTER, confirmed, baseline=reference("abc"))
    assert judged.reason == "newly failing: c; failed once of two times: b, d"
    assert confirm_failures(outcomes("a", "b"), outcomes(problem="too slow")).problem == "too slow"


# ---- the stage


def stage_with_tests(**changes: object) -> StageRun:
    return planned("auth", **{"acceptance": ("e2e",), **changes})


def verifying(**changes: object) -> StageRun:
    """Return a stage of which everything is deployed, and the tests come next."""
    return carried_on(stage_with_tests(**changes), until=Intent(act=Act.TEST_AFTER, service="e2e"))


def soaked_stage() -> StageRun:
    return advance(carried_on(verifying()), SoakCredited(seconds=3600.0))


def test_they_run_before_anything_is_changed_and_before_the_soak() -> None:
    run, acts = advance(planned("auth", "user", acceptance=("e2e", "smoke")), Locked()), []
    while (intent := next_act(run)) is not None:
        acts.append(f"{intent.act.value} {intent.service}")
        run = advance(run, success(intent))
    assert acts[2:4] == ["run before the deployment e2e", "run before the deployment smoke"]
    assert acts[4] == "prepare auth"
    assert acts[-2:] == ["run after the deployment e2e", "run after the deployment smoke"]
    assert run.state is S.SOAKING


def test_where_nothing_serves_there_is_nothing_to_test_before() -> None:
    run = advance(advance(stage_with_tests(), Locked()), Observed(service="auth", old=None))
    assert next_act(run) == Intent(act=Act.PREPARE, service="auth")


@pytest.mark.parametrize("event", [Resumed(), DeployFailed(service="e2e", reason="interrupted by SIGINT")])
def test_a_run_that_ends_while_it_is_tested_before_has_changed_nothing(event: Resumed | DeployFailed) -> None:
    """So the run that serves stays the current one."""
    run = carried_on(stage_with_tests(), until=Intent(act=Act.TEST_BEFORE, service="e2e"))
    ended = advance(run, event)
    assert (ended.state, ended.may_have_changed_target) == (S.ROLLED_BACK, False)
    accepted = replace(stage_with_tests(), run="r0", state=S.ACCEPTED)
    assert select_current_run(iter([ended, accepted])) == accepted


def test_new_failures_roll_back_at_once_or_hold_the_stage_when_all_tests_were_run() -> None:
    event = acceptance_event(AFTER, result=Result.FAILED, reaction=Reaction.ROLL_BACK)
    assert advance(verifying(), event).state is S.ROLLING_BACK

    run = verifying(acceptance=("e2e", "smoke"))
    run = advance(run, acceptance_event(AFTER, result=Result.FAILED, reaction=Reaction.HOLD))
    assert (run.state, next_act(run)) == (S.VERIFYING, Intent(act=Act.TEST_AFTER, service="smoke"))
    run = advance(run, acceptance_event(AFTER, "smoke"))
    assert run.state is S.HELD
    assert run.pending_decisions == ("stage 1: acceptance e2e after the deployment",)
    assert advance(run, Decided(accept=True, by="a person", reason="known")).state is S.SOAKING


def test_without_the_tests_at_the_end_no_stage_is_accepted() -> None:
    run = soaked_stage()
    assert run.untested == ("acceptance e2e at the end of the soak",)
    with pytest.raises(IllegalEvent, match="acceptance e2e at the end of the soak not proven"):
        advance(run, Judged(verdict=Verdict.PASSED))
    run = advance(run, acceptance_event(END))
    assert advance(run, Judged(verdict=Verdict.PASSED)).state is S.ACCEPTED


@pytest.mark.parametrize("result", [Result.FAILED, Result.INCONCLUSIVE])
def test_a_person_may_answer_for_the_tests(result: Result) -> None:
    run = advance(soaked_stage(), acceptance_event(END, result=result, reaction=Reaction.HOLD))
    assert run.state is S.HELD
    run = advance(run, Decided(accept=True, by="a person", reason="known"))
    assert (run.state, run.untested) == (S.SOAKED, ())
    assert advance(run, Judged(verdict=Verdict.PASSED)).state is S.ACCEPTED


def test_a_decision_on_a_verdict_does_not_replace_the_tests() -> None:
    """Drift has made the earlier ones void, and the soak was completed while the stage was held."""
    run = advance(soaked_stage(), acceptance_event(END))
    run = advance(run, Judged(verdict=Verdict.INCONCLUSIVE, reason="too few samples"))
    run = advance(run, Drifted(service="auth", detail="another image serves", slot=6))
    assert run.pending_acceptance(END) == ("e2e",)
    run = advance(run, SoakCredited(seconds=3600.0))
    run = advance(run, Decided(accept=True, by="a person", reason="known"))
    assert (run.state, run.pending_acceptance(END)) == (S.SOAKED, ("e2e",))


def test_drift_makes_void_what_a_person_has_accepted_of_the_tests_at_the_end() -> None:
    held = acceptance_event(END, result=Result.FAILED, reaction=Reaction.HOLD)
    accept = Decided(accept=True, by="a person", reason="known")
    run = advance(advance(soaked_stage(), held), accept)
    assert run.untested == ()
    run = advance(run, Drifted(service="auth", detail="another image serves", slot=6))
    run = advance(advance(run, accept), SoakCredited(seconds=3600.0))
    assert advance(run, held).state is S.HELD


@pytest.mark.parametrize(
    ("run", "phase"), [(soaking(acceptance=("e2e",)), END), (soaked_stage(), AFTER), (soaked_stage(), BEFORE)]
)
def test_a_result_of_another_phase_is_refused(run: StageRun, phase: AcceptancePhase) -> None:
    with pytest.raises(IllegalEvent):
        advance(run, acceptance_event(phase))
