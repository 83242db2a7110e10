"""PY4xx from fake runs: what blocks, what is reported, and what could not be checked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.analysis.services.service_analysis import AnalysisResult
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity, Status
from pytest_py312.core.model.measurements import SuiteRun, SuiteWarning, TestResult
from pytest_py312.core.model.plan import FurtherTest, Plan, ServiceSettings, Suite, SuiteKind
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.checks.suite import SuiteCheck
from pytest_py312.runners.suite_job import START_COLLECTOR
from tests.support.fakes import FakeFacts, cell_of, installation_of, run_of, service, service_tree

A, B = "tests/test_x.py::test_a", "tests/test_x.py::test_b"
WELL = run_of({A: "passed", B: "passed"})
TRACEBACK = "E   AttributeError: module 'inspect' has no attribute 'getargspec'\n\ntests/test_x.py:7: AttributeError"
WORSE = run_of({A: "failed", B: "passed"}, details={A: TRACEBACK})


def facts(baseline: SuiteRun, target: SuiteRun, between: SuiteRun | None = None, **more: Any) -> FakeFacts:
    return FakeFacts(runs={"3.9": baseline, "3.10": between or baseline, "3.12": target}, **more)


def run_check(fake_facts: FakeFacts, interpreter: str = "3.12", **changes: Any) -> CheckResult:
    return SuiteCheck().run(cell_of(interpreter, service(**changes)), fake_facts)


def codes_and_names(judgement: CheckResult) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.code, finding.names) for finding in judgement.outcome.findings]


# ---- verdicts


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_suite_that_passes_everywhere_passes(interpreter: str) -> None:
    judgement = run_check(facts(WELL, WELL), interpreter)

    assert judgement.outcome.status is Status.PASSED
    assert codes_and_names(judgement) == []


def test_a_new_failure_blocks_with_location_and_remedy() -> None:
    judgement = run_check(facts(WELL, WORSE))

    (finding,) = judgement.outcome.findings
    assert judgement.outcome.status is Status.FAILED
    assert (finding.code, finding.names) == ("PY401", (A,))
    assert str(finding.location) == "services/user-service/tests/test_x.py:7"
    assert "has no attribute 'getargspec'" in finding.message
    assert "inspect.signature" in finding.remedy
    assert judgement.suite_comparison is not None
    assert judgement.suite_comparison.newly_failing == (A,)


@pytest.mark.parametrize("outcome", ["skipped", "xfailed", None])
def test_a_missing_test_blocks(outcome: str | None) -> None:
    target = run_of({B: "passed", **({A: outcome} if outcome else {})})

    judgement = run_check(facts(WELL, target))

    assert judgement.outcome.status is Status.FAILED
    assert codes_and_names(judgement) == [("PY402", (A,))]


def test_a_failure_on_both_is_reported_and_does_not_block() -> None:
    judgement = run_check(facts(WORSE, WORSE))

    assert judgement.outcome.status is Status.PASSED
    assert codes_and_names(judgement) == [("PY404", (A,))]


def test_an_unconfirmed_failure_is_flaky_and_does_not_block() -> None:
    known = facts(WELL, WORSE, again=lambda name, attempt, select: run_of({A: "passed"}, name))

    judgement = run_check(known)

    assert judgement.outcome.status is Status.PASSED
    assert [(found.code, found.severity) for found in judgement.outcome.findings] == [("PY403", Severity.WARNING)]


def test_a_suspect_is_rerun_as_often_as_the_plan_says() -> None:
    fake_facts = facts(WELL, WORSE)
    fake_facts.plan = Plan(root=fake_facts.plan.root, reruns=3)

    run_check(fake_facts)

    assert [attempt for name, attempt, select in fake_facts.asked if name == "3.12" and select] == [1, 2, 3]


@pytest.mark.parametrize(
    ("target", "again", "reruns", "kept"),
    [
        (WELL, WELL, 2, True),
        (WORSE, WORSE, 2, True),
        (WORSE, WORSE, 0, False),
        (WORSE, replace(WORSE, complete=False, incomplete_reason="killed"), 2, False),
    ],
)
def test_a_failure_is_kept_for_later_runs_only_if_it_was_confirmed(
    target: SuiteRun, again: SuiteRun, reruns: int, kept: bool
) -> None:
    def rerun(name: str, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        return replace(WELL if name == "3.9" else again, interpreter=Interpreter.parse(name))

    plan = replace(FakeFacts().plan, reruns=reruns)
    result = run_check(facts(WELL, target, plan=plan, again=rerun))

    assert (result.is_kept, result.outcome.status) == (kept, Status.PASSED if target is WELL else Status.FAILED)


TOO_NEW = run_of({A: "failed", B: "passed"}, "3.9", details={A: "E   ImportError: cannot import name 'UTC'"})


@pytest.mark.parametrize(("again", "status", "code"), [(TOO_NEW, "failed", "PY405"), (WELL, "passed", "PY404")])
def test_a_failure_on_the_baseline_only_is_confirmed_by_reruns(again: SuiteRun, status: str, code: str) -> None:
    def rerun(name: str, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        return replace(again if name == "3.9" else WELL, interpreter=Interpreter.parse(name))

    fake_facts = facts(TOO_NEW, WELL, again=rerun)
    result = run_check(fake_facts, "3.9")

    assert (result.outcome.status, result.is_kept) == (Status(status), True)
    assert codes_and_names(result) == [(code, (A,))]
    assert ("3.9", 1, (A,)) in fake_facts.asked


def test_a_failure_of_a_migrated_service_is_not_kept() -> None:
    """There is no other Python, so nothing has confirmed it."""
    result = run_check(facts(WELL, WORSE), baseline=Interpreter.parse("3.12"))

    assert (result.outcome.status, result.is_kept) == (Status.FAILED, False)


def test_failures_with_one_cause_are_grouped() -> None:
    both = run_of({A: "failed", B: "failed"}, details={A: "E   ValueError: x", B: "E   ValueError: x"})

    assert codes_and_names(run_check(facts(WELL, both))) == [("PY401", (A, B))]


def test_the_tests_of_a_file_that_cannot_be_collected_are_missing() -> None:
    lost = run_of({}, collection_errors={"tests/test_x.py": "E   ModuleNotFoundError: No module named 'imp'"})

    judgement = run_check(facts(WELL, lost))

    assert judgement.outcome.status is Status.FAILED
    assert {name for finding in judgement.outcome.findings for name in finding.names} == {A, B}
    assert "importlib" in judgement.outcome.findings[0].remedy


# ---- intermediate interpreters, and rollback


def test_the_first_bad_interpreter_is_found() -> None:
    judgement = run_check(facts(WELL, WORSE, between=WORSE))

    assert judgement.suite_comparison is not None
    assert judgement.suite_comparison.first_bad == {A: Interpreter(3, 10)}


def test_a_regression_on_an_intermediate_interpreter_only_is_a_note() -> None:
    judgement = run_check(facts(WELL, WELL, between=WORSE), "3.10")

    assert judgement.outcome.status is Status.PASSED
    assert [found.severity for found in judgement.outcome.findings] == [Severity.NOTE]


def test_an_intermediate_regression_that_the_target_has_as_well_blocks() -> None:
    assert run_check(facts(WELL, WORSE, between=WORSE), "3.10").outcome.status is Status.FAILED


def test_code_that_is_too_new_for_the_baseline_blocks_there() -> None:
    """It would break a rollback."""
    baseline_run = run_of(
        {A: "failed", B: "passed"}, details={A: "E   ImportError: cannot import name 'UTC' from 'datetime'"}
    )

    judgement = run_check(facts(baseline_run, WELL), "3.9")

    assert judgement.outcome.status is Status.FAILED
    assert codes_and_names(judgement) == [("PY405", (A,))]


def test_other_failures_on_the_baseline_are_notes_there() -> None:
    before = run_of({A: "failed", B: "passed"}, details={A: "E   AssertionError: assert 1 == 2"})

    judgement = run_check(facts(before, WELL), "3.9")

    assert judgement.outcome.status is Status.PASSED
    assert codes_and_names(judgement) == [("PY404", (A,))]


def test_every_failure_of_a_migrated_service_blocks() -> None:
    known = FakeFacts(interpreters=("3.12",), runs={"3.12": WORSE})

    judgement = run_check(known, "3.12", baseline=Interpreter(3, 12))

    assert judgement.outcome.status is Status.FAILED
    assert codes_and_names(judgement) == [("PY401", (A,))]


# ---- a run that proves nothing never passes

BROKEN_OFF = run_of({A: "passed"}, complete=False, incomplete_reason="time limit of 900 s reached")
NOTHING = run_of({})
ALL_SKIPPED = run_of({A: "skipped", B: "skipped"})


@pytest.mark.parametrize(
    ("run", "word"),
    [(BROKEN_OFF, "time limit of 900 s reached"), (NOTHING, "found none"), (ALL_SKIPPED, "all 2 are skipped")],
)
@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_run_that_proves_nothing_is_errored(run: SuiteRun, word: str, interpreter: str) -> None:
    known = facts(WELL, WELL)
    known.runs = {**known.runs, interpreter: run}

    outcome = run_check(known, interpreter).outcome

    assert outcome.status is Status.ERRORED
    assert word in outcome.reason


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize("end", ["failed", "error", "xfailed"])
def test_a_suite_of_which_no_test_passes_proves_nothing(end: str, interpreter: str) -> None:
    """For example, all tests fail on both if a database is missing."""
    lost = run_of({A: end, B: end}, details={A: "E   OSError: no database"})

    outcome = run_check(facts(lost, lost), interpreter).outcome

    assert outcome.status is Status.ERRORED
    assert "no test of services/user-service passes on 3.9 or 3.1" in outcome.reason


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(
    ("path", "is_lost"),
    [
        ("shared/a.json", True),
        ("./shared/a.json", True),
        ("shared", True),
        ("shared/b.json", False),
        ("/shared/a.json", False),
    ],
)
def test_tests_that_lose_a_file_of_the_repository_prove_nothing(
    tmp_path: Path, path: str, is_lost: bool, interpreter: str
) -> None:
    """They look for it in another folder, so that a regression in them would go unseen."""
    root = service_tree(tmp_path, {"shared/a.json": ""})
    error = f"E   FileNotFoundError: [Errno 2] No such file or directory: '{path}'"
    lost = run_of({A: "failed", B: "passed"}, details={A: error})

    outcome = run_check(facts(lost, lost, plan=Plan(root=root)), interpreter).outcome

    assert outcome.status is (Status.ERRORED if is_lost else Status.PASSED)
    assert ("1 test of services/user-service cannot find a file on 3.9 or 3.1" in outcome.reason) is is_lost
    assert ("which is there from the root" in outcome.reason) is is_lost


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_suite_beside_the_service_has_its_places_there(interpreter: str) -> None:
    """That it is the service's is an assumption: one that proves nothing asks for a line of the plan."""
    suite = Suite(kind=SuiteKind.PYTEST, arguments=("tests",), folder="services")

    lost = run_of({A: "failed"}, details={A: "E   OSError: no database"})
    reason = run_check(facts(lost, lost), interpreter, suite=suite).outcome.reason
    assert reason.startswith("no test of services passes on 3.9 or 3.1")
    assert "If these are not its tests, name them with `suite` in the plan" in reason
    unusable = run_check(facts(run_of({}), run_of({})), interpreter, suite=suite).outcome.reason
    assert "name them with `suite` in the plan" in unusable

    (finding,) = run_check(facts(WELL, WORSE), suite=suite).outcome.findings
    assert str(finding.location) == "services/tests/test_x.py:7"


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_files_without_tests_ask_for_the_same_line_as_no_files(interpreter: str) -> None:
    """A new Django application has a tests.py with nothing in it."""
    reason = run_check(facts(run_of({}), run_of({})), interpreter).outcome.reason
    assert "pytest found none: name them with `suite` in the plan, or set `suite = false` with a reason" in reason


def test_a_suite_that_lacks_a_variable_says_where_to_set_it() -> None:
    lost = run_of({A: "error"}, details={A: "E   KeyError: 'SECRET_KEY'"})

    reason = run_check(facts(lost, lost)).outcome.reason

    assert '[service."user-service"] environment = { SECRET_KEY = "..." }' in reason


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_a_suite_that_passes_on_the_target_only_does_not_block(interpreter: str) -> None:
    lost = run_of({A: "failed"}, details={A: "E   OSError: broken before"})

    assert run_check(facts(lost, run_of({A: "passed"})), interpreter).outcome.status is Status.PASSED


@pytest.mark.parametrize("run", [BROKEN_OFF, NOTHING, ALL_SKIPPED])
def test_without_a_baseline_there_is_nothing_to_compare_with(run: SuiteRun) -> None:
    outcome = run_check(facts(run, WELL, between=WELL)).outcome

    assert outcome.status is Status.ERRORED
    assert "nothing to compare with" in outcome.reason


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_without_an_environment_nothing_is_compared(interpreter: str) -> None:
    known = facts(WELL, WELL, installations={interpreter: Installation(unchecked="no network")})

    outcome = run_check(known).outcome

    assert outcome.status is Status.ERRORED
    assert "no network" in outcome.reason


def test_a_service_without_tests_is_errored_with_advice() -> None:
    outcome = run_check(FakeFacts(), suite=None).outcome

    assert outcome.status is Status.ERRORED
    assert "`suite = false` with a reason" in outcome.reason


def test_a_suite_that_the_plan_leaves_out_is_skipped_with_its_reason() -> None:
    settings = ServiceSettings(suite_skip_reason="needs a GPU")

    outcome = run_check(FakeFacts(), suite=None, settings=settings).outcome

    assert (outcome.status, outcome.reason) == (Status.SKIPPED, "needs a GPU")


# ---- other information


def test_different_versions_of_libraries_are_named_as_a_possible_cause() -> None:
    sides = {"3.9": installation_of("3.9", {"numpy": "1.21.6"}), "3.12": installation_of("3.12", {"numpy": "1.26.4"})}

    (finding,) = run_check(facts(WELL, WORSE, installations=sides)).outcome.findings

    assert "numpy 1.21.6 -> 1.26.4" in finding.detail


@pytest.mark.parametrize(
    ("tried", "is_library"), [(WELL, True), (WORSE, False), (None, None), (replace(WELL, complete=False), None)]
)
def test_the_versions_of_the_baseline_tell_the_python_from_a_library(
    tried: SuiteRun | None, is_library: bool | None
) -> None:
    sides = {"3.9": installation_of("3.9", {"numpy": "1.21.6"}), "3.12": installation_of("3.12", {"numpy": "1.26.4"})}
    of_interpreter = run_check(facts(WELL, WORSE)).outcome.findings[0]

    outcome = run_check(facts(WELL, WORSE, installations=sides, with_baseline_versions=tried)).outcome

    (finding,) = outcome.findings
    assert (outcome.status, finding.blocks) == (Status.FAILED, True)
    assert finding.message.endswith("(passes on 3.12 with the libraries of 3.9)") is (is_library is True)
    assert (finding.remedy == of_interpreter.remedy) is (is_library is not True)
    assert ("not Python 3.12: numpy 1.21.6 -> 1.26.4" in finding.remedy) is (is_library is True)
    assert ("with the versions of 3.9 it fails on 3.12 as well" in finding.detail) is (is_library is False)


@pytest.mark.parametrize(
    ("alone", "is_library"), [(WORSE, True), (WELL, False), (replace(WORSE, complete=False), False)]
)
def test_versions_are_not_the_cause_where_the_same_tests_pass_with_any(alone: SuiteRun, is_library: bool) -> None:
    """A test that fails only after others: the whole suite has confirmed it, and alone it passes."""

    def rerun(name: str, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        is_alone = name == "3.12" and attempt > FakeFacts().plan.reruns
        return replace(WELL if name == "3.9" else alone if is_alone else WORSE, interpreter=Interpreter.parse(name))

    sides = {"3.9": installation_of("3.9", {"numpy": "1.21.6"}), "3.12": installation_of("3.12", {"numpy": "1.26.4"})}
    known = facts(WELL, WORSE, again=rerun, installations=sides, with_baseline_versions=WELL)
    (finding,) = run_check(known).outcome.findings
    assert ("not Python 3.12" in finding.remedy) is is_library
    assert "as well" not in finding.detail


def test_what_did_not_run_with_the_versions_of_the_baseline_says_nothing_of_them() -> None:
    sides = {"3.9": installation_of("3.9", {"numpy": "1.21.6"}), "3.12": installation_of("3.12", {"numpy": "1.26.4"})}
    known = facts(WELL, WORSE, installations=sides, with_baseline_versions=run_of({B: "passed"}))
    (finding,) = run_check(known).outcome.findings
    assert "as well" not in finding.detail
    assert "not Python" not in finding.remedy


def test_a_comparison_counts_every_interpreter_up_to_its_own() -> None:
    comparison = run_check(facts(WELL, WORSE)).suite_comparison

    assert comparison is not None
    assert {str(interpreter) for interpreter in comparison.counts} == {"3.9", "3.10", "3.12"}


def test_no_traceback_crashes_the_findings() -> None:
    for detail in ("", "\n", "E", "E   ", "x" * 100_000, "\ud800", "tests/test_x.py:99999999999: "):
        run = replace(WORSE, results=run_of({A: "failed", B: "passed"}, details={A: detail}).results)
        judgement = run_check(facts(WELL, run))
        assert codes_and_names(judgement) == [("PY401", (A,))]
        assert len(judgement.outcome.findings[0].message) < 2000


# ---- warnings of older interpreters


GONE = SuiteWarning(
    category="DeprecationWarning",
    message="the imp module is deprecated and slated for removal in Python 3.12",
    origin="/env/lib/python3.9/site-packages/old_lib.py:7",
)
WARNED = replace(WELL, warnings=(GONE,))


def warnings_in(result: CheckResult) -> list[tuple[str, Severity]]:
    return [(item.code, item.severity) for item in result.outcome.findings if item.code.startswith("PY2")]


def test_a_baseline_warning_is_reported_on_the_target_only() -> None:
    """If no test is worse there, it is a note; it never blocks."""
    fake_facts = facts(WARNED, WELL)
    assert [warnings_in(run_check(fake_facts, interpreter)) for interpreter in ("3.9", "3.10", "3.12")] == [
        [],
        [],
        [("PY250", Severity.NOTE)],
    ]
    assert run_check(fake_facts).outcome.status is Status.PASSED
    assert warnings_in(run_check(facts(WARNED, WORSE))) == [("PY250", Severity.WARNING)]


def test_a_warning_of_the_interpreter_before_the_target_is_reported() -> None:
    """One of both is reported once."""
    assert warnings_in(run_check(facts(WELL, WELL, WARNED))) == [("PY250", Severity.NOTE)]
    assert warnings_in(run_check(facts(WARNED, WELL, WARNED))) == [("PY250", Severity.NOTE)]


def test_removals_are_reported_if_the_suite_cannot_run_on_the_target() -> None:
    nowhere = installation_of("3.12", environment=None)
    known = facts(WARNED, WELL, installations={"3.12": nowhere})
    judgement = run_check(known)
    assert judgement.outcome.status is Status.ERRORED
    assert warnings_in(judgement) == [("PY250", Severity.WARNING)]
    broken_off = run_check(facts(WARNED, replace(WELL, complete=False, incomplete_reason="it was killed")))
    assert broken_off.outcome.status is Status.ERRORED
    assert warnings_in(broken_off) == [("PY250", Severity.WARNING)]


def test_a_known_crash_of_the_suite_has_a_remedy() -> None:
    output = 'Traceback (most recent call last):\nTypeError: required field "lineno" missing from alias\n'
    dead = replace(run_of({}, "3.12"), complete=False, incomplete_reason="the process ended early", output_tail=output)

    judged = run_check(facts(WELL, dead))

    assert judged.outcome.reason.endswith("cannot load tests on 3.10 and newer: require a newer version)")


@pytest.mark.parametrize("side", ["3.9", "3.12"])
def test_a_suite_in_an_incomplete_environment_proves_nothing(side: str) -> None:
    """A test that fails on the baseline, because something is not installed there, would hide a regression."""
    incomplete = installation_of(side, incomplete="it lacks idna 3.6, which is locked")

    passing = run_check(facts(WELL, WELL, installations={side: incomplete}))
    failing = run_check(facts(WELL, WORSE, installations={side: incomplete}))

    assert passing.outcome.status is Status.ERRORED
    assert "it lacks idna 3.6" in passing.outcome.reason
    assert failing.outcome.status is Status.FAILED
    assert failing.outcome.unchecked == passing.outcome.reason


# ---- ids that differ between the sides


def test_tests_that_cannot_be_paired_are_reported() -> None:
    function = "tests/test_x.py::test_r"
    numbers = iter(range(100))

    def again(name: str, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        return run_of({f"{function}[{next(numbers)}]": "passed"}, name)

    judgement = run_check(facts(again("3.9", 0, ()), again("3.12", 0, ()), again=again))

    (finding,) = judgement.outcome.findings
    assert judgement.outcome.status is Status.PASSED
    assert (finding.code, finding.severity, finding.names) == ("PY406", Severity.WARNING, (function,))
    assert "1 tests on 3.9 and 1 on 3.12 cannot be paired" in finding.message
    assert finding.detail == f"3.9: {function}[0]\n3.12: {function}[1]"


# ---- how much of the suite proves anything

LOST = {f"tests/test_{name}.py": "E   ModuleNotFoundError: No module named 'agent_sdk'" for name in "vwxyz"}
ONE = "tests/test_a.py::test_a"


def with_lost(number: int, interpreter: str) -> SuiteRun:
    return run_of({ONE: "passed"}, interpreter, collection_errors=dict(list(LOST.items())[:number]))


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_suite_of_which_most_files_cannot_be_collected_could_not_be_checked(interpreter: str) -> None:
    runs = {name: with_lost(5, name) for name in ("3.9", "3.10", "3.12")}

    judgement = run_check(facts(runs["3.9"], runs["3.12"], between=runs["3.10"]), interpreter)

    outcome = judgement.outcome
    assert outcome.status is Status.ERRORED
    assert "5 of 6 test files cannot be collected on either side" in outcome.reason
    assert "tests/test_v.py: cannot be collected: ModuleNotFoundError: No module named 'agent_sdk'" in outcome.reason
    assert "`suite-share`" in outcome.reason


@pytest.mark.parametrize(
    ("lost", "share", "status"),
    [
        (1, 0.5, Status.PASSED),
        (2, 0.5, Status.ERRORED),
        (2, 0.3, Status.PASSED),
        (1, 0.6, Status.ERRORED),
        (5, 0.0, Status.PASSED),
    ],
)
def test_the_plan_sets_how_much_of_the_suite_must_prove_something(lost: int, share: float, status: Status) -> None:
    known = facts(with_lost(lost, "3.9"), with_lost(lost, "3.12"))

    assert run_check(known, settings=ServiceSettings(suite_share=share)).outcome.status is status


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_a_file_that_cannot_be_collected_on_either_side_is_not_checked(interpreter: str) -> None:
    """It does not fail on both, and the verdict says how many there are."""
    outcome = run_check(facts(with_lost(1, "3.9"), with_lost(1, "3.12")), interpreter).outcome

    (finding,) = outcome.findings
    assert outcome.status is Status.PASSED
    assert outcome.reason == "1 of 1 test ran; 1 of 2 test files cannot be collected on either side"
    assert (finding.code, finding.severity, finding.preexisting) == ("PY407", Severity.WARNING, False)
    assert finding.message == (
        "1 test file cannot be collected on 3.9 or 3.12, so nothing in it is checked: ModuleNotFoundError: "
        "No module named 'agent_sdk'"
    )
    assert "agent_sdk" in finding.remedy


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_a_missing_module_that_an_extra_provides_is_reported_as_that(interpreter: str) -> None:
    table = "pyproject.toml [project.optional-dependencies.agent]"
    known = facts(with_lost(1, "3.9"), with_lost(1, "3.12"), optional={"agent-sdk": table})

    (finding,) = run_check(known, interpreter).outcome.findings

    assert finding.message.endswith(f"; agent_sdk is provided by {table}, which is not installed")
    assert finding.remedy == f'add "{table}" to `test-requirements` in the plan'


def test_the_comparison_has_the_files_that_prove_nothing() -> None:
    comparison = run_check(facts(with_lost(1, "3.9"), with_lost(1, "3.12"))).suite_comparison

    assert comparison is not None
    assert (comparison.test_files, comparison.silent_files) == (2, ("tests/test_v.py",))


# ---- a pytest that fails at its start

PLUGIN = """Traceback (most recent call last):
  File "/e/lib/python3.12/site-packages/pyfakefs/fake_pathlib.py", line 40, in <module>
AttributeError: module 'pathlib' has no attribute '_Flavour'"""
DEAD = run_of({}, collection_errors={START_COLLECTOR: PLUGIN})


def test_a_pytest_that_fails_at_its_start_on_the_target_only_is_a_regression() -> None:
    outcome = run_check(facts(WELL, DEAD)).outcome

    (finding,) = outcome.findings
    assert outcome.status is Status.FAILED
    assert (finding.code, finding.names) == ("PY402", (A, B))
    assert finding.message == (
        "2 tests are missing (passes on 3.9): pytest fails at its start: AttributeError: module 'pathlib' has no "
        "attribute '_Flavour'"
    )
    assert "pyfakefs" in finding.remedy


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_a_pytest_that_fails_at_its_start_on_both_could_not_be_checked(interpreter: str) -> None:
    outcome = run_check(facts(replace(DEAD, interpreter=Interpreter(3, 9)), DEAD), interpreter).outcome

    assert outcome.status is Status.ERRORED
    assert "pytest fails at its start (AttributeError: module 'pathlib'" in outcome.reason


def test_a_start_that_fails_once_only_is_flaky() -> None:
    known = facts(WELL, DEAD, again=lambda name, attempt, select: run_of({A: "passed", B: "passed"}, name))

    assert run_check(known).outcome.status is Status.PASSED


def test_a_cause_that_names_the_class_of_its_test_is_one_cause() -> None:
    names = [f"tests/test_x.py::{name}::test_a" for name in ("First", "Second")]
    ends = {name: f"E   AttributeError: '{name.split('::')[1]}' object has no attribute 'runTest'" for name in names}
    broken = run_of(dict.fromkeys(names, "failed") | {B: "passed"}, details=ends)

    (finding,) = run_check(facts(broken, broken)).outcome.findings

    assert (finding.code, finding.names) == ("PY404", tuple(names))
    assert finding.message.startswith("2 tests fail")


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(7, "has_calls")], (7, "write assert_has_calls")),
        ([(7, "has_calls"), (9, "has_calls")], (None, "write assert_has_calls")),
        ([(7, "called_with")], (None, "fix the code")),
    ],
)
def test_a_regression_takes_the_place_and_the_remedy_of_the_source_check(
    places: list[tuple[int, str]], expected: tuple[int | None, str]
) -> None:
    failing = run_of(
        {A: "failed", B: "passed"}, details={A: "E   AttributeError: 'has_calls' is not a valid assertion"}
    )
    source_findings = tuple(
        Finding(
            code="PY206",
            message="it is not an assertion",
            remedy="write assert_has_calls",
            names=(name,),
            location=Location(path="services/user-service/tests/test_x.py", line=line),
        )
        for line, name in places
    )

    outcome = run_check(facts(WELL, failing, inspections={"3.12": AnalysisResult(findings=source_findings)})).outcome

    (finding,) = (finding for finding in outcome.findings if finding.code == "PY401")
    assert finding.location is not None
    assert finding.location.line == expected[0]
    assert finding.remedy.startswith(expected[1])


# ---- further commands of the tests


DOCTEST = FurtherTest(
    text="python -m doctest app.py", words=("python", "-m", "doctest", "app.py"), source="Makefile", line=3
)
FURTHER = Suite(kind=SuiteKind.PYTEST, further=(DOCTEST,))


def with_command(run: SuiteRun, outcome: str, detail: str = "") -> SuiteRun:
    name = DOCTEST.identifier
    return replace(run, commands={name: TestResult(id=name, outcome=outcome, detail=detail)})


FAILING = with_command(WELL, "failed", "exit code 1\n1 items had failures:\n***Test Failed*** 1 failures.\n")


def test_a_further_command_that_fails_on_the_target_only_blocks_at_its_line() -> None:
    judgement = run_check(facts(with_command(WELL, "passed"), FAILING), suite=FURTHER)

    (finding,) = judgement.outcome.findings
    assert (judgement.outcome.status, finding.code, str(finding.location)) == (Status.FAILED, "PY401", "Makefile:3")
    assert finding.names == ("$ python -m doctest app.py",)
    assert finding.message == (
        "1 further test command fails (passes on 3.9): python -m doctest app.py: exit code 1: "
        "***Test Failed*** 1 failures."
    )


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_further_command_that_fails_on_both_proves_nothing(interpreter: str) -> None:
    judgement = run_check(facts(FAILING, FAILING), interpreter, suite=FURTHER)

    (finding,) = judgement.outcome.findings
    assert (judgement.outcome.status, finding.code, finding.severity) == (Status.PASSED, "PY407", Severity.WARNING)
    assert "so the proof does not include it" in finding.message


def test_a_suite_of_which_only_a_further_command_passes_proves_nothing() -> None:
    nothing = with_command(run_of({A: "failed"}), "passed")
    assert run_check(facts(nothing, nothing), suite=FURTHER).outcome.status is Status.ERRORED
