"""Acceptance tests are run, read and judged."""

import errno
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.process import Cancellation, CommandResult
from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings, RolloutSettings, SoakSettings
from pytest_py312.rollout.domain.events import AcceptanceTested
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import AcceptancePhase, BreachSeverity, Reaction, StageRun
from pytest_py312.rollout.execution.acceptance_runner import AcceptanceRunner
from pytest_py312.rollout.execution.actions import WaitInterrupted
from tests.unit.rollout.fake_suites import FakeSuite, command_result
from tests.unit.rollout.runs import planned

BEFORE, AFTER, END = AcceptancePhase
PYTEST = AcceptanceSettings(name="e2e", pytest="tests/e2e", environment=(("BASE_URL", "http://shop"),))
COMMAND = AcceptanceSettings(name="e2e", command=("sh", "smoke.sh"), folder="tests", timeout=90.0)
SHOP = "tests.e2e.test_shop::"


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> FakeSuite:
    fake = FakeSuite()
    monkeypatch.setattr("pytest_py312.rollout.execution.acceptance_runner.process", fake)
    return fake


def runner(root: Path, tests: AcceptanceSettings = PYTEST, **soak: str) -> AcceptanceRunner:
    settings = RolloutSettings(acceptance=((1, tests),), soak=replace(SoakSettings(), **soak))  # type: ignore[arg-type]
    return AcceptanceRunner(settings=settings, services={}, root=root)


def answer(
    runner: AcceptanceRunner, phase: AcceptancePhase = AFTER, run: StageRun | None = None, name: str = "e2e"
) -> AcceptanceTested:
    return runner.test(run or planned("auth", acceptance=("e2e",)), name, phase, threading.Event())


def deployed_after(runner: AcceptanceRunner) -> StageRun:
    """Return a stage that was tested before its deployment."""
    run = planned("auth", acceptance=("e2e",))
    return replace(run, acceptance_results=(answer(runner, BEFORE, run).result,))


def test_pytest_runs_with_the_variables_of_the_plan_and_without_those_of_another_pytest(
    tmp_path: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--py312")
    monkeypatch.setenv("TOKEN", "of the operator")
    event = answer(runner(tmp_path, replace(PYTEST, python=".venv/bin/python")))
    assert event.breach is None
    assert (event.result.result, event.result.passed) == (Result.SUCCESSFUL, 3)
    (argv,) = suite.calls
    assert argv[:4] == (f"{tmp_path}/.venv/bin/python", "-m", "pytest", f"{tmp_path}/tests/e2e")
    assert suite.folder == tmp_path
    assert (suite.variables["BASE_URL"], suite.variables["TOKEN"]) == ("http://shop", "of the operator")
    assert "PYTEST_ADDOPTS" not in suite.variables


def test_before_the_deployment_the_tests_are_listed_and_nothing_reacts(tmp_path: Path, suite: FakeSuite) -> None:
    suite.failing = lambda: ["test_pay"]
    event = answer(runner(tmp_path), BEFORE)
    assert event.breach is None
    assert event.result.passing == (f"{SHOP}test_login", f"{SHOP}test_order")
    assert event.result.known_failing == (f"{SHOP}test_pay",)
    assert len(suite.calls) == 2, "failures are confirmed"


@pytest.mark.parametrize(("non_critical", "reaction"), [("hold", Reaction.HOLD), ("rollback", Reaction.ROLL_BACK)])
def test_a_new_failure_that_is_repeated_breaks_the_stage(
    tmp_path: Path, suite: FakeSuite, non_critical: str, reaction: Reaction
) -> None:
    tests = runner(tmp_path, non_critical=non_critical)
    run = deployed_after(tests)
    suite.failing = lambda: ["test_pay"]
    event = answer(tests, AFTER, run)
    assert event.breach is not None
    assert event.breach.key == "stage 1: acceptance e2e after the deployment"
    assert event.breach.detail == f"newly failing: {SHOP}test_pay"
    assert (event.breach.severity, event.breach.reaction) == (BreachSeverity.SEVERE, reaction)
    assert event.result.output == "1 failed"
    assert len(suite.calls) == 3


def test_a_failure_that_does_not_repeat_is_reported_and_breaks_nothing(tmp_path: Path, suite: FakeSuite) -> None:
    tests = runner(tmp_path)
    run = deployed_after(tests)
    suite.failing = lambda: ["test_pay"] if len(suite.calls) == 2 else []
    event = answer(tests, AFTER, run)
    assert event.breach is None
    assert event.result.reason == f"failed once of two times: {SHOP}test_pay"


def test_a_failure_before_the_deployment_that_does_not_repeat_excuses_none(tmp_path: Path, suite: FakeSuite) -> None:
    tests = runner(tmp_path)
    suite.failing = lambda: ["test_pay"] if len(suite.calls) != 2 else []
    run = deployed_after(tests)
    assert answer(tests, AFTER, run).result.newly_failing == (f"{SHOP}test_pay",)


def test_what_failed_before_as_well_and_what_is_missing_are_reported(tmp_path: Path, suite: FakeSuite) -> None:
    tests = runner(tmp_path)
    suite.failing = lambda: ["test_pay"]
    run = deployed_after(tests)
    event = answer(tests, AFTER, run)
    assert (event.result.result, event.result.known_failing) == (Result.SUCCESSFUL, (f"{SHOP}test_pay",))
    suite.skipped = lambda: ["test_order"]
    event = answer(tests, AFTER, run)
    assert (event.result.result, event.result.missing) == (Result.INCONCLUSIVE, (f"{SHOP}test_order",))
    assert event.breach is not None
    assert event.breach.reaction is Reaction.HOLD


def test_an_accepted_failure_is_not_new_at_the_end(tmp_path: Path, suite: FakeSuite) -> None:
    tests = runner(tmp_path)
    run = deployed_after(tests)
    suite.failing = lambda: ["test_pay"]
    event = answer(tests, AFTER, run)
    assert event.breach is not None
    run = replace(run, acceptance_results=(*run.acceptance_results, event.result))
    assert answer(tests, END, run).result.result is Result.FAILED
    accepted = replace(run, accepted_breaches=(event.breach.key,))
    assert answer(tests, END, accepted).result.result is Result.SUCCESSFUL


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (command_result((), reason="TIMED_OUT"), "the time limit of 10 m was reached"),
        (command_result((), reason="NOT_STARTED", output="x could not be started"), "x could not be started"),
        (command_result((), reason="KILLED", code=-9), "the process was ended by signal 9"),
        (command_result((), code=1, output="No module named pytest"), "pytest wrote no results: No module named"),
        (command_result((), code=2), "pytest was interrupted, or could not collect the tests"),
        (command_result((), code=4, output="ERROR: usage: no"), "pytest was called wrongly"),
        (command_result((), code=5), "no test was collected"),
    ],
)
def test_a_run_that_proves_nothing_holds_the_stage(
    tmp_path: Path, suite: FakeSuite, ending: CommandResult, reason: str
) -> None:
    suite.ending = lambda cancelled: ending
    event = answer(runner(tmp_path))
    assert event.result.result is Result.INCONCLUSIVE
    assert event.result.reason.startswith(reason)
    assert event.breach is not None
    assert (event.breach.reaction, event.breach.detail) == (Reaction.HOLD, f"inconclusive: {event.result.reason}")
    assert answer(runner(tmp_path), BEFORE).breach is None


@pytest.mark.parametrize("phase", [BEFORE, AFTER])
def test_a_run_that_was_not_possible_once_is_repeated_and_reported(
    tmp_path: Path, suite: FakeSuite, phase: AcceptancePhase
) -> None:
    runs = iter([command_result((), reason="KILLED", code=-9)])
    suite.ending = lambda cancelled: next(runs, None)
    event = answer(runner(tmp_path), phase)
    assert (event.result.result, event.breach) == (Result.SUCCESSFUL, None)
    assert event.result.reason == "a first run was not possible: the process was ended by signal 9"


def test_both_runs_together_have_the_time_limit(
    tmp_path: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([0.0, 40.0, 100.0, 190.0])
    monkeypatch.setattr(clock, "stopwatch", lambda: next(seconds))
    suite.ending = lambda cancelled: command_result((), reason="KILLED", code=-9)
    answer(runner(tmp_path, COMMAND))
    assert suite.limits == [90.0, 50.0]
    answer(runner(tmp_path, COMMAND))
    assert suite.limits[2:] == [90.0], "it has taken all of it"


@pytest.mark.parametrize(
    ("count", "skipped", "reason"), [(3, 3, "every test was skipped"), (1001, 0, "1001 tests were run, and at most")]
)
def test_nothing_to_compare_is_inconclusive(
    tmp_path: Path, suite: FakeSuite, count: int, skipped: int, reason: str
) -> None:
    suite.tests = tuple(f"test_{number}" for number in range(count))
    suite.skipped = lambda: suite.tests[:skipped]
    assert answer(runner(tmp_path)).result.reason.startswith(reason)


def test_a_failing_exit_code_without_a_failing_test_is_inconclusive(tmp_path: Path, suite: FakeSuite) -> None:
    """A plugin fails the run, such as one that measures coverage."""

    def end(cancelled: Cancellation) -> CommandResult:
        report = Path(suite.calls[-1][-1].partition("=")[2])
        report.write_text('<testsuite><testcase classname="a" name="b"/></testsuite>')
        return command_result((), code=1, output="coverage is too low")

    suite.ending = end
    reason = "pytest ended with exit code 1, although no test failed: coverage is too low"
    assert answer(runner(tmp_path)).result.reason == reason


def test_ids_are_comparable_and_bounded(tmp_path: Path, suite: FakeSuite) -> None:
    suite.tests = ("test_a[<object object at 0x7f01>]", f"test_b[{'x' * 300}]", "test_c[\x85]")
    first, second, third = answer(runner(tmp_path), BEFORE).result.passing
    assert first == f"{SHOP}test_a[<object object at 0x...>]"
    assert (len(second), third) == (200, f"{SHOP}test_c[\\x85]")


def test_a_command_is_one_test(tmp_path: Path, suite: FakeSuite) -> None:
    (tmp_path / "tests").mkdir()
    tests = runner(tmp_path, COMMAND)
    run = deployed_after(tests)
    assert suite.folder == tmp_path / "tests"
    suite.failing = lambda: ["test_pay"]
    event = answer(tests, AFTER, run)
    assert (event.result.result, event.result.newly_failing) == (Result.FAILED, ("e2e",))
    suite.ending = lambda cancelled: command_result((), reason="TIMED_OUT")
    assert answer(tests, AFTER, run).result.reason == "the time limit of 1 m 30 s was reached"


def test_a_command_that_failed_before_as_well_proves_nothing(tmp_path: Path, suite: FakeSuite) -> None:
    (tmp_path / "tests").mkdir()
    tests = runner(tmp_path, COMMAND)
    suite.failing = lambda: ["test_pay"]
    result = answer(tests, AFTER, deployed_after(tests)).result
    assert (result.result, result.known_failing) == (Result.INCONCLUSIVE, ("e2e",))


def test_a_folder_that_leads_out_of_the_repository_is_not_entered(tmp_path: Path, suite: FakeSuite) -> None:
    (tmp_path / "tests").symlink_to("/")
    assert "leads out of the repository" in answer(runner(tmp_path, COMMAND)).result.reason
    assert suite.calls == []


def test_on_a_full_disk_they_have_no_result(tmp_path: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    reason = "no folder for the results could be made: No space left on device"
    assert answer(runner(tmp_path)).result.reason == reason


def test_tests_that_the_plan_has_no_longer_are_inconclusive(tmp_path: Path, suite: FakeSuite) -> None:
    run = planned("auth", acceptance=("smoke",))
    event = answer(runner(tmp_path), END, run, name="smoke")
    assert event.result.reason == "the plan has no acceptance tests of that name any more"
    assert event.breach is not None


def test_a_stop_ends_them_without_a_result(tmp_path: Path, suite: FakeSuite) -> None:
    suite.ending = lambda cancelled: command_result((), reason="CANCELLED")
    with pytest.raises(WaitInterrupted):
        answer(runner(tmp_path))
