"""The check of what is installed, with facts made by hand."""

from pytest_py312.analysis.services.service_analysis import Inspection
from pytest_py312.core.model.findings import Finding, Severity, Status
from pytest_py312.gate.checks.static_analysis import Libraries
from tests.support.fakes import FakeFacts, cell_of, installation_of

BROKEN = Finding(code="PY240", message="nose 1.3.7 fails when it is imported", names=("nose",))
NOTE = Finding(code="PY242", message="nose 1.3.7 uses what is gone", severity=Severity.NOTE, names=("nose",))


def test_what_is_broken_blocks_and_a_note_does_not() -> None:
    check = Libraries()
    broken = FakeFacts(library_inspections={"3.12": Inspection(findings=(BROKEN, NOTE))})
    noted = FakeFacts(library_inspections={"3.12": Inspection(findings=(NOTE,))})
    assert check.judge(cell_of(), broken).outcome.status is Status.FAILED
    outcome = check.judge(cell_of(), noted).outcome
    assert (outcome.status, outcome.findings, outcome.interpreter) == (Status.PASSED, (NOTE,), None)


def test_what_could_not_be_found_out_is_no_pass() -> None:
    facts = FakeFacts(library_inspections={"3.12": Inspection(unchecked="CPython 3.12.1 could not be asked")})
    outcome = Libraries().judge(cell_of(), facts).outcome
    assert (outcome.status, outcome.reason) == (Status.ERRORED, "CPython 3.12.1 could not be asked")


def test_without_an_installation_nothing_is_known() -> None:
    facts = FakeFacts(installations={"3.12": installation_of(environment=None, unchecked="the index does not answer")})
    outcome = Libraries().judge(cell_of(), facts).outcome
    assert outcome.status is Status.ERRORED
    assert outcome.reason == "nothing is installed on 3.12: the index does not answer"


def test_the_codes_are_those_of_its_findings() -> None:
    assert set(Libraries.codes) == {"PY120", "PY121", "PY240", "PY241", "PY242", "PY243"}
