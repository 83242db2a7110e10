"""Move the body of a function under the guards of its uses, if all uses are guarded.

``if sys.version_info < (3, 12): module = _load_by_imp(name)`` determines when the body of ``_load_by_imp`` runs.
Likewise, a function that asks for the event loop and is used in coroutines only always finds a running loop.
"""

import ast
import re
from dataclasses import dataclass
from typing import Any

from pytest_py312.analysis.scanner.evaluation.scan_state import DeferredFunction, ScanState
from pytest_py312.analysis.scanner.facts.facts import Condition, Guard, RuleMatch, enclosing_guards

_GUARDED_LISTS = (
    "references", "imports", "rule_matches", "untyped_methods", "inherited_attributes", "indirect_references",
    "own_attributes",
)  # fmt: skip
"""Fields of ``ScanState`` whose entries have a ``guard``."""


@dataclass(slots=True, eq=False)
class FunctionBody:
    """The ranges of entries that the body of a function added to the guarded lists, and its guard."""

    name: str
    guard: int
    starts: tuple[int, ...]
    ends: tuple[int, ...] = ()


def begin_body(scan: ScanState, deferred: DeferredFunction) -> FunctionBody:
    """Start to record the entries of a function body. Nested functions belong to the outermost one."""
    scan.outermost_function = deferred.outermost_function or deferred.node.name
    return FunctionBody(scan.outermost_function, scan.guard, _lengths(scan))


def end_body(scan: ScanState, body: FunctionBody) -> None:
    body.ends = _lengths(scan)
    if body.ends != body.starts:
        scan.function_bodies.append(body)


def _lengths(scan: ScanState) -> tuple[int, ...]:
    return (  # written out for speed: it is called twice for each function
        len(scan.references), len(scan.imports), len(scan.rule_matches), len(scan.untyped_methods),
        len(scan.inherited_attributes), len(scan.indirect_references), len(scan.own_attributes),
    )  # fmt: skip


def guard_functions(scan: ScanState, text: str) -> tuple[tuple[str, int], ...]:
    """Move the facts of function bodies under the common guard of all uses of the function.

    Return the functions that other files may use as well, with the number of the guard of their bodies.
    """
    guarded_public: dict[tuple[str, int], None] = {}
    for name, use_guards in scan.guarded_uses.items():
        bodies = [body for body in scan.function_bodies if body.name == name]
        if not bodies or text.count(name) <= len(use_guards):
            continue
        condition, caught = _common_guard(scan, set(use_guards.values()))
        if not (condition or caught) or len(re.findall(rf"\b{re.escape(name)}\b", text)) != len(use_guards) + 1:
            continue
        for body in bodies:
            guard = scan.guard_number(Guard(body.guard, condition, caught))
            _move_to_guard(scan, body, guard)
            if not name.startswith("_"):
                guarded_public[name, guard] = None
    return tuple(guarded_public)


def _common_guard(scan: ScanState, guards: set[int]) -> tuple[Condition, tuple[str, ...]]:
    """Return when any of these guards is passed, and the exceptions that all of them catch."""
    conditions, caught_sets = [], []
    for number in guards:
        conditions.append(scan.guard_condition(number))
        caught_sets.append({name for guard in enclosing_guards(scan.guards, number) for name in guard.caught})
    condition: Condition = () if () in conditions else ("or", *sorted(conditions, key=repr))
    return condition, tuple(sorted(set.intersection(*caught_sets)))


def _move_to_guard(scan: ScanState, body: FunctionBody, guard: int) -> None:
    for name, start, end in zip(_GUARDED_LISTS, body.starts, body.ends, strict=True):
        facts: list[Any] = getattr(scan, name)
        for index in range(start, end):
            moved = _moved_guard(scan, facts[index].guard, body.guard, guard)
            if name == "own_attributes":
                facts[index].guard = moved
            else:
                facts[index] = facts[index]._replace(guard=moved)


def _moved_guard(scan: ScanState, number: int, start: int, replacement: int) -> int:
    """Return a nested guard with an enclosing guard replaced by another."""
    if number == start:
        return replacement
    if number <= 0:
        return number
    guard = scan.guards[number]
    parent = _moved_guard(scan, guard.parent, start, replacement)
    return number if parent == guard.parent else scan.guard_number(guard._replace(parent=parent))


_NEVER = ("false",)


def note_event_loop_use(scan: ScanState) -> None:
    """Record that the latest rule match depends on the callers of the current function."""
    function = scan.function
    if function is not None:
        is_constructor = scan.enclosing_class is not None and function.name in ("__init__", "__new__", "__post_init__")
        name = scan.enclosing_class.name if is_constructor and scan.enclosing_class is not None else function.name
        scan.event_loop_uses.append((len(scan.rule_matches) - 1, name))


def guard_event_loop_uses(scan: ScanState, tree: ast.Module) -> tuple[tuple[str, int], ...]:
    """Put event loop matches under a guard that is never passed, if all callers are coroutines.

    Return the functions that other files may use as well, with the number of that guard.
    """
    uses = _uses_in_coroutines(tree, {name for _, name in scan.event_loop_uses})
    guarded_public: dict[tuple[str, int], None] = {}
    for number, name in scan.event_loop_uses:
        if uses.get(name) != {True}:
            continue
        rule_match: RuleMatch = scan.rule_matches[number]
        guard = scan.guard_number(Guard(rule_match.guard, _NEVER))
        scan.rule_matches[number] = rule_match._replace(guard=guard)
        if not name.startswith("_"):
            guarded_public[name, guard] = None
    return tuple(guarded_public)


def _uses_in_coroutines(tree: ast.Module, names: set[str]) -> dict[str, set[bool]]:
    """Return for each name whether it is used in coroutines, elsewhere, or both."""
    uses: dict[str, set[bool]] = {}
    pending: list[tuple[Any, bool]] = [(tree, False)]
    while pending:
        node, in_async = pending.pop()
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in names:
            uses.setdefault(name, set()).add(in_async)
        inside = in_async or isinstance(node, ast.AsyncFunctionDef)
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]
    return uses
