"""PY24x and PY12x: does what is installed for a service hold what its imports need, and run on the target?"""

from pytest_py312.checks.base import Facts, Judgement, inspected
from pytest_py312.faults import obstacle
from pytest_py312.model import Cell, Outcome


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
