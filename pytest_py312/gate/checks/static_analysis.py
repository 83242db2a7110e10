"""Checks by static analysis.

PY2xx: does the source use anything that an interpreter lacks or handles differently? PY24x and PY12x: do the installed
distributions run on the target, and provide what the service imports?
"""

from dataclasses import replace

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import incomplete_environment_reason, missing_environment_reason
from pytest_py312.gate.checks.check import CheckResult, Facts, result_of_analysis, unless_incomplete
from pytest_py312.repository.services.requirement_sources import production_service


class LibraryCheck:
    """The installed distributions work on the target: most failures are in dependencies.

    Their source is analyzed in the same way as the source of the service. A problem blocks if importing the service
    reaches it and its import has failed in the cell. Problems that are reached later, or never, do not block.
    """

    name = "libraries"
    per_service = True
    sees_names_around = True
    codes: tuple[str, ...] = ("PY120", "PY121", "PY240", "PY241", "PY242", "PY243")

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        installed_cell = _installed_cell(cell, facts)
        installation = facts.installation(installed_cell)
        if installation.environment is None:
            reason = f"nothing is installed on {cell.interpreter}: {missing_environment_reason(installation)}"
            return CheckResult(
                outcome=Outcome.errored(service=cell.service.name, interpreter=None, check=self.name, reason=reason)
            )
        result = unless_incomplete(
            result_of_analysis(self, cell, facts.library_analysis(installed_cell)),
            incomplete_environment_reason(installation),
        )
        return replace(result, is_kept=installed_cell is cell)


def _installed_cell(cell: Cell, facts: Facts) -> Cell:
    """Return the cell, or one of its run-time requirements only where those of its tests cannot be installed."""
    production = production_service(cell.service)
    if facts.installation(cell).environment is not None or production is None:
        return cell
    production_cell = replace(cell, service=production)
    return production_cell if facts.installation(production_cell).environment is not None else cell


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
        *("PY210", "PY220", "PY221", "PY230"),
        *("PY290", "PY291", "PY292", "PY299"),
    )

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        return result_of_analysis(self, cell, facts.source_analysis(cell))
