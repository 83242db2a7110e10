"""Divide the items of a run into parts of about the same length. Pure.

Every machine computes all parts from the same inputs, and checks its own: they exchange nothing. The unit is the
service, because its items share environments, and baseline and target are compared on one machine. Only where one
service alone is longer than a fair share, its items without an environment may be checked elsewhere.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_PARTS = 10_000

ItemKey = tuple[str, str]
"""Service, and the end of the node id: ``("user-service", "py3.12::suite")``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeighedItem:
    """An item of the run; ``weight`` is its expected time in milliseconds, at least 1.

    ``movable``: it needs no environment, and so may be checked on another machine than the rest of its service.
    """

    service: str
    name: str
    weight: int
    movable: bool = False

    @property
    def key(self) -> ItemKey:
        return self.service, self.name


def divide(items: Iterable[WeighedItem], parts: int) -> Mapping[ItemKey, int]:
    """Return the part, from 1 to ``parts``, of each item. The order of ``items`` has no influence.

    The heaviest unit goes first, each to the part with the least work so far. So the longest part is at most
    ``total / parts`` and the heaviest unit together, and 4/3 of the best division at most (Graham 1969).
    """
    units = _units(items, parts)
    units.sort(key=lambda unit: (-sum(item.weight for item in unit), unit[0].key))
    loads = [(0, part) for part in range(1, parts + 1)]
    assigned: dict[ItemKey, int] = {}
    for unit in units:
        load, part = loads[0]
        heapq.heapreplace(loads, (load + sum(item.weight for item in unit), part))
        assigned |= dict.fromkeys((item.key for item in unit), part)
    return assigned


def _units(items: Iterable[WeighedItem], parts: int) -> list[list[WeighedItem]]:
    """Return the items that stay together, sorted inside of each unit."""
    services: dict[str, list[WeighedItem]] = {}
    for item in sorted(items, key=lambda item: item.key):
        services.setdefault(item.service, []).append(item)
    total = sum(item.weight for unit in services.values() for item in unit)
    units: list[list[WeighedItem]] = []
    for unit in services.values():
        is_too_long = sum(item.weight for item in unit) * parts > total
        movable = [item for item in unit if item.movable] if is_too_long else []
        fixed = [item for item in unit if item not in movable] if movable else unit
        units += [each for each in (fixed, movable) if each]
    return units


def loads_of(items: Iterable[WeighedItem], assigned: Mapping[ItemKey, int], parts: int) -> tuple[int, ...]:
    """Return the expected time of each part in milliseconds."""
    loads = [0] * parts
    for item in items:
        loads[assigned[item.key] - 1] += item.weight
    return tuple(loads)
