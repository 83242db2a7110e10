"""A stage with acceptance tests, from its deployment to its end, with the commands of an operator."""

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

import pytest_py312
from pytest_py312.core.process import Cancellation, CommandResult
from pytest_py312.rollout.domain.events import AcceptanceTested
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import AcceptancePhase, StageState
from pytest_py312.rollout.execution.deploy_gate import rollback_cause
from tests.unit.rollout.fake_suites import FakeSuite, command_result
from tests.unit.rollout.shells import PLAN, STAGES, Shell, shell_in

SCHEMA = json.loads((Path(pytest_py312.__file__).parent / "rollout" / "reporting" / "evidence.schema.json").read_text())
ACCEPTANCE = 'acceptance = [{ name = "e2e", pytest = "tests/e2e" }]'
OLD, NEW = "old-3.9", "new-3.12"
LAST_SAMPLE = "sample --stage 1"
PAY = "tests.e2e.test_shop::test_pay"


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> FakeSuite:
    fake = FakeSuite()
    monkeypatch.setattr("pytest_py312.rollout.execution.acceptance_runner.process", fake)
    return fake


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: FakeSuite) -> Shell:
    (tmp_path / "tests" / "e2e").mkdir(parents=True)
    stages = STAGES.replace("critical = true", f"critical = true\n{ACCEPTANCE}")
    return shell_in(tmp_path, monkeypatch, plan=PLAN, stages=stages)


def failing_on(py312: Shell, image: str) -> Callable[[], list[str]]:
    """Return what fails while ``image`` serves."""
    return lambda: ["test_pay"] if py312.target.serving().get("auth") == image else []


def phases(py312: Shell) -> list[AcceptancePhase]:
    with closing(Journal(py312.context.state_dir)) as journal:
        contents = [entry.content for entry in journal.history(py312.run().run)]
    return [content.result.phase for content in contents if isinstance(content, AcceptanceTested)]


def soak(py312: Shell, *, code: int) -> StageState:
    """Take the samples of the whole soak; ``code`` is that of the last one."""
    for seconds in (0.0, 60.0, 60.0):
        py312.sample_once(seconds=seconds)
    py312.sample_once(code=code)
    return py312.run().state


def test_they_are_run_before_and_after_the_deployment_and_at_the_end(py312: Shell, suite: FakeSuite) -> None:
    assert "acceptance tests e2e: pytest tests/e2e" in py312("plan --stage 1")
    assert py312.document("plan --stage 1")["runs"][0]["acceptance_tests"] == ["e2e"]
    serving: list[str] = []
    suite.ending = lambda cancelled: serving.append(py312.target.serving()["auth"])
    py312("deploy --stage 1")
    assert serving == [OLD, NEW]
    assert phases(py312) == [AcceptancePhase.BEFORE, AcceptancePhase.AFTER]
    assert soak(py312, code=0) is StageState.ACCEPTED
    assert phases(py312) == [*AcceptancePhase]
    text = py312("status")
    assert all(f"acceptance e2e {phase.value}: 3 passed" in text for phase in AcceptancePhase)
    (run,) = py312.document("status")["runs"]
    assert [(each["phase"], each["result"]) for each in run["acceptance"]] == [
        (phase.value, "successful") for phase in AcceptancePhase
    ]


def test_a_new_failure_rolls_the_deployment_back(py312: Shell, suite: FakeSuite) -> None:
    suite.failing = failing_on(py312, NEW)
    text = py312("deploy --stage 1", code=1)
    assert f"stage 1: acceptance e2e after the deployment: newly failing: {PAY}" in text
    assert py312.target.serving()["auth"] == OLD
    assert py312.target.locks == {}
    with closing(Journal(py312.context.state_dir)) as journal:
        cause = rollback_cause(journal.history(py312.run().run))
    assert cause.startswith("stage 1: acceptance e2e"), "a scheduled run does not deploy it again"
    document = json.loads(Path(py312.document("evidence --stage 1")["json"]).read_text())
    jsonschema.validate(document, SCHEMA)
    (run,) = document["runs"]
    assert [each["metric"] for each in run["breaches"]] == ["acceptance e2e after the deployment"]
    assert [(each["phase"], each["result"]) for each in run["acceptance"]] == [
        ("before the deployment", "successful"),
        ("after the deployment", "failed"),
        ("at the end of the soak", "inconclusive"),
    ]
    assert run["acceptance"][1]["newly_failing"] == [PAY]
    assert run["acceptance"][2]["at"] is None


def test_a_new_failure_at_the_end_rolls_back_as_well(py312: Shell, suite: FakeSuite) -> None:
    py312("deploy --stage 1")
    suite.failing = failing_on(py312, NEW)
    assert soak(py312, code=1) is StageState.ROLLED_BACK
    assert py312.run().reason == f"stage 1: acceptance e2e at the end of the soak: newly failing: {PAY}"
    assert py312.target.serving()["auth"] == OLD


def test_tests_at_the_end_of_another_version_prove_nothing(py312: Shell, suite: FakeSuite) -> None:
    """Someone deploys while they run, when no samples are taken."""

    def deploy_manually(cancelled: Cancellation) -> None:
        for container in py312.target.containers.values():
            container.running = container.running and container.name != "auth"
            container.name = container.name.replace("auth", "gone")
        py312.target.serve("auth", "hand-3.12")

    py312("deploy --stage 1")
    suite.ending = deploy_manually
    assert soak(py312, code=1) is StageState.HELD
    reason = "inconclusive: auth: what serves is not what was deployed"
    assert py312.run().reason == f"stage 1: acceptance e2e at the end of the soak: {reason}"


def test_what_failed_before_as_well_is_shown_and_accepted(py312: Shell, suite: FakeSuite) -> None:
    suite.failing = lambda: ["test_pay"]
    py312("deploy --stage 1")
    assert soak(py312, code=0) is StageState.ACCEPTED
    text = f"2 passed, 1 failing as before (failing as before the deployment: {PAY})"
    for command in ("status", LAST_SAMPLE):
        assert f"acceptance e2e at the end of the soak: {text}" in py312(command)
    last = py312.document(LAST_SAMPLE)["acceptance"][-1]
    assert (last["result"], last["known_failing"], last["newly_failing"]) == ("successful", [PAY], [])


def test_a_deployment_without_a_result_is_held_until_a_person_decides(py312: Shell, suite: FakeSuite) -> None:
    suite.ending = lambda cancelled: command_result((), reason="TIMED_OUT")
    text = py312("deploy --stage 1", code=1)
    key = "stage 1: acceptance e2e after the deployment"
    assert f"{key}: inconclusive: the time limit of 10 m was reached" in text
    assert py312.run().pending_decisions == (key,)
    py312("promote --stage 1 --reason tried-by-hand")
    assert py312.run().state is StageState.SOAKING
    assert soak(py312, code=1) is StageState.HELD, "the tests at its end have no result either"
    py312("promote --stage 1 --reason tried-again")
    assert py312.run().state is StageState.SOAKED
    py312("sample --stage 1")
    assert py312.run().state is StageState.ACCEPTED


def test_tests_at_the_end_that_were_interrupted_are_run_again(py312: Shell, suite: FakeSuite) -> None:
    ended = threading.Event()

    def interrupted(cancelled: Cancellation) -> CommandResult:
        assert isinstance(cancelled, threading.Event)
        os.kill(os.getpid(), signal.SIGTERM)
        assert cancelled.wait(30.0)
        ended.set()
        return command_result((), reason="CANCELLED")

    py312("deploy --stage 1")
    suite.ending = interrupted
    assert soak(py312, code=2) is StageState.SOAKED
    assert ended.is_set(), "nothing is left running"
    assert AcceptancePhase.END not in phases(py312)
    assert "run `py312 watch --stage 1 --env test` for the acceptance tests e2e" in py312("status")
    suite.ending = lambda cancelled: None
    assert py312.sample_once(code=0)["state"] == "accepted"


def test_a_deployment_that_is_interrupted_while_it_is_tested_is_rolled_back(py312: Shell, suite: FakeSuite) -> None:
    def interrupted(cancelled: Cancellation) -> CommandResult | None:
        if py312.target.serving()["auth"] == OLD:
            return None
        os.kill(os.getpid(), signal.SIGTERM)
        assert cancelled.is_set()
        return command_result((), reason="CANCELLED")

    suite.ending = interrupted
    assert "interrupted by SIGTERM" in py312("deploy --stage 1", code=1)
    assert py312.target.serving()["auth"] == OLD


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_process_killed_while_it_tests_is_recovered_without_the_tests_and_their_plan(
    py312: Shell, suite: FakeSuite, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(cancelled: Cancellation) -> None:
        if py312.target.serving()["auth"] == version:
            raise Killed

    suite.ending = kill
    with pytest.raises(Killed):
        py312("deploy --stage 1")
    calls = len(suite.calls)
    py312.plan.unlink()
    monkeypatch.setattr("pytest_py312.rollout.execution.driver.SETTLE_SECONDS", 0.0)
    py312("recover")
    assert py312.run().state is StageState.ROLLED_BACK
    assert py312.target.serving()["auth"] == OLD
    assert len(suite.calls) == calls


def test_a_drill_runs_no_acceptance_tests(py312: Shell, suite: FakeSuite) -> None:
    py312("drill --stage 1 --force")
    assert suite.calls == []
