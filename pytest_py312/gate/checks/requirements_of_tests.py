"""Judge a requirement that only tests have by these tests: its import may fail where none of them needs it."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.gate.checks.check import Facts


def without_unneeded_by_tests(cell: Cell, findings: Sequence[Finding], facts: Facts) -> list[Finding]:
    """Return ``findings``, with a failing import as a warning if only tests require the project and pass without it.

    They have to pass as on the baseline: the suite is run first if there is such a finding.
    """
    suspects = [finding for finding in findings if finding.code == "PY105" and finding.blocks]
    suspects = [finding for finding in suspects if _is_only_of_tests(cell, finding, facts)]
    if not suspects or cell.is_baseline or cell.service.suite is None:
        return list(findings)
    if any(facts.installation(each).environment is None for each in (cell, cell.baseline_cell)):
        return list(findings)
    if not _pass_alike(facts.suite_run(cell), facts.suite_run(cell.baseline_cell)):
        return list(findings)
    return [
        replace(
            finding,
            severity=Severity.WARNING,
            message=f"{finding.message} (only tests require it, and they pass without it)",
        )
        if finding in suspects
        else finding
        for finding in findings
    ]


def _is_only_of_tests(cell: Cell, finding: Finding, facts: Facts) -> bool:
    """Whether files of tests alone have each project that a finding is about.

    Where tests run in an environment of their own, that of production is checked apart: its files say nothing here.
    """
    of_production = {source.path for source in cell.service.requirements}
    of_tests = {source.path for source in cell.service.test_requirements} - of_production
    places = [item.location.path for item in facts.requirements(cell.service).entries if item.name in finding.names]
    if cell.service.separate_tests:
        return finding.location is not None and finding.location.path in of_tests
    return bool(places) and of_tests.issuperset(places)


def _pass_alike(run: SuiteRun, baseline: SuiteRun) -> bool:
    """Whether each test that passes on the baseline passes here as well, some do, and no file is lost."""
    is_whole = run.complete and baseline.complete and run.collection_errors.keys() <= baseline.collection_errors.keys()
    return is_whole and bool(_passed(baseline)) and _passed(baseline) <= _passed(run)


def _passed(run: SuiteRun) -> set[str]:
    return {name for name, result in run.results.items() if result.outcome == "passed"}
