"""What blocks most: causes that services share, their consequences, and what the removal of each achieves."""

from dataclasses import replace

import pytest

from pytest_py312.core.model.findings import Finding, SpecifierChange
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.blockers import Blocker, blockers
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY312, errored, finding, judged, large_report, report_of

SERVICES = [service(name) for name in ("auth", "billing", "search")]
REMEDY = "pyyaml==6.0 -> pyyaml==6.0.1 (verified: resolves, installs and imports on 3.12)"


def pyyaml(path: str, old: str = "==6.0") -> Finding:
    return Finding(
        code="PY104",
        message=f"pyyaml{old}: no wheel for 3.12",
        remedy=REMEDY,
        names=("pyyaml",),
        changes=(SpecifierChange(path=path, line=1, name="pyyaml", old=old, new="==6.0.1"),),
        source_line=f"PyYAML{old}  # pinned",
    )


def failing_test(message: str) -> Finding:
    return Finding(code="PY401", message=message, names=("tests/test_a.py::test_a",))


def causes(*outcomes: object) -> list[Blocker]:
    return blockers(report_of(*outcomes, services=SERVICES))  # type: ignore[arg-type]


def test_the_same_project_in_several_services_is_one_cause() -> None:
    [cause] = causes(
        judged(pyyaml("a"), of="billing", check="dependencies"), judged(pyyaml("b"), of="auth", check="dependencies")
    )
    assert (cause.title, cause.code, cause.services, cause.freed) == (
        "PyYAML 6.0",
        "PY104",
        ("auth", "billing"),
        ("auth", "billing"),
    )
    assert (cause.remedy, cause.has_one_remedy, cause.is_fixable) == (REMEDY, True, True)


def test_a_project_with_several_versions_is_named_without_one() -> None:
    [cause] = causes(
        judged(pyyaml("a"), of="auth", check="dependencies"),
        judged(pyyaml("b", "==5.4"), of="billing", check="dependencies"),
    )
    assert cause.title == "PyYAML"


def test_what_frees_most_services_is_first() -> None:
    """Of two causes that block as many services, and of one that blocks more but frees none."""
    shared = replace(finding(), location=None)
    result = causes(
        *(judged(shared, of=name) for name in ("auth", "billing", "search")),
        *(judged(pyyaml("a"), of=name, check="dependencies") for name in ("auth", "billing")),
    )
    assert [(cause.title, len(cause.services), cause.freed) for cause in result] == [
        ("asyncio.coroutine", 3, ("search",)),
        ("PyYAML 6.0", 2, ()),
    ]


@pytest.mark.parametrize(
    "message",
    ["2 tests fail (passes on 3.9): AttributeError: module 'asyncio' has no attribute 'coroutine'", "see coroutine"],
)
def test_a_test_that_fails_because_of_another_finding_is_no_cause(message: str) -> None:
    [cause] = causes(judged(finding(), of="auth"), judged(failing_test(message), of="auth", check="suite"))
    assert (cause.title, cause.freed) == ("asyncio.coroutine", ("auth",))


def test_tests_that_fail_with_the_same_error_have_one_cause() -> None:
    error = "AttributeError: module 'datetime' has no attribute 'UTC'"
    [cause] = causes(
        judged(failing_test(f"1 test fails (passes on 3.9): {error}"), of="auth", check="suite"),
        judged(failing_test(f"7 tests fail (passes on 3.9): {error}"), of="search", check="suite"),
    )
    assert (cause.title, cause.services) == (error, ("auth", "search"))


def test_tests_without_a_common_error_are_kept_apart() -> None:
    missing = failing_test("1 test is missing (passes on 3.9): the test no longer exists")
    result = causes(judged(missing, of="auth", check="suite"), judged(missing, of="search", check="suite"))
    assert [cause.services for cause in result] == [("auth",), ("search",)]


def test_what_could_not_be_checked_counts_only_where_nothing_else_blocks() -> None:
    [first, second] = causes(
        judged(pyyaml("a"), of="auth", check="dependencies"),
        errored("nothing is installed", of="auth"),
        errored("the engine was lost", of="billing"),
        errored("the engine was lost", of="search", on=PY39),
    )
    assert (first.title, first.code, first.services) == ("the engine was lost", "", ("billing", "search"))
    assert (second.title, second.freed) == ("PyYAML 6.0", ("auth",))


def test_what_does_not_block_is_no_cause() -> None:
    assert causes(judged(replace(finding(), waived=True), of="auth"), judged(of="billing", on=PY312)) == []


def test_each_blocked_service_of_a_large_report_has_a_cause() -> None:
    report: Report = large_report(80)
    blocked = {outcome.service for outcome in report.outcomes if outcome.status.value in ("failed", "errored")}
    assert {name for cause in blockers(report) for name in cause.services} == blocked
