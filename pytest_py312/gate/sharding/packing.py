"""Divide the items of a run into parts of about the same length. Pure.

Every machine computes all parts from the same inputs, and checks its own: they exchange nothing. The unit is the
service: its items share environments, and baseline and target are compared on one machine. No item leaves it, however
long the service is. The check of the source reads the versions in the lock and tries its advice in the environment, so
elsewhere its outcome would be another one; that of the versions takes no time.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.shards import WorkUnit

if TYPE_CHECKING:  # the options of each start of pytest need none of the checks
    from pytest_py312.gate.run.tasks import CheckTask

MAX_PARTS = 10_000

ItemKey = tuple[str, str]
"""Service, and the end of the node id: ``("user-service", "py3.12::suite")``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeighedItem:
    """An item of the run; ``weight`` is its expected time in milliseconds, at least 1."""

    service: str
    name: str
    weight: int

    @property
    def key(self) -> ItemKey:
        return self.service, self.name


def divide(items: Iterable[WeighedItem], parts: int) -> Mapping[ItemKey, int]:
    """Return the part, from 1 to ``parts``, of each item. The order of ``items`` has no influence.

    The longest service goes first, each to the part with the least work so far. So the longest part is at most
    ``total / parts`` and the longest service together, and 4/3 of the best division at most (Graham 1969).
    """
    services: dict[str, list[WeighedItem]] = {}
    for item in items:
        services.setdefault(item.service, []).append(item)
    weights = {service: sum(item.weight for item in own) for service, own in services.items()}
    loads = [(0, part) for part in range(1, parts + 1)]
    assigned: dict[ItemKey, int] = {}
    for service in sorted(services, key=lambda service: (-weights[service], service)):
        load, part = loads[0]
        heapq.heapreplace(loads, (load + weights[service], part))
        assigned |= dict.fromkeys((item.key for item in services[service]), part)
    return assigned


def loads_of(items: Iterable[WeighedItem], assigned: Mapping[ItemKey, int], parts: int) -> tuple[int, ...]:
    """Return the expected time of each part in milliseconds."""
    loads = [0] * parts
    for item in items:
        loads[assigned[item.key] - 1] += item.weight
    return tuple(loads)


# ---- tasks of a run, as items


TasksByService = Sequence[tuple[Service, Sequence["CheckTask"]]]
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
) -> list[tuple[Service, Sequence["CheckTask"]]]:
    """Return the services of one part with its tasks."""
    assigned = {(unit.service, name): unit.part for unit in units for name in unit.items}
    own = [
        (service, [task for task in service_tasks if assigned.get(item_key(task), FIRST_PART) == part])
        for service, service_tasks in tasks
    ]
    return [(service, service_tasks) for service, service_tasks in own if service_tasks]


def item_key(task: "CheckTask") -> ItemKey:
    """Return the service of a task, and the end of its node id."""
    return task.cell.service.name, "::".join(task.node_parts)
