"""PY3xx: do all version declarations of a service agree, and allow the target?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.service_patterns import matches
from pytest_py312.gate.checks.check import CheckResult, Facts

if TYPE_CHECKING:
    from pytest_py312.repository.declarations.declaration import VersionDeclaration
    from pytest_py312.repository.services.version_survey import DeclaredVersions


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
