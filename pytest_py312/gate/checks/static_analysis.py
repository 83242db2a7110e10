"""PY24x and PY12x: does what is installed for a service hold what its imports need, and run on the target?

PY2xx: does the source use what an interpreter does not have, or does otherwise?
"""

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.findings import obstacle
from pytest_py312.gate.checks.check import Facts, Judgement, inspected


class Libraries:
    """The source of what is installed is scanned as the service's own is: most of what breaks is in dependencies.

    What the service's imports reach when they are made blocks, once importing it has failed in the cell. What is
    reached later, or never, is told and does not block.
    """

    name = "libraries"
    per_service = True
    sees_names_around = True
    codes: tuple[str, ...] = ("PY120", "PY121", "PY240", "PY241", "PY242", "PY243")

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        here = facts.installation(cell)
        if here.environment is None:
            told = f"nothing is installed on {cell.interpreter}: {obstacle(here)}"
            return Judgement(
                outcome=Outcome.errored(service=cell.service.name, interpreter=None, check=self.name, reason=told)
            )
        return inspected(self, cell, facts.libraries(cell))


class Source:
    """Nothing of the service's source that works on the baseline is gone on the target, and nothing is too new for
    the baseline.

    The interpreters are asked, no table. Nothing of the service is run. What will be gone later, and what changes in
    silence, is a warning.
    """

    name = "source"
    per_service = True
    needs_installation = False
    codes: tuple[str, ...] = (
        *(f"PY20{number}" for number in range(1, 10)),
        *("PY210", "PY220", "PY221", "PY230"),
        *("PY290", "PY291", "PY292", "PY299"),
    )

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        return inspected(self, cell, facts.inspection(cell))
