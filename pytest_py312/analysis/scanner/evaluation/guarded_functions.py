"""Functions that are used behind guards only: what stands round all their uses stands round their bodies as well.

``if sys.version_info < (3, 12): module = _load_by_imp(name)`` says when the body of ``_load_by_imp`` runs.

Functions that ask for the event loop and are used in coroutines only: one runs wherever they are called.
"""

import ast
import re
from dataclasses import dataclass
from typing import Any

from pytest_py312.analysis.scanner.evaluation.scan_state import Deferred, Scan
from pytest_py312.analysis.scanner.facts.facts import Condition, Guard, RuleFact

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


_NEVER = ("false",)


def asked(scan: Scan) -> None:
    """Notes that the rule that was found last hangs on who calls the function that is read."""
    function = scan.function
    if function is not None:
        made = scan.owner is not None and function.name in ("__init__", "__new__", "__post_init__")
        name = scan.owner.name if made and scan.owner is not None else function.name
        scan.asking_for_loops.append((len(scan.rules) - 1, name))


def put_behind_running_loop(scan: Scan, tree: ast.Module) -> tuple[tuple[str, int], ...]:
    """Puts what such functions ask behind a guard that nothing passes.

    Gives those that other files may use too, with the number of that guard.
    """
    used = _uses(tree, {name for _, name in scan.asking_for_loops})
    public: dict[tuple[str, int], None] = {}
    for number, name in scan.asking_for_loops:
        if used.get(name) != {True}:
            continue
        fact: RuleFact = scan.rules[number]
        guard = scan.numbered(Guard(fact.guard, _NEVER))
        scan.rules[number] = fact._replace(guard=guard)
        if not name.startswith("_"):
            public[name, guard] = None
    return tuple(public)


def _uses(tree: ast.Module, names: set[str]) -> dict[str, set[bool]]:
    """Of each name whether it is used in coroutines, elsewhere, or both."""
    found: dict[str, set[bool]] = {}
    pending: list[tuple[Any, bool]] = [(tree, False)]
    while pending:
        node, in_async = pending.pop()
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in names:
            found.setdefault(name, set()).add(in_async)
        inside = in_async or isinstance(node, ast.AsyncFunctionDef)
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]
    return found
