"""PY408: can what a service imports only once it runs be imported on the target?"""

from collections.abc import Collection, Iterator

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.gate.checks.check import Facts
from pytest_py312.gate.checks.start_modules import location_in, remedy_of_import


def later_import_findings(cell: Cell, facts: Facts, imported_files: Collection[str] = ()) -> Iterator[Finding]:
    """Yield a finding for each such module that can be imported on the baseline only; nothing but on the target.

    :param imported_files: files of the service that its suite has imported here.
    """
    cells = facts.cells(cell.service)
    if cell.is_baseline or cell != cells[-1]:
        return
    for name, imported in sorted(facts.later_failures(cell, frozenset(imported_files)).items()):
        yield Finding(
            code="PY408",
            message=f"{name}, which the service imports once it runs, cannot be imported on {cell.interpreter}: "
            f"{imported.last_line}",
            remedy=remedy_of_import(imported, facts.installation(cell), facts.installation(cell.baseline_cell)),
            location=location_in(imported.detail, cell.service.path),
            names=(name,),
            detail=imported.detail,
        )
