"""The tasks of a run: each check of each cell, and the checks of services as a whole; and which are selected. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_py312.core.errors import OptionError, describe_internal_error
from pytest_py312.core.model.findings import Interpreter, Outcome, Status
from pytest_py312.core.model.fleet import Cell, Fleet, Service, cells_of
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import PatternIndex, suggest_service
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import Check, CheckTraits

TaskKey = tuple[str, Interpreter | None, str]
"""Service, interpreter and check of a task, and of its outcome."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckTask:
    """A check of a cell. For a check of a service as a whole, it is the cell on the target."""

    cell: Cell
    check: Check

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter of the outcome; ``None`` for a check of a service as a whole."""
        return None if CheckTraits.of(self.check).per_service else self.cell.interpreter

    @property
    def key(self) -> TaskKey:
        """What tells the task apart from others, and its outcome as well."""
        return self.cell.service.name, self.interpreter, self.check.name

    @property
    def node_parts(self) -> tuple[str, ...]:
        """The parts of the node id after the path of the service: ``("py3.12", "suite")``."""
        return tuple(part for part in (self.interpreter and self.interpreter.label, self.check.name) if part)

    @property
    def name(self) -> str:
        """The name of the task, such as ``user-service-py3.12-suite``."""
        return "-".join((self.cell.service.name, *self.node_parts))

    @property
    def title(self) -> str:
        """``suite of user-service 3.12``, for people."""
        subject = self.cell.service.name if self.interpreter is None else self.cell.title
        return f"{self.check.name} of {subject}"


def tasks_of(plan: Plan, service: Service, checks: Sequence[Check] = CHECKS) -> tuple[CheckTask, ...]:
    """Return all tasks of a service: checks of the whole service, then the other checks of each interpreter."""
    cells = cells_of(plan, service)
    service_tasks = [CheckTask(cell=cells[-1], check=check) for check in checks if CheckTraits.of(check).per_service]
    endpoints = (cells[0], cells[-1])
    return (
        *service_tasks,
        *(
            CheckTask(cell=cell, check=check)
            for cell in cells
            for check in checks
            if not CheckTraits.of(check).per_service and (cell in endpoints or not CheckTraits.of(check).ends_only)
        ),
    )


def services_with_files(fleet: Fleet, files: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the services that one of ``files``, relative to the root, belongs to, in order of the fleet.

    A file belongs to the innermost service around it, to those that need its folder, and to those that declare
    something in it: a Dockerfile elsewhere, a shared file of requirements.
    """
    names: set[str] = set()
    by_path = {service.path: service.name for service in fleet.services}
    declaring: dict[str, set[str]] = {}
    for service in fleet.services:
        for path in (*(each.location.path for each in service.declarations), *_requirement_paths(service)):
            declaring.setdefault(path, set()).add(service.name)
    for file in files:
        folders = [folder.as_posix() for folder in PurePosixPath(file).parents]
        names.update([by_path[folder] for folder in folders if folder in by_path][:1])
        names.update(service.name for service in fleet.services if set(service.settings.needs).intersection(folders))
        names.update(declaring.get(file, ()))
    return tuple(service.name for service in fleet.services if service.name in names)


def _requirement_paths(service: Service) -> Iterator[str]:
    yield from (source.path for source in (*service.requirements, *service.test_requirements))
    yield from (recipe.source for recipe in (service.recipe, service.test_recipe) if recipe is not None)


def internal_error_outcome(task: CheckTask, error: Exception) -> Outcome:
    """Return the errored outcome of a task that has raised an unexpected exception, so that other tasks continue."""
    return _errored_outcome(task, describe_internal_error(error))


def unread_outcome(task: CheckTask) -> Outcome:
    """Return the errored outcome of a task of a service that discovery could not read."""
    return _errored_outcome(task, task.cell.service.unread)


def unfinished_outcome(task: CheckTask, reason: str) -> Outcome:
    """Return the errored outcome of a task that was not ended by its own check."""
    return _errored_outcome(task, f"the check did not come to its end: {reason}")


def _errored_outcome(task: CheckTask, reason: str) -> Outcome:
    service, interpreter, check = task.key
    return Outcome.errored(service=service, interpreter=interpreter, check=check, reason=reason)


def unproven_tasks(
    tasks: Sequence[CheckTask], outcomes: Sequence[Outcome], is_proven: Callable[[CheckTask], bool]
) -> list[str]:
    """Return the names of those ``tasks`` that are not proven, with the reason.

    :param outcomes: the outcomes of this run.
    :param is_proven: whether a task has passed in an earlier run, and that outcome is still valid.
    """
    statuses = {outcome.key: outcome.status for outcome in outcomes}
    descriptions = []
    for task in tasks:
        status = statuses.get(task.key)
        if status in (Status.FAILED, Status.ERRORED):
            descriptions.append(f"{task.name} ({status.value})")
        elif status is None and not is_proven(task):
            descriptions.append(f"{task.name} (not run, and no earlier outcome is valid)")
    return descriptions


def select_services(
    fleet: Fleet, plan: Plan, *, stages: frozenset[int] = frozenset(), patterns: tuple[str, ...] = ()
) -> tuple[Service, ...]:
    """Return the services in one of ``stages`` that match one of ``patterns``, in the order of the fleet.

    Without stages or patterns, all services match.

    :raises OptionError: a stage does not exist, a pattern matches no service, or no service matches both.
    """
    _check_stages(fleet, plan, stages)
    matching = _matching_services(fleet, patterns)
    chosen = tuple(
        service
        for service in fleet.services
        if (not stages or service.stage in stages) and (not patterns or (service.name, service.path) in matching)
    )
    if not chosen and stages and patterns:
        elsewhere = ", ".join(
            f"{service.name} is in stage {service.stage}"
            for service in fleet.services
            if (service.name, service.path) in matching
        )
        raise OptionError(
            f"no service is in stage {_join_numbers(stages)} and matched by {', '.join(patterns)}: {elsewhere}"
        )
    return chosen


def select_cells(cells: Sequence[Cell], interpreters: frozenset[Interpreter]) -> tuple[Cell, ...]:
    """Return the cells on one of ``interpreters``, in their order. An empty set selects all cells.

    :raises OptionError: no cell is on one of the interpreters. This is an error, because a run with fewer cells than
        requested would look like a proof.
    """
    if not interpreters or not cells:
        return tuple(cells)
    present = {cell.interpreter for cell in cells}
    absent = sorted(interpreters - present)
    if absent:
        available = ", ".join(str(interpreter) for interpreter in sorted(present))
        raise OptionError(
            f"no chosen service runs on Python {absent[0]}; their interpreters are {available}"
            " (from a service's baseline up to the target, as the plan's \"interpreters\" lists them)"
        )
    return tuple(cell for cell in cells if cell.interpreter in interpreters)


def _check_stages(fleet: Fleet, plan: Plan, stages: frozenset[int]) -> None:
    existing_stages = {stage.number for stage in plan.stages} | {service.stage for service in fleet.services}
    absent = sorted(stages - existing_stages)
    if not absent:
        return
    if not plan.stages:
        raise OptionError(
            f"stage {absent[0]} does not exist; the plan has no [[stage]], "
            f"and all services count as stage {_join_numbers(existing_stages) or 1}"
        )
    raise OptionError(f"stage {absent[0]} does not exist; the plan has {_join_numbers(existing_stages)}")


def _matching_services(fleet: Fleet, patterns: tuple[str, ...]) -> set[tuple[str, str]]:
    services = [(service.name, service.path) for service in fleet.services]
    lookup = PatternIndex(services)
    matching: set[tuple[str, str]] = set()
    for pattern in patterns:
        matches = lookup.matching_services(pattern)
        if not matches:
            raise OptionError(f'"{pattern}" matches no service{suggest_service(pattern, services)}')
        matching.update(matches)
    return matching


def _join_numbers(numbers: frozenset[int] | set[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
