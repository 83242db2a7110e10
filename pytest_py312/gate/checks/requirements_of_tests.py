"""Judge what is installed for tests alone by these tests: an import may fail where none of them needs it."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.gate.checks.check import Facts
from pytest_py312.repository.services.requirements.sources import production_service


def without_unneeded_by_tests(cell: Cell, findings: Sequence[Finding], facts: Facts) -> tuple[list[Finding], bool]:
    """Return ``findings``, with failing imports as warnings if no test needs them, and whether to keep that.

    Only where production does without the lines of the tests: it is checked apart if they have an environment of their
    own; otherwise all that it requires has to be importable in one without them. The tests have to pass as on the
    baseline, for which the suite is run if there is such a finding; a run that did not end says nothing. If no test
    runs on the baseline, they prove nothing there either: the check of the suite says so, and the service is not
    blocked by what only they require.
    """
    suspects = [finding for finding in findings if finding.code == "PY105" and finding.blocks]
    suspects = [finding for finding in suspects if _is_only_of_tests(cell, finding)]
    production = production_service(cell.service)
    if not suspects or cell.is_baseline or cell.service.suite is None or production is None:
        return list(findings), True
    made = facts.installation(replace(cell, service=production))
    if not all(_does_without(made, finding.names, is_apart=cell.service.separate_tests) for finding in suspects):
        return list(findings), True
    if any(facts.installation(each).environment is None for each in (cell, cell.baseline_cell)):
        return list(findings), True
    baseline = facts.suite_run(cell.baseline_cell)
    if not baseline.results:
        reason = f"none of them runs on {cell.service.baseline}"
    else:
        run = facts.suite_run(cell)
        if not _pass_alike(run, baseline):
            return list(findings), run.complete and baseline.complete
        reason = "they pass without it"
    return [
        replace(finding, severity=Severity.WARNING, message=f"{finding.message} (only tests require it, and {reason})")
        if finding in suspects
        else finding
        for finding in findings
    ], baseline.complete and cell.service.separate_tests  # else it depends on a set that is no part of its key


def _does_without(production: Installation, names: Collection[str], *, is_apart: bool) -> bool:
    """Whether production has none of these projects, or each can be imported in its environment.

    :param is_apart: what cannot be imported there is reported by the check of that environment.
    """
    imports = production.imports or {}
    if production.environment is None or production.incomplete or (not is_apart and any(imports.values())):
        return False
    versions, modules = production.environment.versions, production.environment.modules
    return all(
        name not in versions or any(imports.get(module) == "" for module in modules.get(name, ())) for name in names
    )


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
