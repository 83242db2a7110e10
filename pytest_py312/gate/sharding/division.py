"""The units of a run, from its items and the parts that they were divided into. Pure."""

from collections.abc import Mapping, Sequence

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.shards import WorkUnit
from pytest_py312.gate.run.tasks import CheckTask
from pytest_py312.gate.sharding.packing import ItemKey

TasksByService = Sequence[tuple[Service, Sequence[CheckTask]]]
"""The services of the run in the order of the fleet, with their tasks."""
FIRST_PART = 1
"""The part to which a task belongs that was deselected: it is reported as in an undivided run."""


def units_of(tasks: TasksByService, assigned: Mapping[ItemKey, int]) -> tuple[WorkUnit, ...]:
    """Return the units of all parts. A service of which no item is left has one without items."""
    units = []
    for service, service_tasks in tasks:
        names_by_part: dict[int, list[str]] = {}
        for task in service_tasks:
            key = item_key(task)
            if key in assigned:
                names_by_part.setdefault(assigned[key], []).append(key[1])
        names_by_part = names_by_part or {FIRST_PART: []}
        units += [
            WorkUnit(service=service.name, part=part, items=tuple(names)) for part, names in names_by_part.items()
        ]
    return tuple(units)


def tasks_of_part(
    tasks: TasksByService, units: Sequence[WorkUnit], part: int
) -> list[tuple[Service, Sequence[CheckTask]]]:
    """Return the services of one part with its tasks."""
    assigned = {(unit.service, name): unit.part for unit in units for name in unit.items}
    own = [
        (service, [task for task in service_tasks if assigned.get(item_key(task), FIRST_PART) == part])
        for service, service_tasks in tasks
    ]
    return [(service, service_tasks) for service, service_tasks in own if service_tasks]


def item_key(task: CheckTask) -> ItemKey:
    """Return the service of a task, and the end of its node id."""
    return task.cell.service.name, "::".join(task.node_parts)
