"""The whole way in one view."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Stage
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings, RolloutSettings
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.reporting.roadmap import Place, StageLine, Step, environments_of, next_step
from tests.support.fakes import service
from tests.unit.rollout.runs import planned, soaking
from tests.unit.rollout.shells import PLAN, STAGES, Shell, shell_in

ACCEPTED = replace(soaking(), state=StageState.ACCEPTED)


HELD = replace(soaking(), state=StageState.HELD, reason="slow")
BACK = replace(planned(), state=StageState.ROLLED_BACK, reason="no")


def way(*runs: StageRun | None, **elsewhere: StageRun | None) -> list[StageLine]:
    """Stages 1, 2, ... as they stand in ``test``, all of them alike in other environments."""
    return [
        StageLine(
            stage=Stage(number=number),
            services=(service("auth"),),
            soak=3600.0,
            places=(
                Place(environment="test", run=run),
                *(Place(environment=name, run=other) for name, other in elsewhere.items()),
            ),
        )
        for number, run in enumerate(runs, start=1)
    ]


@pytest.mark.parametrize(
    ("runs", "command", "why"),
    [
        ([None, None], "py312 deploy --stage 1 --env test", ""),
        ([ACCEPTED, None], "py312 deploy --stage 2 --env test", ""),
        ([soaking(), None], "py312 watch --stage 1 --env test", ""),
        ([HELD], "py312 decide accept|rollback --stage 1 --env test", "slow"),
        ([replace(planned(), state=StageState.DEPLOYING)], "py312 recover --env test", "stage 1 was left deploying"),
        ([replace(planned(), state=StageState.ROLLBACK_FAILED)], "py312 recover --env test", "left rollback failed"),
        ([BACK], "py312 deploy --stage 1 --env test", "rolled back: no"),
        ([replace(BACK, is_drill=True)], "py312 deploy --stage 1 --env test", ""),
        ([replace(soaking(), is_drill=True)], "py312 rollback --stage 1 --env test", "a drill has left it up"),
        ([replace(ACCEPTED, stale="stage 0 is gone")], "py312 deploy --stage 1 --env test", "stage 0 is gone"),
        ([ACCEPTED, ACCEPTED], "", "nothing is left: all stages are accepted"),
    ],
)  # fmt: skip
def test_what_comes_next(runs: list[StageRun | None], command: str, why: str) -> None:
    step = next_step(way(*runs), "test", ())
    assert step.command == command
    assert why in step.why


def test_an_environment_waits_for_those_before_it() -> None:
    assert next_step(way(soaking(), prod=None), "prod", ["test"]) == Step(why="stage 1 waits for test")
    assert next_step(way(ACCEPTED, prod=None), "prod", ["test"]).command == "py312 deploy --stage 1 --env prod"


def test_a_stage_without_a_service_is_told() -> None:
    (line,) = way(None)
    assert "has no service" in next_step([replace(line, services=())], "test", ()).why


def test_environments_come_after_those_that_they_need() -> None:
    settings = RolloutSettings(
        environments=(
            EnvironmentSettings(name="prod", after=("staging",)),
            EnvironmentSettings(name="staging", after=("test", "prod")),  # in a circle, which nothing can satisfy
            EnvironmentSettings(name="test"),
        )
    )
    assert environments_of(settings, [planned(environment="lab")]) == ["test", "staging", "prod", "lab"]
    assert environments_of(RolloutSettings(), []) == ["test"]


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    where = "[deploy.environments]\ntest = {}\nprod = { after = ['test'] }\n"
    stages = STAGES.replace("number = 1", 'number = 1\nname = "Core | <b>"')
    return shell_in(tmp_path, monkeypatch, plan=f"{PLAN}\n{where}", stages=stages)


def test_the_page_has_all_stages_before_anything_was_deployed(py312: Shell) -> None:
    text = py312("roadmap")
    assert text.startswith("# Roadmap to Python 3.12\n")
    assert "* test: 0 of 2 stages accepted. Next: `py312 deploy --stage 1 --env test`." in text
    assert "* prod: 0 of 2 stages accepted. Next: stage 1 waits for test." in text
    assert "| 1: Core \\| &lt;b&gt; | 1 | 3 min | not deployed | not deployed |" in text
    assert not py312.ground.state.exists(), "looking makes no journal"


def test_the_page_says_where_each_stage_stands(py312: Shell) -> None:
    py312("deploy --stage 1")
    assert "| soaking<br>3 min left, at the least; nobody has watched it yet" in py312("roadmap")
    py312.accept(1)
    text = py312("roadmap")
    assert "* test: 1 of 2 stages accepted. Next: `py312 deploy --stage 2 --env test`." in text
    assert "| auth | 3.12 in test; " in text
    assert "critical" in text


def test_one_environment_can_be_asked_for(py312: Shell) -> None:
    document = py312.document("roadmap --env prod")
    assert document["environments"] == [{"name": "prod", "next": {"command": "", "why": "stage 1 waits for test"}}]
    assert document["stages"][0]["states"] == {"prod": "not deployed"}
    assert "| Stage | Services | Soak | prod |" in py312("roadmap --env prod")


def test_a_reason_cannot_break_the_page(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312("rollback --stage 1 --reason a|b<i>")
    assert "it was rolled back: a\\|b&lt;i&gt;" in py312("roadmap")


def test_a_drill_is_no_deployment() -> None:
    over = Place(environment="test", run=replace(planned(is_drill=True), state=StageState.ROLLED_BACK, drill="failed"))
    assert (over.state, over.told) == ("not deployed", "its drill failed")
    assert Place(environment="test").told == ""
    assert Place(environment="test", run=replace(ACCEPTED, stale="gone")).state == "no longer accepted"
