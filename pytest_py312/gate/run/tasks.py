"""What a run answers: each check of each cell, and the checks of services as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter, Outcome, Status
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import Check, ends_only, is_per_service


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing to answer: a check of a cell or, where the check asks about a service as a whole, of its last cell."""

    cell: Cell
    check: Check

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter that the answer is about; ``None``: it is about the service."""
        return None if is_per_service(self.check) else self.cell.interpreter

    @property
    def parts(self) -> tuple[str, ...]:
        """What follows the service's path in the node id: ``("py3.12", "suite")``."""
        return tuple(part for part in (self.interpreter and self.interpreter.label, self.check.name) if part)

    @property
    def name(self) -> str:
        """``user-service-py3.12-suite``."""
        return "-".join((self.cell.service.name, *self.parts))


def items_of(plan: Plan, service: Service, checks: Sequence[Check] = CHECKS) -> tuple[Item, ...]:
    """All items of a service: what is asked about it as a whole, then for each of its interpreters each other check."""
    cells = cells_of(plan, service)
    whole = [Item(cell=cells[-1], check=check) for check in checks if is_per_service(check)]
    ends = (cells[0], cells[-1])
    return (
        *whole,
        *(
            Item(cell=cell, check=check)
            for cell in cells
            for check in checks
            if not is_per_service(check) and (cell in ends or not ends_only(check))
        ),
    )


def errored_by_mistake(item: Item, error: Exception) -> Outcome:
    """An outcome for a mistake of our own: the item is errored, and the others go on."""
    return Outcome.errored(
        service=item.cell.service.name,
        interpreter=item.interpreter,
        check=item.check.name,
        reason=f"this is a mistake in pytest-py312, please report it: {type(error).__name__}: {error}",
    )


def unproven(items: Sequence[Item], outcomes: Sequence[Outcome], holds: Callable[[Item], bool]) -> list[str]:
    """Which of ``items`` are not proven, and why.

    :param outcomes: of this run.
    :param holds: whether an earlier run's answer to an item is passed, and holds.
    """
    known = {(one.service, one.interpreter, one.check): one.status for one in outcomes}
    found = []
    for item in items:
        status = known.get((item.cell.service.name, item.interpreter, item.check.name))
        if status in (Status.FAILED, Status.ERRORED):
            found.append(f"{item.name} ({status.value})")
        elif status is None and not holds(item):
            found.append(f"{item.name} (not asked in this run, and no earlier answer holds)")
    return found
