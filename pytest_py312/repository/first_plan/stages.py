"""Divide services into stages: what others need moves first, and few services move before many. Pure.

Services that need each other in a circle, or that no pattern can name apart, move together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

FIRST_SHARE = 10
"""The first stage has about one of so many services."""
GROWTH = 3
"""Each further stage may have so many times the services of the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Division:
    """The stages in their order, and the circles of services that need each other."""

    stages: tuple[tuple[str, ...], ...]
    circles: tuple[tuple[str, ...], ...]


def divide(names: Sequence[str], needs: Mapping[str, Iterable[str]], together: Iterable[Sequence[str]]) -> Division:
    """Divide ``names``, given in the order in which they would move if nothing needed anything.

    ``needs`` maps a service to those that it needs, ``together`` are groups that must not be separated.
    """
    edges: dict[str, set[str]] = {name: {other for other in needs.get(name, ()) if other != name} for name in names}
    circles = _circles(names, edges)
    for group in together:
        for first, second in zip(group, [*group[1:], group[0]], strict=True):
            edges[first].add(second)
    component_of = {name: component for component in _components(names, edges) for name in component}
    levels = _levels(component_of, edges)
    capacity = max(1, len(names) // FIRST_SHARE)
    stages: list[tuple[str, ...]] = []
    for level in levels:
        for size in _sizes([len(component) for component in level], capacity):
            members = [name for component in level[:size] for name in component]
            stages.append(tuple(members))
            level = level[size:]
            capacity *= GROWTH
    return Division(stages=tuple(stages), circles=circles)


def _circles(names: Sequence[str], edges: Mapping[str, set[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(component for component in _components(names, edges) if len(component) > 1)


def _components(names: Sequence[str], edges: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Return the groups of services each of which leads to every other one, in the order of ``names``."""
    reachable = {name: _reachable(name, edges) for name in names}
    components: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name not in components:
            members = tuple(
                other for other in names if other == name or (other in reachable[name] and name in reachable[other])
            )
            components.update(dict.fromkeys(members, members))
    return list(dict.fromkeys(components[name] for name in names))


def _reachable(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    pending = [start]
    while pending:
        for other in edges[pending.pop()] - seen:
            seen.add(other)
            pending.append(other)
    return seen


def _levels(component_of: Mapping[str, tuple[str, ...]], edges: Mapping[str, set[str]]) -> list[list[tuple[str, ...]]]:
    """Return the components by the length of the longest chain of those that they need, in their given order."""
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {
        component: {component_of[other] for name in component for other in edges[name]} - {component}
        for component in component_of.values()
    }
    depth: dict[tuple[str, ...], int] = {}
    for component in TopologicalSorter(graph).static_order():
        depth[component] = 1 + max((depth[other] for other in graph[component]), default=-1)
    levels: list[list[tuple[str, ...]]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for component in graph:
        levels[depth[component]].append(component)
    return levels


def _sizes(weights: Sequence[int], capacity: int) -> list[int]:
    """Return how many components of one level each of its stages has; what would be little more is not cut off."""
    sizes: list[int] = []
    rest = list(weights)
    while rest:
        size = len(rest)
        if sum(rest) > 2 * capacity:
            size, weight = 1, rest[0]
            while size < len(rest) and weight + rest[size] <= capacity:
                weight += rest[size]
                size += 1
        sizes.append(size)
        rest = rest[size:]
        capacity *= GROWTH
    return sizes
