"""Functions that ask for the event loop and are used in coroutines only: one runs wherever they are called."""

import ast
from typing import Any

from pytest_py312.source.facts import Guard, RuleFact
from pytest_py312.source.walking import Scan

_NEVER = ("false",)


def asked(scan: Scan) -> None:
    """Notes that the rule that was found last hangs on who calls the function that is read."""
    function = scan.function
    if function is not None:
        made = scan.owner is not None and function.name in ("__init__", "__new__", "__post_init__")
        name = scan.owner.name if made and scan.owner is not None else function.name
        scan.asking_for_loops.append((len(scan.rules) - 1, name))


def put_behind(scan: Scan, tree: ast.Module) -> tuple[tuple[str, int], ...]:
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
