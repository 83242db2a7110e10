"""What other plugins change of findings, before waivers and known findings are applied."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Finding, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.dependencies import PREVENT_INSTALLATION
from pytest_py312.gate.run.finalization import Finalizer, HookFailure, SourceLines
from pytest_py312.gate.run.tasks import CheckTask
from tests.support.fakes import cell_of
from tests.support.report_samples import errored, finding, judged


def lower(service: Service, found: Finding) -> Finding:
    return replace(found, severity=Severity.WARNING, lowered_from=found.severity, lowered_by="a plugin")


def fail(service: Service, found: Finding) -> Finding:
    raise HookFailure("the hook of a plugin failed")


def finalized(outcome: Outcome, change: Callable[[Service, Finding], Finding] | None) -> Outcome:
    finalizer = Finalizer(
        waivers=(), known_findings={}, source_lines=SourceLines(Path("/nowhere")), change_finding=change
    )
    return finalizer.finalize(outcome, CheckTask(cell=cell_of(), check=CHECKS[0]), is_target=True)


def test_a_severity_that_is_lowered_does_not_block() -> None:
    outcome = finalized(judged(finding("PY203")), lower)

    assert outcome.status is Status.PASSED
    assert outcome.findings[0].lowered_from is Severity.ERROR


@pytest.mark.parametrize("code", sorted(PREVENT_INSTALLATION))
def test_a_set_that_cannot_be_installed_fails_all_the_same(code: str) -> None:
    """Nothing of it was proven, also where a plugin tolerates that."""
    assert finalized(judged(finding(code), check="dependencies"), lower).status is Status.FAILED


def test_what_could_not_be_checked_stays_so() -> None:
    unknown = replace(errored("the index did not answer"), findings=(finding(),))

    assert finalized(unknown, lower).status is Status.ERRORED


def test_a_hook_that_fails_proves_nothing() -> None:
    outcome = finalized(judged(finding(severity=Severity.NOTE)), fail)

    assert (outcome.status, outcome.reason) == (Status.ERRORED, "the hook of a plugin failed")


def test_without_plugins_nothing_changes() -> None:
    outcome = judged(finding("PY203", path="missing.py"))

    assert finalized(outcome, None) == outcome


def name_owner(service: Service, found: Finding) -> Finding:
    return replace(found, owner="accounts team")


@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.NOTE])
def test_an_owner_makes_no_failure_pass(severity: Severity) -> None:
    """A check may fail without a finding that blocks: an image that cannot be built on the baseline either."""
    found = finding("PY701", severity=severity, preexisting=True)
    failed = replace(judged(found), status=Status.FAILED, reason="it cannot be built (also fails on 3.9)")

    outcome = finalized(failed, name_owner)

    assert (outcome.status, outcome.reason) == (Status.FAILED, "it cannot be built (also fails on 3.9)")
    assert outcome.findings[0].owner == "accounts team"
