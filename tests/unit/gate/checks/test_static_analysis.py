"""The checks by static analysis, with fake facts."""

from dataclasses import replace

import pytest

from pytest_py312.analysis.services.service_analysis import AnalysisResult
from pytest_py312.core.model.findings import Confidence, Finding, Severity, Status
from pytest_py312.core.model.fleet import Cell, RequirementSource
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.gate.checks.static_analysis import LibraryCheck, SourceCheck
from tests.support.fakes import FakeFacts, cell_of, installation_of, service

BROKEN = Finding(code="PY240", message="nose 1.3.7 fails when it is imported", names=("nose",))
NOTE = Finding(code="PY242", message="nose 1.3.7 uses what is gone", severity=Severity.NOTE, names=("nose",))


def test_an_error_blocks_and_a_note_does_not() -> None:
    check = LibraryCheck()
    broken = FakeFacts(library_inspections={"3.12": AnalysisResult(findings=(BROKEN, NOTE))})
    noted = FakeFacts(library_inspections={"3.12": AnalysisResult(findings=(NOTE,))})
    assert check.run(cell_of(), broken).outcome.status is Status.FAILED
    outcome = check.run(cell_of(), noted).outcome
    assert (outcome.status, outcome.findings, outcome.interpreter) == (Status.PASSED, (NOTE,), None)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_what_is_only_likely_is_a_warning(interpreter: str) -> None:
    """It may be wrong, and the service's tests show whether it is."""
    likely = Finding(code="PY206", message="called_once is not an assertion", confidence=Confidence.LIKELY)
    facts = FakeFacts(inspections={interpreter: AnalysisResult(findings=(likely,))})

    outcome = SourceCheck().run(cell_of(interpreter), facts).outcome

    assert outcome.status is Status.PASSED
    assert outcome.findings == (replace(likely, severity=Severity.WARNING),)


def test_an_incomplete_analysis_is_errored() -> None:
    facts = FakeFacts(
        library_inspections={"3.12": AnalysisResult(unchecked_reason="CPython 3.12.1 could not be asked")}
    )
    outcome = LibraryCheck().run(cell_of(), facts).outcome
    assert (outcome.status, outcome.reason) == (Status.ERRORED, "CPython 3.12.1 could not be asked")


def test_a_failure_of_an_incomplete_analysis_is_not_kept() -> None:
    partial = AnalysisResult(findings=(BROKEN,), unchecked_reason="CPython 3.12.1 could not be asked")
    whole = FakeFacts(library_inspections={"3.12": replace(partial, unchecked_reason="")})

    failed = LibraryCheck().run(cell_of(), FakeFacts(library_inspections={"3.12": partial}))
    assert not failed.is_kept
    assert (failed.outcome.status, failed.outcome.unchecked) == (Status.FAILED, partial.unchecked_reason)
    assert LibraryCheck().run(cell_of(), whole).is_kept


def test_without_an_installation_the_outcome_is_errored() -> None:
    facts = FakeFacts(installations={"3.12": installation_of(environment=None, unchecked="the index does not answer")})
    outcome = LibraryCheck().run(cell_of(), facts).outcome
    assert outcome.status is Status.ERRORED
    assert outcome.reason == "nothing is installed on 3.12: the index does not answer"


def test_the_codes_are_those_of_its_findings() -> None:
    assert set(LibraryCheck.codes) == {"PY120", "PY121", "PY240", "PY241", "PY242", "PY243", "PY244"}


def test_an_incomplete_environment_proves_nothing() -> None:
    """What fails in it has been seen to fail."""
    incomplete = {"3.12": installation_of(incomplete="svc/vendored does not build on 3.12: no")}
    quiet = FakeFacts(installations=incomplete)
    broken = FakeFacts(installations=incomplete, library_inspections={"3.12": AnalysisResult(findings=(BROKEN,))})

    outcome = LibraryCheck().run(cell_of(), quiet).outcome

    assert outcome.status is Status.ERRORED
    assert outcome.reason.endswith("svc/vendored does not build on 3.12: no")
    result = LibraryCheck().run(cell_of(), broken)
    assert (result.outcome.status, result.is_kept) == (Status.FAILED, False)


def test_production_is_analyzed_where_the_requirements_of_tests_cannot_be_installed() -> None:
    """Such an outcome is about a part of what is installed, and not kept for later runs."""
    of = service(test_requirements=(RequirementSource(path="services/user-service/test.txt"),))

    class WithoutTests(FakeFacts):
        def installation(self, cell: Cell) -> Installation:
            return Installation(unchecked="no network") if cell.service.test_requirements else installation_of()

    result = LibraryCheck().run(cell_of("3.12", of), WithoutTests())
    broken = LibraryCheck().run(
        cell_of("3.12", of), WithoutTests(library_inspections={"3.12": AnalysisResult(findings=(BROKEN,))})
    )

    assert (result.outcome.status, result.outcome.service, result.is_kept) == (Status.PASSED, "user-service", False)
    assert broken.outcome.status is Status.FAILED
    assert LibraryCheck().run(cell_of("3.12"), FakeFacts()).is_kept


@pytest.mark.parametrize("is_installed", [True, False])
def test_what_was_not_analyzed_of_separate_tests_is_not_kept(is_installed: bool) -> None:
    """Where production could not be installed, the environment of the tests says nothing about its libraries."""
    of = service(
        requirements=(RequirementSource(path="services/user-service/requirements.txt"),),
        test_requirements=(RequirementSource(path="services/user-service/test.txt"),),
        separate_tests=True,
    )

    class WithProduction(FakeFacts):
        def installation(self, cell: Cell) -> Installation:
            is_there = is_installed or cell.service.test_requirements
            return installation_of() if is_there else Installation(unchecked="no network")

    result = LibraryCheck().run(cell_of("3.12", of), WithProduction())

    assert (result.outcome.status, result.is_kept) == (Status.PASSED, is_installed)
