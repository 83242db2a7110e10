"""The roadmap of a migration."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Stage
from pytest_py312.core.model.report import Checkout
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings, RolloutSettings
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.reporting.roadmap.roadmap import (
    RoadmapStage,
    StageStatus,
    next_step,
    ordered_environments,
)
from pytest_py312.rollout.reporting.roadmap.stage_readiness import NextStep, RoadmapBlocker, StageReadiness
from tests.support.fakes import service
from tests.unit.rollout.runs import planned, soaking
from tests.unit.rollout.shells import PLAN, STAGES, Shell, shell_in

ACCEPTED = replace(soaking(), state=StageState.ACCEPTED)
PYYAML = RoadmapBlocker(
    subject="pyyaml",
    code="PY104",
    is_project=True,
    services=("auth",),
    freed=("auth",),
    remedies=("pyyaml==6.0 -> pyyaml==6.0.1",),
)


PROVEN = StageReadiness(ready=("auth",), proof="on 2025-03-01 at 0d1f6a3c")
HELD = replace(soaking(), state=StageState.HELD, reason="slow")
BACK = replace(planned(), state=StageState.ROLLED_BACK, reason="no")


def roadmap_of(
    *runs: StageRun | None, readiness: StageReadiness = PROVEN, **elsewhere: StageRun | None
) -> list[RoadmapStage]:
    """A roadmap with the given runs of stages 1, 2, ... in ``test`` and equal ones in other environments."""
    return [
        RoadmapStage(
            stage=Stage(number=number),
            services=(service("auth"),),
            soak=3600.0,
            readiness=readiness,
            statuses=(
                StageStatus(environment="test", run=run),
                *(StageStatus(environment=name, run=other) for name, other in elsewhere.items()),
            ),
        )
        for number, run in enumerate(runs, start=1)
    ]


@pytest.mark.parametrize(
    ("runs", "command", "why"),
    [
        ([None, None], "py312 deploy --stage 1 --env test", "proven on 2025-03-01 at 0d1f6a3c"),
        ([ACCEPTED, None], "py312 deploy --stage 2 --env test", ""),
        ([soaking(), None], "py312 watch --stage 1 --env test", ""),
        ([HELD], "py312 promote|abort --stage 1 --env test", "slow"),
        ([replace(planned(), state=StageState.DEPLOYING)], "py312 recover --env test", "stage 1 was left deploying"),
        ([replace(planned(), state=StageState.ROLLBACK_FAILED)], "py312 recover --env test", "left rollback failed"),
        ([BACK], "py312 deploy --stage 1 --env test", "rolled back (no): see `py312 postmortem 1 --env test`"),
        ([replace(BACK, is_drill=True)], "py312 deploy --stage 1 --env test", ""),
        ([replace(soaking(), is_drill=True)], "py312 rollback --stage 1 --env test", "a drill has left it deployed"),
        ([replace(ACCEPTED, stale="stage 0 is gone")], "py312 deploy --stage 1 --env test", "stage 0 is gone"),
        ([ACCEPTED, ACCEPTED], "", "verify and optimise, as all stages are accepted"),
    ],
)  # fmt: skip
def test_the_next_step(runs: list[StageRun | None], command: str, why: str) -> None:
    step = next_step(roadmap_of(*runs), "test", ())
    assert step.command == command
    assert why in step.why


@pytest.mark.parametrize("run", [None, BACK, replace(ACCEPTED, stale="stage 0 is gone")])
@pytest.mark.parametrize(
    ("readiness", "command", "why"),
    [
        (StageReadiness(unknown=("auth",)), "pytest --py312 --py312-stage=1", "stage 1 was not checked yet"),
        (
            StageReadiness(ready=("auth",), unknown=("users",)),
            "pytest --py312 --py312-stage=1",
            "users of stage 1 was not checked yet",
        ),
        (
            StageReadiness(unchecked=(("auth", "no network"),)),
            "pytest --py312 --py312-stage=1",
            "auth could not be checked: no network",
        ),
        (
            StageReadiness(outdated=("auth",), outdated_proof="on 2025-03-01 at 0d1f6a3c"),
            "pytest --py312 --py312-stage=1",
            "stage 1 was proven on 2025-03-01 at 0d1f6a3c, and 77aa01c9 is checked out now",
        ),
        (StageReadiness(blocked=("auth",)), "", "auth failed"),
        (StageReadiness(blocked=("auth",), blockers=(PYYAML,)), "", "fix pyyaml in auth: pyyaml==6.0 -> pyyaml==6.0.1"),
        (
            StageReadiness(blocked=("a", "b", "c"), blockers=(replace(PYYAML, services=("a", "b", "c")), PYYAML)),
            "",
            "fix pyyaml in 3 services (a, b, c): pyyaml==6.0 -> pyyaml==6.0.1; then 1 more cause",
        ),
    ],
)
def test_a_stage_is_never_deployed_without_a_proof(
    run: StageRun | None, readiness: StageReadiness, command: str, why: str
) -> None:
    step = next_step(roadmap_of(run, readiness=readiness), "test", (), Checkout(commit="77aa01c9" * 5))
    assert step == NextStep(command=command, why=why)


def test_a_stage_that_is_deployed_is_not_checked_first() -> None:
    """It has to be monitored, or finished, whatever the gate found since."""
    step = next_step(roadmap_of(soaking(), readiness=StageReadiness(blocked=("auth",))), "test", ())
    assert step.command == "py312 watch --stage 1 --env test"


def test_an_environment_waits_for_its_predecessors() -> None:
    assert next_step(roadmap_of(soaking(), prod=None), "prod", ["test"]) == NextStep(why="stage 1 waits for test")
    assert next_step(roadmap_of(ACCEPTED, prod=None), "prod", ["test"]).command == "py312 deploy --stage 1 --env prod"


def test_a_stage_without_a_service_is_reported() -> None:
    (line,) = roadmap_of(None)
    assert "has no service" in next_step([replace(line, services=())], "test", ()).why


def test_environments_are_ordered_by_dependency() -> None:
    settings = RolloutSettings(
        environments=(
            EnvironmentSettings(name="prod", after=("staging",)),
            EnvironmentSettings(name="staging", after=("test", "prod")),  # in a circle, which nothing can satisfy
            EnvironmentSettings(name="test"),
        )
    )
    assert ordered_environments(settings, [planned(environment="lab")]) == ["test", "staging", "prod", "lab"]
    assert ordered_environments(RolloutSettings(), []) == ["test"]


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    where = "[deploy.environments]\ntest = {}\nprod = { after = ['test'] }\n"
    stages = STAGES.replace("number = 1", 'number = 1\nname = "Core | <b>"')
    return shell_in(tmp_path, monkeypatch, plan=f"{PLAN}\n{where}", stages=stages)


def test_the_roadmap_has_all_stages_before_any_deployment(py312: Shell) -> None:
    text = py312("roadmap")
    assert text.startswith("# Roadmap to Python 3.12\n")
    assert (
        "* test: 0 of 2 stages accepted. Next: `pytest --py312 --py312-stage=1`: stage 1 was not checked yet." in text
    )
    assert "* prod: 0 of 2 stages accepted. Next: stage 1 waits for test." in text
    assert "| 1: Core \\| &lt;b&gt; | 1 | 1 never checked | 3 m | not deployed | not deployed |" in text
    assert not py312.context.state_dir.exists(), "looking makes no journal"


def test_the_roadmap_shows_the_state_of_each_stage(py312: Shell) -> None:
    py312("deploy --stage 1")
    assert "| soaking<br>at least 3 m left; not monitored yet" in py312("roadmap")
    py312.accept(1)
    text = py312("roadmap")
    assert "* test: 1 of 2 stages accepted. Next: `pytest --py312 --py312-stage=2`: stage 2 was not checked" in text
    assert "| auth | 3.12 in test; " in text
    assert "critical" in text


def test_the_roadmap_can_show_one_environment(py312: Shell) -> None:
    document = py312.document("roadmap --env prod")
    step = {"command": "", "why": "stage 1 waits for test"}
    assert document["environments"] == [{"name": "prod", "accepted": 0, "next": step}]
    assert document["stages"][0]["states"] == {"prod": "not deployed"}
    assert "| Stage | Services | Gate | Soak | prod |" in py312("roadmap --env prod")


def test_a_reason_cannot_break_the_markdown(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312("rollback --stage 1 --reason a|b<i>")
    assert "| rolled back<br>a\\|b&lt;i&gt; |" in py312("roadmap")


def test_a_drill_is_no_deployment() -> None:
    over = StageStatus(
        environment="test", run=replace(planned(is_drill=True), state=StageState.ROLLED_BACK, drill="failed")
    )
    assert (over.state, over.detail) == ("not deployed", "its drill failed")
    assert StageStatus(environment="test").detail == ""
    assert StageStatus(environment="test", run=replace(ACCEPTED, stale="gone")).state == "no longer accepted"
