"""The tasks of a run: each check of each cell, and the checks of services as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_py312.core.errors import describe_internal_error
from pytest_py312.core.model.findings import Interpreter, Outcome, Status
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import Check, ends_only, is_per_service


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckTask:
    """A check of a cell. For a check of a service as a whole, it is the cell on the target."""

    cell: Cell
    check: Check

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter of the outcome; ``None`` for a check of a service as a whole."""
        return None if is_per_service(self.check) else self.cell.interpreter

    @property
    def node_parts(self) -> tuple[str, ...]:
        """The parts of the node id after the path of the service: ``("py3.12", "suite")``."""
        return tuple(part for part in (self.interpreter and self.interpreter.label, self.check.name) if part)

    @property
    def name(self) -> str:
        """The name of the task, such as ``user-service-py3.12-suite``."""
        return "-".join((self.cell.service.name, *self.node_parts))


def tasks_of(plan: Plan, service: Service, checks: Sequence[Check] = CHECKS) -> tuple[CheckTask, ...]:
    """Return all tasks of a service: checks of the whole service, then the other checks of each interpreter."""
    cells = cells_of(plan, service)
    service_tasks = [CheckTask(cell=cells[-1], check=check) for check in checks if is_per_service(check)]
    endpoints = (cells[0], cells[-1])
    return (
        *service_tasks,
        *(
            CheckTask(cell=cell, check=check)
            for cell in cells
            for check in checks
            if not is_per_service(check) and (cell in endpoints or not ends_only(check))
        ),
    )


def internal_error_outcome(task: CheckTask, error: Exception) -> Outcome:
    """Return the errored outcome of a task that has raised an unexpected exception, so that other tasks continue."""
    return Outcome.errored(
        service=task.cell.service.name,
        interpreter=task.interpreter,
        check=task.check.name,
        reason=describe_internal_error(error),
    )


def unread_outcome(task: CheckTask) -> Outcome:
    """Return the errored outcome of a task of a service that discovery could not read."""
    return Outcome.errored(
        service=task.cell.service.name,
        interpreter=task.interpreter,
        check=task.check.name,
        reason=task.cell.service.unread,
    )


def unfinished_outcome(task: CheckTask, reason: str) -> Outcome:
    """Return the errored outcome of a task that was not ended by its own check."""
    return Outcome.errored(
        service=task.cell.service.name,
        interpreter=task.interpreter,
        check=task.check.name,
        reason=f"the check did not come to its end: {reason}",
    )


def unproven_tasks(
    tasks: Sequence[CheckTask], outcomes: Sequence[Outcome], is_proven: Callable[[CheckTask], bool]
) -> list[str]:
    """Return the names of those ``tasks`` that are not proven, with the reason.

    :param outcomes: the outcomes of this run.
    :param is_proven: whether a task has passed in an earlier run, and that outcome is still valid.
    """
    statuses = {(outcome.service, outcome.interpreter, outcome.check): outcome.status for outcome in outcomes}
    descriptions = []
    for task in tasks:
        status = statuses.get((task.cell.service.name, task.interpreter, task.check.name))
        if status in (Status.FAILED, Status.ERRORED):
            descriptions.append(f"{task.name} ({status.value})")
        elif status is None and not is_proven(task):
            descriptions.append(f"{task.name} (not run, and no earlier outcome is valid)")
    return descriptions
