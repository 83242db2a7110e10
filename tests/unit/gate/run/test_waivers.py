"""Waived findings are reported and do not block; an unused waiver is an error."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, Status
from pytest_py312.core.model.plan import Waiver
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.run.waivers import apply_waivers, waivers_for
from tests.support.fakes import service

SUITE = next(check.codes for check in CHECKS if check.name == "suite")
DEPENDENCIES = next(check.codes for check in CHECKS if check.name == "dependencies")


def waiver(**what: Any) -> Waiver:
    return Waiver(**{"service": "user-service", "reason": "r", "owner": "ada", "until": date(2030, 1, 1), **what})


def outcome(*findings: Finding, check: str = "suite") -> Outcome:
    return Outcome.from_findings(service="user-service", interpreter=Interpreter(3, 12), check=check, findings=findings)


def failing(*names: str, code: str = "PY401", **more: Any) -> Finding:
    return Finding(code=code, message=f"{len(names)} tests fail", names=names, **more)


def applied(found: Outcome, *waivers: Waiver, codes: tuple[str, ...] = SUITE, is_target: bool = True) -> Outcome:
    return apply_waivers(found, waivers, codes, is_target=is_target)


def test_waivers_match_services_by_name_path_or_glob() -> None:
    mine = [waiver(code="PY105", service=text) for text in ("user-service", "services/user-service", "services/*")]
    others = [waiver(code="PY105", service="billing"), waiver(code="PY105", service="other/*")]

    assert waivers_for([*mine, *others], service()) == tuple(mine)


def test_a_waived_code_does_not_block_and_is_still_reported() -> None:
    found = applied(outcome(failing("t::a")), waiver(code="PY401"))

    assert found.status is Status.PASSED
    assert [finding.waived for finding in found.findings] == [True]


def test_a_failure_that_could_not_check_everything_proves_nothing_once_it_is_waived() -> None:
    incomplete = outcome(failing("t::a")).with_unchecked("5 of 6 test files cannot be collected")
    assert (incomplete.status, incomplete.reason) == (Status.FAILED, "1 tests fail")

    found = applied(incomplete, waiver(code="PY401"))

    assert (found.status, found.reason) == (Status.ERRORED, "5 of 6 test files cannot be collected")


def test_a_passed_outcome_keeps_its_reason() -> None:
    flaky = failing("t::a", code="PY403", severity=Severity.WARNING)
    passed = replace(outcome(flaky), reason="5 of 6 tests ran")

    assert applied(passed, waiver(code="PY403")).reason == "5 of 6 tests ran"


def test_a_waived_test_leaves_the_others_of_its_finding() -> None:
    found = applied(outcome(failing("t::a", "t::b", "u::c")), waiver(test="t::*"))

    assert found.status is Status.FAILED
    assert [(finding.names, finding.waived) for finding in found.findings] == [
        (("t::a", "t::b"), True),
        (("u::c",), False),
    ]


def test_all_tests_waived_pass() -> None:
    found = applied(outcome(failing("t::a", "u::b")), waiver(test="t::a"), waiver(test="u::b"))

    assert found.status is Status.PASSED
    assert all(finding.waived for finding in found.findings)


def test_a_waiver_of_a_test_is_no_waiver_of_a_distribution() -> None:
    """The names in findings on dependencies are projects, which ``test = "*"`` does not match."""
    found = applied(outcome(failing("numpy", code="PY104"), check="dependencies"), waiver(test="*"), codes=DEPENDENCIES)

    assert found.status is Status.FAILED
    assert not found.findings[0].waived


@pytest.mark.parametrize("what", [{"code": "PY401"}, {"test": "t::gone"}])
def test_an_unused_waiver_fails_on_the_target(what: dict[str, str]) -> None:
    where = Location(path="py312.toml", line=7)

    found = applied(outcome(), waiver(**what, location=where))

    assert found.status is Status.FAILED
    (finding,) = found.findings
    assert (finding.code, finding.location) == ("PY901", where)
    assert "ada" in finding.message
    assert "not needed any more" in finding.message


def test_a_misspelt_test_is_answered_with_the_one_that_fails() -> None:
    name = "tests/test_rows.py::test_order"
    found = applied(outcome(failing(name)), waiver(test="tests/test_row.py::test_order"))
    (finding,) = (one for one in found.findings if one.code == "PY901")
    assert finding.message.endswith(f'matches no test that fails, perhaps you meant "{name}"')
    assert finding.remedy == "correct it, or remove it from the plan"


def test_an_unused_waiver_is_no_finding_before_the_target() -> None:
    found = outcome()

    assert applied(found, waiver(code="PY401"), is_target=False) is found


def test_an_unused_waiver_concerns_one_check_only() -> None:
    for codes, count in ((SUITE, 0), (DEPENDENCIES, 1)):
        assert len(applied(outcome(), waiver(code="PY105"), codes=codes).findings) == count
    for codes, count in ((SUITE, 1), (DEPENDENCIES, 0)):
        assert len(applied(outcome(), waiver(test="t::a"), codes=codes).findings) == count


def test_an_errored_outcome_stays_errored_and_makes_no_waiver_unused() -> None:
    errored = Outcome.errored(
        service="user-service", interpreter=Interpreter(3, 12), check="suite", reason="no", findings=[failing("t::a")]
    )

    found = applied(errored, waiver(code="PY401"), waiver(test="u::b"))

    assert (found.status, found.reason) == (Status.ERRORED, "no")
    assert [finding.waived for finding in found.findings] == [True]


@pytest.mark.parametrize("code", ["PY101", "PY701"])
def test_what_cannot_be_installed_or_built_stays_failed_with_a_waived_finding(code: str) -> None:
    broken = failing("numpy", code=code, preexisting=True)
    other = failing("redis", code="PY105")
    outcome_of_dependencies = Outcome(
        service="user-service",
        interpreter=Interpreter(3, 12),
        check="dependencies",
        status=Status.FAILED,
        reason="as on 3.9",
        findings=(broken, other),
    )

    assert applied(outcome_of_dependencies, waiver(code="PY105"), codes=DEPENDENCIES).status is Status.FAILED


def test_other_fields_of_an_outcome_are_unchanged() -> None:
    found = outcome(failing("t::a"))

    assert applied(found) is found
    assert applied(found, waiver(code="PY401")).service == "user-service"
