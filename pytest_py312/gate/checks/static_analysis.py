"""Checks by static analysis.

PY2xx: does the source use anything that an interpreter lacks or handles differently? PY24x and PY12x: do the installed
distributions run on the target, and provide what the service imports?
"""

from dataclasses import replace

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import incomplete_environment_reason, missing_environment_reason
from pytest_py312.gate.checks.check import CheckResult, Facts, installed_cell, result_of_analysis, unless_incomplete


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
