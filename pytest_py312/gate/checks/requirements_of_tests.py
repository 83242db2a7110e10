"""Judge what is installed for tests alone by these tests: an import may fail where none of them needs it."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.gate.checks.check import Facts


def without_unneeded_by_tests(cell: Cell, findings: Sequence[Finding], facts: Facts) -> tuple[list[Finding], bool]:
    """Return ``findings``, with failing imports as warnings if the tests pass without them, and whether that is known.

    Only where the tests have an environment of their own: that of production is checked apart. They have to pass as on
    the baseline, for which the suite is run if there is such a finding; a run that did not end says nothing.
    """
    suspects = [finding for finding in findings if finding.code == "PY105" and finding.blocks]
    suspects = [finding for finding in suspects if _is_only_of_tests(cell, finding)]
    if not suspects or cell.is_baseline or cell.service.suite is None or not cell.service.separate_tests:
        return list(findings), True
    if any(facts.installation(each).environment is None for each in (cell, cell.baseline_cell)):
        return list(findings), True
    run, baseline = facts.suite_run(cell), facts.suite_run(cell.baseline_cell)
    if not _pass_alike(run, baseline):
        return list(findings), run.complete and baseline.complete
    return [
        replace(
            finding,
            severity=Severity.WARNING,
            message=f"{finding.message} (only tests require it, and they pass without it)",
        )
        if finding in suspects
        else finding
        for finding in findings
    ], True


def _is_only_of_tests(cell: Cell, finding: Finding) -> bool:
    """Whether the line that a finding is about is in a file of the tests."""
    of_production = {source.path for source in cell.service.requirements}
    of_tests = {source.path for source in cell.service.test_requirements} - of_production
    return finding.location is not None and finding.location.path in of_tests


def _pass_alike(run: SuiteRun, baseline: SuiteRun) -> bool:
    """Whether each test that passes on the baseline passes here as well, some do, and no file is lost."""
    is_whole = run.complete and baseline.complete and run.collection_errors.keys() <= baseline.collection_errors.keys()
    return is_whole and bool(_passed(baseline)) and _passed(baseline) <= _passed(run)


def _passed(run: SuiteRun) -> set[str]:
    return {name for name, result in run.results.items() if result.outcome == "passed"}
