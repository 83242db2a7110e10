"""PY4xx from runs made by hand: what blocks, what is shown, and what cannot be told."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_py312.core.model.findings import Interpreter, Severity, Status
from pytest_py312.core.model.measurements import SuiteRun, SuiteWarning
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.dependencies.installation.installer import Installation
from pytest_py312.gate.checks.check import Judgement
from pytest_py312.gate.checks.suite import SuiteCheck
from tests.support.fakes import FakeFacts, cell_of, installation_of, run_of, service

A, B = "tests/test_x.py::test_a", "tests/test_x.py::test_b"
WELL = run_of({A: "passed", B: "passed"})
TRACEBACK = "E   AttributeError: module 'inspect' has no attribute 'getargspec'\n\ntests/test_x.py:7: AttributeError"
WORSE = run_of({A: "failed", B: "passed"}, details={A: TRACEBACK})


def facts(baseline: SuiteRun, target: SuiteRun, between: SuiteRun | None = None, **more: Any) -> FakeFacts:
    return FakeFacts(runs={"3.9": baseline, "3.10": between or baseline, "3.12": target}, **more)


def judge(known: FakeFacts, interpreter: str = "3.12", **changes: Any) -> Judgement:
    return SuiteCheck().judge(cell_of(interpreter, service(**changes)), known)


def told(judgement: Judgement) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.code, finding.names) for finding in judgement.outcome.findings]


# ---- verdicts


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_suite_that_passes_everywhere_passes(interpreter: str) -> None:
    judgement = judge(facts(WELL, WELL), interpreter)

    assert judgement.outcome.status is Status.PASSED
    assert told(judgement) == []


def test_what_newly_fails_blocks_with_its_place_and_remedy() -> None:
    judgement = judge(facts(WELL, WORSE))

    (finding,) = judgement.outcome.findings
    assert judgement.outcome.status is Status.FAILED
    assert (finding.code, finding.names) == ("PY401", (A,))
    assert str(finding.location) == "services/user-service/tests/test_x.py:7"
    assert "has no attribute 'getargspec'" in finding.message
    assert "inspect.signature" in finding.remedy
    assert judgement.comparison is not None
    assert judgement.comparison.newly_failing == (A,)


@pytest.mark.parametrize("outcome", ["skipped", "xfailed", None])
def test_what_does_not_run_any_more_blocks(outcome: str | None) -> None:
    target = run_of({B: "passed", **({A: outcome} if outcome else {})})

    judgement = judge(facts(WELL, target))

    assert judgement.outcome.status is Status.FAILED
    assert told(judgement) == [("PY402", (A,))]


def test_what_fails_on_both_is_shown_and_does_not_block() -> None:
    judgement = judge(facts(WORSE, WORSE))

    assert judgement.outcome.status is Status.PASSED
    assert told(judgement) == [("PY404", (A,))]


def test_what_does_not_fail_again_is_flaky_and_does_not_block() -> None:
    known = facts(WELL, WORSE, again=lambda name, attempt, select: run_of({A: "passed"}, name))

    judgement = judge(known)

    assert judgement.outcome.status is Status.PASSED
    assert [(found.code, found.severity) for found in judgement.outcome.findings] == [("PY403", Severity.WARNING)]


def test_a_suspect_is_run_again_as_often_as_the_plan_says() -> None:
    known = facts(WELL, WORSE)
    known.plan = Plan(root=known.plan.root, reruns=3)

    judge(known)

    assert [attempt for name, attempt, select in known.asked if name == "3.12" and select] == [1, 2, 3]


def test_tests_that_die_of_the_same_line_are_told_together() -> None:
    both = run_of({A: "failed", B: "failed"}, details={A: "E   ValueError: x", B: "E   ValueError: x"})

    assert told(judge(facts(WELL, both))) == [("PY401", (A, B))]


def test_a_file_that_cannot_be_collected_takes_its_tests_along() -> None:
    lost = run_of({}, collection_errors={"tests/test_x.py": "E   ModuleNotFoundError: No module named 'imp'"})

    judgement = judge(facts(WELL, lost))

    assert judgement.outcome.status is Status.FAILED
    assert {name for finding in judgement.outcome.findings for name in finding.names} == {A, B}
    assert "importlib" in judgement.outcome.findings[0].remedy


# ---- the interpreters between, and the way back


def test_the_first_bad_interpreter_is_found() -> None:
    judgement = judge(facts(WELL, WORSE, between=WORSE))

    assert judgement.comparison is not None
    assert judgement.comparison.first_bad == {A: Interpreter(3, 10)}


def test_a_regression_only_in_between_is_a_note() -> None:
    judgement = judge(facts(WELL, WELL, between=WORSE), "3.10")

    assert judgement.outcome.status is Status.PASSED
    assert [found.severity for found in judgement.outcome.findings] == [Severity.NOTE]


def test_a_regression_in_between_that_the_target_has_as_well_blocks() -> None:
    assert judge(facts(WELL, WORSE, between=WORSE), "3.10").outcome.status is Status.FAILED


def test_code_that_is_too_new_for_the_baseline_blocks_there() -> None:
    """There would be no way back."""
    before = run_of(
        {A: "failed", B: "passed"}, details={A: "E   ImportError: cannot import name 'UTC' from 'datetime'"}
    )

    judgement = judge(facts(before, WELL), "3.9")

    assert judgement.outcome.status is Status.FAILED
    assert told(judgement) == [("PY405", (A,))]


def test_what_else_fails_on_the_baseline_is_a_note_there() -> None:
    before = run_of({A: "failed", B: "passed"}, details={A: "E   AssertionError: assert 1 == 2"})

    judgement = judge(facts(before, WELL), "3.9")

    assert judgement.outcome.status is Status.PASSED
    assert told(judgement) == [("PY404", (A,))]


def test_a_service_that_is_on_its_target_already_fails_for_what_fails() -> None:
    known = FakeFacts(interpreters=("3.12",), runs={"3.12": WORSE})

    judgement = judge(known, "3.12", baseline=Interpreter(3, 12))

    assert judgement.outcome.status is Status.FAILED
    assert told(judgement) == [("PY401", (A,))]


# ---- what cannot be told is never a pass

BROKEN_OFF = run_of({A: "passed"}, complete=False, trouble="time limit of 900 s reached")
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

    outcome = judge(known, interpreter).outcome

    assert outcome.status is Status.ERRORED
    assert word in outcome.reason


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize("end", ["failed", "error", "xfailed"])
def test_a_suite_of_which_no_test_passes_proves_nothing(end: str, interpreter: str) -> None:
    """All of it fails on both where its database is not there."""
    lost = run_of({A: end, B: end}, details={A: "E   OSError: no database"})

    outcome = judge(facts(lost, lost), interpreter).outcome

    assert outcome.status is Status.ERRORED
    assert "no test of services/user-service passes on 3.9 or 3.1" in outcome.reason


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_a_suite_that_passes_on_the_target_alone_is_not_blocked_for_it(interpreter: str) -> None:
    lost = run_of({A: "failed"}, details={A: "E   OSError: broken before"})

    assert judge(facts(lost, run_of({A: "passed"})), interpreter).outcome.status is Status.PASSED


@pytest.mark.parametrize("run", [BROKEN_OFF, NOTHING, ALL_SKIPPED])
def test_without_a_baseline_there_is_nothing_to_compare_with(run: SuiteRun) -> None:
    outcome = judge(facts(run, WELL, between=WELL)).outcome

    assert outcome.status is Status.ERRORED
    assert "nothing to compare with" in outcome.reason


@pytest.mark.parametrize("interpreter", ["3.9", "3.12"])
def test_without_an_environment_on_either_side_nothing_is_told(interpreter: str) -> None:
    known = facts(WELL, WELL, installations={interpreter: Installation(unchecked="no network")})

    outcome = judge(known).outcome

    assert outcome.status is Status.ERRORED
    assert "no network" in outcome.reason


def test_a_service_without_tests_is_errored_and_told_what_to_do() -> None:
    outcome = judge(FakeFacts(), suite=None).outcome

    assert outcome.status is Status.ERRORED
    assert "`suite = false` with a reason" in outcome.reason


def test_a_suite_that_the_plan_leaves_out_is_skipped_with_its_reason() -> None:
    settings = ServiceSettings(suite_skip_reason="needs a GPU")

    outcome = judge(FakeFacts(), suite=None, settings=settings).outcome

    assert (outcome.status, outcome.reason) == (Status.SKIPPED, "needs a GPU")


# ---- what else is told


def test_libraries_that_differ_between_the_sides_are_named_as_a_possible_cause() -> None:
    sides = {"3.9": installation_of("3.9", {"numpy": "1.21.6"}), "3.12": installation_of("3.12", {"numpy": "1.26.4"})}

    (finding,) = judge(facts(WELL, WORSE, installations=sides)).outcome.findings

    assert "numpy 1.21.6 -> 1.26.4" in finding.detail


def test_a_comparison_counts_every_interpreter_up_to_its_own() -> None:
    comparison = judge(facts(WELL, WORSE)).comparison

    assert comparison is not None
    assert {str(interpreter) for interpreter in comparison.counts} == {"3.9", "3.10", "3.12"}


def test_no_traceback_crashes_the_telling() -> None:
    for detail in ("", "\n", "E", "E   ", "x" * 100_000, "\ud800", "tests/test_x.py:99999999999: "):
        run = replace(WORSE, results=run_of({A: "failed", B: "passed"}, details={A: detail}).results)
        judgement = judge(facts(WELL, run))
        assert told(judgement) == [("PY401", (A,))]
        assert len(judgement.outcome.findings[0].message) < 2000


# ---- what older interpreters warn of


GONE = SuiteWarning(
    category="DeprecationWarning",
    message="the imp module is deprecated and slated for removal in Python 3.12",
    origin="/env/lib/python3.9/site-packages/old_lib.py:7",
)
WARNED = replace(WELL, warnings=(GONE,))


def warnings_in(judgement: Judgement) -> list[tuple[str, Severity]]:
    return [(one.code, one.severity) for one in judgement.outcome.findings if one.code.startswith("PY2")]


def test_a_warning_of_the_baseline_is_told_on_the_target_alone() -> None:
    """Where nothing is worse there, it is a note; it never blocks."""
    known = facts(WARNED, WELL)
    assert [warnings_in(judge(known, one)) for one in ("3.9", "3.10", "3.12")] == [[], [], [("PY250", Severity.NOTE)]]
    assert judge(known).outcome.status is Status.PASSED
    assert warnings_in(judge(facts(WARNED, WORSE))) == [("PY250", Severity.WARNING)]


def test_so_is_one_of_the_interpreter_before_the_target() -> None:
    """That of both is told once."""
    assert warnings_in(judge(facts(WELL, WELL, WARNED))) == [("PY250", Severity.NOTE)]
    assert warnings_in(judge(facts(WARNED, WELL, WARNED))) == [("PY250", Severity.NOTE)]


def test_where_the_suite_cannot_run_on_the_target_it_is_the_only_foreboding() -> None:
    nowhere = installation_of("3.12", environment=None)
    known = facts(WARNED, WELL, installations={"3.12": nowhere})
    judgement = judge(known)
    assert judgement.outcome.status is Status.ERRORED
    assert warnings_in(judgement) == [("PY250", Severity.WARNING)]
    broken_off = judge(facts(WARNED, replace(WELL, complete=False, trouble="it was killed")))
    assert broken_off.outcome.status is Status.ERRORED
    assert warnings_in(broken_off) == [("PY250", Severity.WARNING)]


def test_a_suite_that_dies_of_something_known_says_what_to_do() -> None:
    said = 'Traceback (most recent call last):\nTypeError: required field "lineno" missing from alias\n'
    dead = replace(run_of({}, "3.12"), complete=False, trouble="the process ended early", output_tail=said)

    judged = judge(facts(WELL, dead))

    assert judged.outcome.reason.endswith("pytest before 6.2.4 cannot read tests from 3.10 on: require a newer one)")
