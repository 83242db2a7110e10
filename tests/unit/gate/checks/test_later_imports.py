"""PY408: what a service imports only once it runs, and what only the baseline can import."""

from dataclasses import replace

import pytest

from pytest_py312.core.model.findings import Location, Status
from pytest_py312.gate.checks.suite import SuiteCheck
from tests.support.fakes import INTERPRETERS, FakeFacts, cell_of, run_of, service

TRACEBACK = """\
Traceback (most recent call last):
  File "/scratch/repository/services/user-service/app/geo.py", line 11, in <module>
TypeError: unexpected keyword argument 'bucket'"""
RUNS = {name: run_of({"t.py::test": "passed"}, name) for name in INTERPRETERS}


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_module_that_only_the_baseline_can_import_blocks_on_the_target(interpreter: str) -> None:
    facts = FakeFacts(runs=RUNS, later={"app.geo": TRACEBACK})
    outcome = SuiteCheck().run(cell_of(interpreter), facts).outcome
    assert outcome.status is (Status.FAILED if interpreter == INTERPRETERS[-1] else Status.PASSED)
    assert [(finding.code, finding.names, finding.location) for finding in outcome.findings] == (
        [("PY408", ("app.geo",), Location(path="services/user-service/app/geo.py", line=11))]
        if interpreter == INTERPRETERS[-1]
        else []
    )


def test_without_a_line_of_the_service_in_the_traceback_the_import_is_the_place() -> None:
    """A library fails in its own code: where the service imports it is the line to change."""
    traceback = (
        'Traceback (most recent call last):\n  File "/env/boto/__init__.py", line 3, in <module>\nImportError: no'
    )
    outcome = SuiteCheck().run(cell_of("3.12"), FakeFacts(runs=RUNS, later={"boto": traceback})).outcome
    assert [finding.location for finding in outcome.findings] == [Location(path="app/main.py", line=7)]


def test_what_the_suite_has_imported_is_proven() -> None:
    runs = {name: replace(run, imported_files=("app.geo",)) for name, run in RUNS.items()}
    assert SuiteCheck().run(cell_of("3.12"), FakeFacts(runs=runs, later={"app.geo": TRACEBACK})).outcome.status is (
        Status.PASSED
    )


def test_without_a_suite_it_blocks_as_well() -> None:
    """The cause is worth more than that no tests were found."""
    outcome = SuiteCheck().run(cell_of("3.12", service(suite=None)), FakeFacts(later={"app.geo": TRACEBACK})).outcome
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("app.geo, which the service imports once it runs, cannot be imported on 3.12")


def test_a_suite_that_fails_says_why_itself() -> None:
    """What cannot be imported fails in its tests as well."""
    runs = {**RUNS, "3.12": run_of({"t.py::test": "failed"}, "3.12")}
    outcome = SuiteCheck().run(cell_of("3.12"), FakeFacts(runs=runs, later={"app.geo": TRACEBACK})).outcome
    assert [finding.code for finding in outcome.findings] == ["PY401"]
