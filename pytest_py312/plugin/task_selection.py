"""Select the tasks of a session: of the services, interpreters and items that the command line names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.gate.checks.check import Check
from pytest_py312.gate.run.tasks import CheckTask, select_cells, select_services, tasks_of
from pytest_py312.plugin.command_line import RunOptions, Selection
from pytest_py312.plugin.nodes import ServiceTasks


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSelection:
    """The tasks of a fleet with these checks, and which of them the options select."""

    options: RunOptions
    fleet: Fleet
    checks: tuple[Check, ...]

    def selected(self) -> ServiceTasks:
        """Return the selected services with those of their tasks that are selected.

        :raises OptionError: something that the command line names does not exist.
        """
        services = [
            service
            for service in select_services(
                self.fleet, self.options.plan, stages=self.options.stages, patterns=self.options.services
            )
            if self._is_selected(service)
        ]
        if not services:
            paths = ", ".join(str(task.path) for task in self.options.selections)
            raise OptionError(f"no chosen service is at {paths}; `py312 inventory` lists the services")
        service_tasks: list[tuple[Service, Sequence[CheckTask]]] = [
            (service, self.tasks_of(service)) for service in services
        ]
        if self.options.interpreters:
            select_cells([task.cell for _, tasks in service_tasks for task in tasks], self.options.interpreters)
        service_tasks = [(service, self._selected_tasks(service, tasks)) for service, tasks in service_tasks]
        for selection in self.options.selections:
            self._require_match(selection, service_tasks)
        return [(service, tasks) for service, tasks in service_tasks if tasks]

    def _service_folder(self, service: Service) -> Path:
        return (self.options.plan.root / service.path).resolve()

    def _is_selected(self, service: Service) -> bool:
        if not self.options.selections:
            return True
        folder = self._service_folder(service)
        return any(selection.touches_service(folder) for selection in self.options.selections)

    def tasks_of(self, service: Service) -> tuple[CheckTask, ...]:
        """Return all tasks of a service."""
        return tasks_of(self.options.plan, service, self.checks)

    def tasks_of_name(self, name: str) -> tuple[CheckTask, ...]:
        """Return all tasks of a service; none if the fleet has no service of this name."""
        return tuple(task for service in self.fleet.services if service.name == name for task in self.tasks_of(service))

    def _selected_tasks(self, service: Service, tasks: Sequence[CheckTask]) -> list[CheckTask]:
        wanted = self.options.interpreters
        chosen = [task for task in tasks if not wanted or task.cell.interpreter in wanted]
        if not self.options.selections:
            return chosen
        folder = self._service_folder(service)
        return [
            task
            for task in chosen
            if any(selection.includes_item(folder, task.node_parts) for selection in self.options.selections)
        ]

    def _require_match(self, selection: Selection, service_tasks: ServiceTasks) -> None:
        if any(selection.touches_service(self._service_folder(service)) and tasks for service, tasks in service_tasks):
            return
        typed = "::".join((str(selection.path), *selection.parts))
        node_ids = [
            "::".join(task.node_parts)
            for service in self.fleet.services
            if selection.touches_service(self._service_folder(service))
            for task in self.tasks_of(service)
        ]
        raise OptionError(f"{typed}: there is no such item; the service has {', '.join(node_ids[:12]) or 'none'}")
