"""Checks by static analysis.

PY2xx: does the source use anything that an interpreter lacks or handles differently? PY24x and PY12x: do the installed
distributions run on the target, and provide what the service imports? PY3xx: do all version declarations of a service
agree, and allow the target?
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.service_patterns import matches
from pytest_py312.dependencies.installation.findings import incomplete_environment_reason, missing_environment_reason
from pytest_py312.gate.checks.check import CheckResult, Facts, installed_cell, result_of_analysis, unless_incomplete

if TYPE_CHECKING:
    from pytest_py312.repository.declarations.declaration import VersionDeclaration
    from pytest_py312.repository.services.version_survey import DeclaredVersions


class LibraryCheck:
    """The installed distributions work on the target: most failures are in dependencies.

    Their source is analyzed in the same way as the source of the service. A problem blocks if importing the service
    reaches it and its import has failed in the cell. Problems that are reached later, or never, do not block.
    """

    name = "libraries"
    per_service = True
    sees_names_around = True
    codes: tuple[str, ...] = ("PY120", "PY121", "PY240", "PY241", "PY242", "PY243", "PY244")

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        checked_cell = installed_cell(cell, facts)
        installation = facts.installation(checked_cell)
        if installation.environment is None:
            reason = f"nothing is installed on {cell.interpreter}: {missing_environment_reason(installation)}"
            return CheckResult(
                outcome=Outcome.errored(service=cell.service.name, interpreter=None, check=self.name, reason=reason)
            )
        result = unless_incomplete(
            result_of_analysis(self, cell, facts.library_analysis(checked_cell)),
            incomplete_environment_reason(installation),
        )
        return replace(result, is_kept=result.is_kept and (checked_cell is cell) is not cell.service.separate_tests)


class SourceCheck:
    """The source uses nothing that the target has removed, and nothing that is too new for the baseline.

    The interpreters themselves are queried, not a table. No code of the service is run. Later removals and changed
    behaviour are warnings.
    """

    name = "source"
    per_service = True
    needs_installation = False
    codes: tuple[str, ...] = (
        *(f"PY20{number}" for number in range(1, 10)),
        *("PY210", "PY211", "PY220", "PY221", "PY230"),
        *("PY290", "PY291", "PY292", "PY299"),
    )

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        return result_of_analysis(self, cell, facts.source_analysis(cell))


class VersionCheck:
    """Images, workflows, metadata, pins and tools agree, and none excludes the target.

    A service that is not migrated yet passes, with notes on what has to change. A declaration whose version only a run
    could show could not be checked, unless the plan waives it.
    """

    name = "versions"
    per_service = True
    needs_installation = False
    reads_around = True
    codes: tuple[str, ...] = ("PY301", "PY302", "PY303", "PY304", "PY305", "PY306", "PY307")

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        from pytest_py312.gate.checks.version_consistency import (  # lazy: imports the editors
            UNCLEAR,
            check_consistency,
        )
        from pytest_py312.repository.edits.declarations import MigrationTarget
        from pytest_py312.repository.edits.version_ranges import oldest_supported

        service = cell.service
        declared = facts.declared_versions(service)
        migration = MigrationTarget(
            baseline=service.baseline,
            target=cell.interpreter,
            oldest_supported=oldest_supported(declared.declarations),
        )
        steps = service.recipe.steps if service.recipe is not None else ()
        consistency = check_consistency(
            declared.declarations,
            migration,
            service=service.path,
            installing={(step.location.path, step.location.line or 0) for step in steps if step.is_for_python},
        )
        outcome = Outcome.from_findings(
            service=service.name, interpreter=None, check=self.name, findings=consistency.findings
        )
        unclear_is_waived = any(
            waiver.code == UNCLEAR and matches(waiver.service, service.name, service.path)
            for waiver in facts.plan.waivers
        )
        reasons = [*_unread_reasons(declared), *_unclear_reasons(() if unclear_is_waived else consistency.unclear)]
        if reasons:
            outcome = outcome.with_unchecked(reasons[0] + (f" (and {len(reasons) - 1} more)" if reasons[1:] else ""))
        elif not declared.declarations:
            reason = "no file of the service declares a Python version"
            outcome = Outcome.skipped(service=service.name, interpreter=None, check=self.name, reason=reason)
        return CheckResult(outcome=outcome)


def _unread_reasons(declared: "DeclaredVersions") -> Iterator[str]:
    for path, reason in declared.unread:
        yield f"{path} was not read: it {reason}"


def _unclear_reasons(declarations: "Sequence[VersionDeclaration]") -> Iterator[str]:
    for declaration in declarations:
        reason = f"{declaration.subject} could not be understood. {declaration.unknown_reason}".strip()
        yield f"{declaration.location}: {reason}"
