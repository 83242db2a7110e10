"""Preconditions of a stage: what other stages and environments require."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import (
    AcceptanceInvalidated,
    DeployFailed,
    Judged,
    Locked,
    RollbackRequested,
    SoakCredited,
)
from pytest_py312.rollout.domain.model import StageRun, StageState, Verdict
from pytest_py312.rollout.domain.preconditions import (
    check_promotion,
    check_start,
    dependent_stages,
    deployment_order,
    rollback_order,
)
from pytest_py312.rollout.domain.state_machine import advance
from tests.unit.rollout.runs import carried_on, planned, soaked

S = StageState


def accepted(stage: int = 1, environment: str = "test", *services: str) -> StageRun:
    run = soaked(deployments=planned(*services).deployments, stage=stage, environment=environment)
    return advance(run, Judged(verdict=Verdict.PASSED))


# ---- starting


def test_the_first_stage_may_start() -> None:
    check_start(1, "test", earlier_stages=[], runs=[], serving_images={})


def test_a_stage_waits_for_the_earlier_ones() -> None:
    with pytest.raises(RolloutRefused, match=r"stage 1 was never deployed there, and has to be accepted first"):
        check_start(2, "test", earlier_stages=[1], runs=[accepted(1, "staging")], serving_images={})
    check_start(2, "test", earlier_stages=[1], runs=[accepted()], serving_images={"auth": "new-image-auth"})


def test_what_was_rolled_back_is_not_completed() -> None:
    back = carried_on(advance(accepted(), RollbackRequested(reason="by hand")))
    with pytest.raises(RolloutRefused, match="stage 1 is rolled back there"):
        check_start(2, "test", earlier_stages=[1], runs=[back], serving_images={})


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        (S.SOAKING, "watch --stage 1"),
        (S.HELD, "py312 promote --stage 1"),
        (S.DEPLOYING, "recover --env test"),
        (S.ROLLBACK_FAILED, "recover --env test"),
    ],
)
def test_no_stage_starts_while_another_is_under_way(state: StageState, advice: str) -> None:
    """Nor does the same stage start a second time; the message says what to do."""
    under_way = planned(state=state, reason="slow")
    for stage in (1, 2):
        with pytest.raises(RolloutRefused, match=f"stage 1 is {state.value}.*{advice}"):
            check_start(stage, "test", earlier_stages=[], runs=[under_way], serving_images={})


def test_another_image_than_the_accepted_one_is_seen() -> None:
    with pytest.raises(RolloutRefused, match="auth of stage 1 was accepted as image new-image-au"):
        check_start(
            2, "test", earlier_stages=[1], runs=[accepted()], serving_images={"auth": "sha256:0123456789abcdef"}
        )


def test_an_acceptance_may_have_been_invalidated() -> None:
    stale = advance(accepted(2), AcceptanceInvalidated(reason="stage 1, on which it depends, was rolled back"))
    with pytest.raises(
        RolloutRefused, match="stage 2 was accepted, but stage 1, on which it depends, was rolled back, there"
    ):
        check_start(3, "test", earlier_stages=[2], runs=[stale], serving_images={})


def test_production_takes_the_very_same_that_was_proven() -> None:
    run = planned(environment="prod")
    check_promotion(run, ["test"], [accepted()])
    with pytest.raises(RolloutRefused, match="was never deployed in test"):
        check_promotion(run, ["test"], [])
    other = run.with_deployment("user", image="built-again")
    with pytest.raises(RolloutRefused, match="test accepted image new-image-us of user, and this is built-again"):
        check_promotion(other, ["test"], [accepted()])
    with pytest.raises(RolloutRefused, match="the plan was changed since test accepted it"):
        check_promotion(replace(run, configuration="changed"), ["test"], [accepted()])


@pytest.mark.parametrize(
    ("proven", "wanted", "lack"),
    [
        ((600.0, {}), (600.0, {}), ""),
        ((60.0, {"duration": 60.0}), (600.0, {}), "in test \\(for 60 s, and not for 600 s\\); prove it there again"),
        ((60.0, {"duration": 60.0}), (60.0, {"duration": 60.0}), ""),  # asked for in both places
        ((600.0, {}), (1200.0, {"duration": 1200.0}), ""),  # more than the plan asks is asked of production alone
        ((600.0, {"interval": 60.0}), (600.0, {}), "by a sample each 60 s, and not each 10 s"),
        ((600.0, {"interval": 1.0}), (600.0, {}), ""),
    ],
)
def test_a_soak_that_an_option_made_shorter_is_no_proof_of_a_longer_one(
    proven: tuple[float, dict[str, float]], wanted: tuple[float, dict[str, float]], lack: str
) -> None:
    """And it is not taken for a change of the plan, either."""
    plan = {"duration": 600.0, "interval": 10.0}
    proven_run = replace(accepted(), soak=proven[0], asked=proven[1], planned=plan)
    run = planned(environment="prod", soak=wanted[0], asked=wanted[1], planned=plan)
    if not lack:
        check_promotion(run, ["test"], [proven_run])
        return
    with pytest.raises(RolloutRefused, match=lack):
        check_promotion(run, ["test"], [proven_run])


# ---- rolling back


def test_a_rollback_under_a_later_stage_needs_a_choice() -> None:
    runs = [accepted(1), accepted(2), accepted(3)]
    with pytest.raises(RolloutRefused, match=r"depend on it: stage 2 \(accepted\), stage 3 \(accepted\); --cascade"):
        rollback_order(1, "test", runs, cascade=False, keep_later=False)
    assert rollback_order(1, "test", runs, cascade=True, keep_later=False) == [3, 2, 1]
    assert rollback_order(1, "test", runs, cascade=False, keep_later=True) == [1]
    assert rollback_order(3, "test", runs, cascade=False, keep_later=False) == [3]


def test_there_is_nothing_to_roll_back_elsewhere() -> None:
    with pytest.raises(RolloutRefused, match="stage 1 was never deployed in prod"):
        rollback_order(1, "prod", [accepted()], cascade=False, keep_later=False)


# ---- the order of services


def test_services_come_after_those_they_need() -> None:
    needs = {"gateway": ["user", "auth"], "user": ["auth", "database"]}
    assert deployment_order(["gateway", "user", "auth", "billing"], needs) == ["auth", "billing", "user", "gateway"]


def test_services_that_need_each_other_are_refused() -> None:
    with pytest.raises(RolloutRefused, match="these services need each other"):
        deployment_order(["a", "b"], {"a": ["b"], "b": ["a"]})


names = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1)


@given(names, st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"))))
def test_every_order_keeps_every_need(services: list[str], needs: dict[str, list[str]]) -> None:
    """Each service once; none before one that it needs."""
    forward = {name: [need for need in found if need < name] for name, found in needs.items()}
    order = deployment_order(services, forward)
    assert sorted(order) == sorted(services)
    assert all(
        order.index(need) < order.index(name) for name in services for need in forward.get(name, ()) if need in services
    )


# ---- whatever operators do


class OneEnvironment(RuleBasedStateMachine):
    """Operators who start, accept, break and roll back stages as the rules let them."""

    stages = (1, 2, 3)

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[int, StageRun] = {}

    @rule(stage=st.sampled_from(stages), end=st.sampled_from(["accepted", "soaking", "deploying", "failed"]))
    def start(self, stage: int, end: str) -> None:
        earlier = [number for number in self.stages if number < stage]
        try:
            check_start(stage, "test", earlier, self.runs.values(), serving_images={})
        except RolloutRefused:
            return
        self.invalidate_later_stages(stage)
        run = planned(stage=stage)
        if end == "deploying":
            self.runs[stage] = replace(run, state=S.DEPLOYING)
            return
        if end == "failed":
            self.runs[stage] = advance(advance(run, Locked()), DeployFailed(service="auth", reason="no image"))
            return
        run = carried_on(run)
        if end == "accepted":
            run = advance(advance(run, SoakCredited(seconds=run.soak)), Judged(verdict=Verdict.PASSED))
        self.runs[stage] = run

    @rule(stage=st.sampled_from(stages), cascade=st.booleans(), only=st.booleans())
    def roll_back(self, stage: int, cascade: bool, only: bool) -> None:
        try:
            order = rollback_order(stage, "test", self.runs.values(), cascade=cascade, keep_later=only)
        except RolloutRefused:
            return
        for number in order:
            self.runs[number] = carried_on(advance(self.runs[number], RollbackRequested(reason="by hand")))
        self.invalidate_later_stages(stage)

    def invalidate_later_stages(self, stage: int) -> None:
        for number in dependent_stages(stage, "test", self.runs.values()):
            self.runs[number] = advance(self.runs[number], AcceptanceInvalidated(reason=f"stage {stage} has changed"))

    @invariant()
    def at_most_one_stage_is_under_way(self) -> None:
        assert len([run for run in self.runs.values() if not run.state.is_over]) <= 1

    @invariant()
    def completed_stages_build_on_completed_stages(self) -> None:
        done = [number for number, run in sorted(self.runs.items()) if run.is_completed]
        assert all(self.runs[number].is_completed for last in done for number in range(1, last))


TestOneEnvironment = OneEnvironment.TestCase
TestOneEnvironment.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
