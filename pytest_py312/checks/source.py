"""PY2xx: does the source use what an interpreter does not have, or does otherwise?"""

from pytest_py312.checks.base import Facts, Judgement, inspected
from pytest_py312.model import Cell


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
