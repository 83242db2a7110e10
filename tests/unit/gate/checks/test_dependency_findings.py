"""A requirement of tests alone whose import fails on the target: the suite says whether it is needed."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_py312.core.model.findings import Finding, Location, Severity
from pytest_py312.core.model.fleet import Cell, RequirementSource, Service
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.gate.checks.dependency_findings import without_unneeded_by_tests
from tests.support.fakes import FakeFacts, cell_of, installation_of, run_of, service

RUN_TIME, TESTS = "svc/requirements.txt", "svc/tests.txt"
OF_TESTS = service(
    requirements=(RequirementSource(path=RUN_TIME),),
    test_requirements=(RequirementSource(path=TESTS),),
    separate_tests=True,
)
FAILING = Finding(code="PY105", message="pg8000 installs, but fails", names=("pg8000",), location=Location(path=TESTS))
PASSED, FAILED = run_of({"test_a": "passed", "test_b": "skipped"}), run_of({"test_a": "failed"})


@dataclass(kw_only=True)
class WithProduction(FakeFacts):
    """Production has an installation of its own."""

    production: Installation | None = None
    fails_on_baseline: bool = False

    def installation(self, cell: Cell) -> Installation:
        is_production = cell.service.name.endswith("+production")
        if not is_production or self.production is None:
            return super().installation(cell)
        return (
            replace(self.production, imports={}) if cell.is_baseline and not self.fails_on_baseline else self.production
        )


def with_modules(made: Installation) -> Installation:
    """Each project has a module of its name."""
    assert made.environment is not None
    modules = {name: (name,) for name in made.environment.versions}
    return replace(made, environment=replace(made.environment, modules=modules))


def judged(of: Service = OF_TESTS, finding: Finding = FAILING, **runs: Any) -> Severity:
    installations = {
        "3.9": runs.pop("baseline_installation", installation_of("3.9")),
        "3.12": installation_of("3.12"),
    }
    suite_runs = {"3.9": PASSED, "3.12": PASSED, **runs.pop("runs", {})}
    facts = WithProduction(
        installations=installations, runs=suite_runs, production=runs.pop("production", None),
        fails_on_baseline=runs.pop("fails_on_baseline", False),
    )  # fmt: skip
    (judged_finding,), is_decided = without_unneeded_by_tests(cell_of("3.12", of), [finding], facts)
    is_whole = all(run.complete for run in suite_runs.values())
    assert is_decided is (is_whole and (of.separate_tests or judged_finding.severity is Severity.ERROR))
    return judged_finding.severity


def test_tests_that_pass_without_it_do_not_need_it() -> None:
    assert judged() is Severity.WARNING


@pytest.mark.parametrize(
    "runs",
    [
        {"3.12": FAILED},
        {"3.9": run_of({"test_a": "passed", "test_b": "passed"})},
        {"3.9": FAILED, "3.12": FAILED},
        {"3.12": replace(PASSED, complete=False)},
        {"3.9": replace(PASSED, complete=False)},
        {"3.12": replace(PASSED, collection_errors={"test_c.py": "ImportError"})},
    ],
)
def test_it_blocks_unless_they_pass_as_on_the_baseline(runs: dict[str, SuiteRun]) -> None:
    """Nothing that passes is no proof, and neither is a run that did not end or lost a file."""
    assert judged(runs=runs) is Severity.ERROR


def test_tests_that_do_not_even_run_on_the_baseline_block_nothing() -> None:
    """They prove nothing on either, which the check of the suite says."""
    assert judged(runs={"3.9": run_of({}), "3.12": run_of({})}) is Severity.WARNING


@pytest.mark.parametrize(
    "baseline",
    [replace(run_of({}), complete=False), replace(run_of({}), commands=PASSED.results)],
    ids=["it did not end", "another command tests the service"],
)
def test_a_baseline_that_may_have_tests_is_no_such_run(baseline: SuiteRun) -> None:
    assert judged(runs={"3.9": baseline, "3.12": run_of({})}) is Severity.ERROR


def test_what_production_is_installed_with_blocks() -> None:
    """In one environment for both, production may require the project through another one, which fails as well."""
    together = replace(OF_TESTS, separate_tests=False)
    failing = installation_of(
        "3.12", {"pool": "1"}, imports={"pool": "ModuleNotFoundError: No module named 'distutils'"}
    )
    assert judged(of=together, production=failing) is Severity.ERROR
    assert judged(of=together, production=failing, fails_on_baseline=True) is Severity.WARNING
    assert judged(of=together, production=replace(failing, environment=None, imports={})) is Severity.ERROR
    assert judged(finding=replace(FAILING, location=Location(path=RUN_TIME))) is Severity.ERROR


def test_production_that_can_be_imported_without_the_tests_does_not_need_their_version() -> None:
    """The tests pin an older one, so that both have it if they are installed together."""
    together = replace(OF_TESTS, separate_tests=False)
    sound = installation_of("3.12", {"pg8000": "1.31"}, imports={"pg8000": ""})
    assert judged(of=together, production=with_modules(sound)) is Severity.WARNING


@pytest.mark.parametrize("is_apart", [True, False])
def test_what_another_project_brings_to_production_was_not_imported_there(is_apart: bool) -> None:
    """It may be imported late: then only the line of the tests shows that it cannot be."""
    made = with_modules(installation_of("3.12", {"pool": "1", "pg8000": "1.20"}, imports={"pool": ""}))
    assert judged(of=replace(OF_TESTS, separate_tests=is_apart), production=made) is Severity.ERROR


def test_without_a_suite_or_a_baseline_nothing_shows_it() -> None:
    assert judged(of=replace(OF_TESTS, suite=None)) is Severity.ERROR
    assert judged(baseline_installation=replace(installation_of("3.9"), environment=None)) is Severity.ERROR


def test_another_finding_is_not_for_the_suite_to_judge() -> None:
    assert judged(finding=replace(FAILING, code="PY104")) is Severity.ERROR
