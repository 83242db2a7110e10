"""Drills: what they do, and what they prove."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.database import DiskFull
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.rollout.domain.events import DrillFinished, Judged, SoakCredited
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState, Verdict
from pytest_py312.rollout.domain.preconditions import check_drilled
from pytest_py312.rollout.domain.state_machine import IllegalEvent, advance
from pytest_py312.rollout.execution import drill
from tests.support.fakes import FakeTarget
from tests.unit.rollout.runs import carried_on, planned, soaked, soaking
from tests.unit.rollout.shells import PLAN, STAGES, Shell

ALLOWED = """
[deploy.environments]
test = { drill = true, webhooks = ["http://127.0.0.1:1/x"] }
prod = { after = ["test"] }
"""


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """On the real clock, with samples in quick succession."""
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    monkeypatch.setattr(drill, "DRILL_INTERVAL", 0.06)
    monkeypatch.setattr("pytest_py312.rollout.execution.driver.SETTLE_SECONDS", 0.0)
    return Shell(tmp_path, plan=PLAN.replace("readiness-delay", "require-drill = true\nreadiness-delay") + ALLOWED)


def serving(shell: Shell) -> dict[str, str]:
    return shell.target.serving()


def test_a_drill_ends_where_it_began_and_is_written_down(py312: Shell) -> None:
    serving_before = serving(py312)
    assert py312("drill --stage 1").startswith(
        "the drill passed: auth serve again as before, verified; the rollback took"
    )
    assert serving(py312) == serving_before
    assert py312.target.locks == {}
    run = py312.run()
    assert (run.state, run.is_drill, run.drill) == (StageState.ROLLED_BACK, True, "passed")
    assert "rolled back (drill)" in py312("status")
    assert py312.document("status")["runs"][0]["drill"] == "passed"
    evidence = py312.document("evidence --stage 1")
    assert "a drill that passed" in Path(evidence["html"]).read_text()


def test_an_outage_is_noticed_by_the_watching_itself(py312: Shell) -> None:
    serving_before = serving(py312)
    done = py312.document("drill --stage 1 --fault stop")
    assert (done["passed"], done["fault"], done["state"]) == (True, "stop", "rolled back")
    assert py312.run().reason.startswith("auth: availability: ")
    assert serving(py312) == serving_before
    assert not [text for text in py312.logged if "webhook" in text], "a drill sends no notification"


def test_what_is_not_critical_is_held_and_then_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "DRILL_INTERVAL", 0.06)
    shell = Shell(tmp_path, plan=PLAN + ALLOWED, stages=STAGES.replace("critical = true", ""))
    assert shell.document("drill --stage 1 --fault stop")["passed"]
    assert any("noticed and held, as the plan says" in text for text in shell.logged)
    assert shell.target.serving()["auth"] == "old-3.9"


def test_an_outage_that_nobody_notices_fails_the_drill_and_is_brought_back(
    py312: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "NOTICE_TIMEOUT", 0.3)
    monkeypatch.setattr(type(py312.target), "stop_for_drill", lambda target, spec, container: None)
    done = py312.document("drill --stage 1 --fault stop", code=1)
    assert done["detail"] == "auth was down for 0.3 s without being noticed"
    assert serving(py312)["auth"] == "old-3.9"
    assert py312.run().drill == "failed"


def test_what_cannot_be_broken_or_deployed_fails_the_drill(py312: Shell) -> None:
    py312.target.unbreakable = True
    assert "could not be made to fail: it does not stop" in py312("drill --stage 1 --fault stop", code=1)
    py312.target.unready.add("new-3.12")
    assert "it could not be deployed: auth: exit code 1" in py312("drill --stage 1", code=1)
    assert serving(py312)["auth"] == "old-3.9"


def test_a_failed_rollback_fails_the_drill(py312: Shell) -> None:
    def gone(step: str) -> None:
        if step == "restore auth":
            for key in [key for key, one in py312.target.containers.items() if one.image == "old-3.9"]:
                py312.target.containers.pop(key) if py312.target.containers[key].name.startswith("auth") else None

    py312.target.before = gone
    text = py312("drill --stage 1", code=1)
    assert "could not be brought back: the old container is gone" in text
    assert (py312.run().state, py312.run().drill) == (StageState.ROLLBACK_FAILED, "failed")


def test_a_target_that_cannot_inject_faults_is_refused_before_anything_is_done(py312: Shell) -> None:
    plain = FakeTarget()
    plain.serve("auth", "old-3.9")
    py312.context = replace(py312.context, target=lambda: plain)
    with pytest.raises(RolloutRefused, match="cannot inject faults"):
        py312("drill --stage 1 --fault stop")
    assert plain.steps == []


def test_only_where_the_plan_allows_it(py312: Shell) -> None:
    with pytest.raises(RolloutRefused, match=r"does not allow drills in prod: write prod = \{ drill = true \}"):
        py312("drill --stage 1 --env prod")
    with pytest.raises(RolloutRefused, match="accepted there first"):
        py312("drill --stage 1 --env prod --force")  # what holds for a deployment holds for a drill
    with pytest.raises(OptionError, match=r'no such service, perhaps you meant "auth"'):
        py312("drill --stage 1 --fault stop --service outh")


def test_a_dry_run_does_nothing(py312: Shell) -> None:
    assert "would deploy stage 1 in test, then stop auth" in py312("drill --stage 1 --fault stop --dry-run")
    assert py312.document("drill --stage 1 --dry-run")["services"] == ["auth"]
    assert py312.target.steps == []


def test_what_is_up_is_not_taken_away_by_a_drill(py312: Shell) -> None:
    py312("deploy --stage 1")
    with pytest.raises(RolloutRefused, match="stage 1 is soaking in test, and a drill would roll it back"):
        py312("drill --stage 1")


def test_a_drill_that_was_killed_is_no_pass_and_is_cleared_away_by_the_next(py312: Shell) -> None:
    def killed(step: str) -> None:
        if step == "restore auth":
            raise MemoryError

    py312.target.before = killed
    with pytest.raises(MemoryError):
        py312("drill --stage 1")
    py312.target.before = lambda step: None
    assert py312.run().drill == ""
    py312("recover")
    assert py312.run().drill == "", "brought back, and nothing is proven by that"
    assert "passed" in py312("drill --stage 1")


@pytest.mark.parametrize("command", ["drill --stage 1", "recover", "rollback --stage 1", "watch --stage 1"])
def test_a_drill_that_was_killed_while_it_was_up_is_brought_back_first(
    py312: Shell, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def killed(target: object, spec: object, container: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(type(py312.target), "stop_for_drill", killed)
        with pytest.raises(MemoryError):
            py312("drill --stage 1 --fault stop")
    assert serving(py312)["auth"] == "new-3.12"
    py312(command, code=1 if command.startswith("watch") else 0)
    assert serving(py312)["auth"] == "old-3.9"
    journal = Journal(py312.context.state_dir)
    first = journal.load_run(journal.run_names("test", 1)[0])
    journal.close()
    assert (first.state, first.drill) == (StageState.ROLLED_BACK, "")
    assert first.reason == ("manual" if command.startswith("rollback") else "left by an unfinished drill")


@pytest.mark.parametrize(
    "error", [DiskFull("no space"), RolloutRefused("unknown metric")], ids=["full disk", "refused"]
)
def test_a_drill_that_cannot_be_monitored_is_rolled_back(
    py312: Shell, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*arguments: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr(drill, "make_watcher", refuse)
    assert f"the drill failed: {error}" in py312("drill --stage 1 --fault stop", code=1)
    assert (py312.run().state, serving(py312)["auth"]) == (StageState.ROLLED_BACK, "old-3.9")


# ---- what it is worth


def drilled(drill: str = "passed", **changes: Any) -> StageRun:
    return replace(carried_on(planned(is_drill=True)), drill=drill, **changes)


def test_the_next_environment_needs_a_drill_where_the_plan_asks_for_it() -> None:
    run = planned(environment="prod", needs_drill=True)
    check_drilled(run, ["test"], [drilled()])
    check_drilled(run, [], [])
    check_drilled(replace(run, needs_drill=False), ["test"], [])
    for tried in ([], [drilled(stage=2)], [drilled(environment="lab")], [drilled(drill="")]):
        with pytest.raises(RolloutRefused, match=r"never drilled.*`py312 drill --stage 1 --env test`"):
            check_drilled(run, ["test"], tried)
    with pytest.raises(RolloutRefused, match="its last drill in test failed"):
        check_drilled(run, ["test"], [drilled(), drilled(drill="failed")])
    with pytest.raises(RolloutRefused, match="never drilled"):
        check_drilled(planned("auth", "new-one", environment="prod", needs_drill=True), ["test"], [drilled()])


def test_a_stage_of_production_waits_for_its_drill(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.accept(1)
    with pytest.raises(RolloutRefused, match="its rollback was never drilled"):
        py312("deploy --stage 1 --env prod")
    py312("rollback --stage 1")
    assert "passed" in py312("drill --stage 1")
    py312("deploy --stage 1")
    py312.accept(1)
    assert "stage 1 is soaking" in py312("deploy --stage 1 --env prod")


def test_a_drill_is_never_an_acceptance() -> None:
    run = advance(soaked(is_drill=True), Judged(verdict=Verdict.PASSED))
    assert run.state is StageState.ACCEPTED
    assert not run.is_completed


def test_a_drill_passes_only_when_all_of_it_is_back() -> None:
    event = DrillFinished(passed=True, fault="none", by="me", seconds=1.0)
    with pytest.raises(IllegalEvent):
        advance(soaking(is_drill=True), event)
    partly = replace(soaking(is_drill=True), state=StageState.ROLLED_BACK)
    with pytest.raises(IllegalEvent, match="not all of it was restored"):
        advance(partly, event)
    assert advance(partly, replace(event, passed=False)).drill == "failed"
    with pytest.raises(IllegalEvent):
        advance(partly, SoakCredited(seconds=1.0))
