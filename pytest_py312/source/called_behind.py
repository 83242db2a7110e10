"""Functions that are used behind guards only: what stands round all their uses stands round their bodies as well.

``if sys.version_info < (3, 12): module = _load_by_imp(name)`` says when the body of ``_load_by_imp`` runs.
"""

import re
from dataclasses import dataclass
from typing import Any

from pytest_py312.source.facts import Condition, Guard
from pytest_py312.source.walking import Deferred, Scan

_LISTS = ("references", "imports", "rules", "loose", "inherited", "through", "on_own")
"""What a scan finds, and notes with the guard round it."""


@dataclass(slots=True, eq=False)
class Body:
    """What reading the body of a function has found: from where to where in each list, and the guard round it."""

    name: str
    guard: int
    first: tuple[int, ...]
    last: tuple[int, ...] = ()


def begun(scan: Scan, deferred: Deferred) -> Body:
    """Notes that the body of a function is read from now on; nested functions belong to the outermost."""
    scan.body_name = deferred.inside or deferred.node.name
    return Body(scan.body_name, scan.guard, _lengths(scan))


def ended(scan: Scan, body: Body) -> None:
    body.last = _lengths(scan)
    if body.last != body.first:
        scan.bodies.append(body)


def _lengths(scan: Scan) -> tuple[int, ...]:
    return (  # written out, as it is asked twice of each function
        len(scan.references), len(scan.imports), len(scan.rules), len(scan.loose), len(scan.inherited),
        len(scan.through), len(scan.on_own),
    )  # fmt: skip


def put_behind(scan: Scan, text: str) -> tuple[tuple[str, int], ...]:
    """Puts the guards round all uses of a function round what its body has found.

    Gives the functions that other files may use too, with the number of the guard that stands round their bodies.
    """
    public: dict[tuple[str, int], None] = {}
    for name, places in scan.behind.items():
        bodies = [body for body in scan.bodies if body.name == name]
        if not bodies or text.count(name) <= len(places):
            continue
        condition, caught = _round_all(scan, set(places.values()))
        if not (condition or caught) or len(re.findall(rf"\b{re.escape(name)}\b", text)) != len(places) + 1:
            continue
        for body in bodies:
            guard = scan.numbered(Guard(body.guard, condition, caught))
            _move(scan, body, guard)
            if not name.startswith("_"):
                public[name, guard] = None
    return tuple(public)


def _round_all(scan: Scan, guards: set[int]) -> tuple[Condition, tuple[str, ...]]:
    """When one of some places runs, and which exceptions do no harm in all of them."""
    ways, catching = [], []
    for number in guards:
        ways.append(scan.condition_round(number))
        catching.append({name for guard in scan.chain(number) for name in guard.caught})
    condition: Condition = () if () in ways else ("or", *sorted(ways, key=repr))
    return condition, tuple(sorted(set.intersection(*catching)))


def _move(scan: Scan, body: Body, guard: int) -> None:
    for name, first, last in zip(_LISTS, body.first, body.last, strict=True):
        found: list[Any] = getattr(scan, name)
        for place in range(first, last):
            moved = _moved(scan, found[place].guard, body.guard, guard)
            if name == "on_own":
                found[place].guard = moved
            else:
                found[place] = found[place]._replace(guard=moved)


def _moved(scan: Scan, number: int, start: int, instead: int) -> int:
    """A guard inside of another one, with a third in the place of that."""
    if number == start:
        return instead
    if number <= 0:
        return number
    guard = scan.guards[number]
    parent = _moved(scan, guard.parent, start, instead)
    return number if parent == guard.parent else scan.numbered(guard._replace(parent=parent))
