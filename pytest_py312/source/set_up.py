"""What the preparation of a class of tests skips, none of its tests runs."""

import ast
from typing import Any

from pytest_py312.source.conditions import condition_of, negated
from pytest_py312.source.facts import Condition
from pytest_py312.source.naming import last_name
from pytest_py312.source.skip_marks import SKIP_EXCEPTIONS
from pytest_py312.source.values import OwnClass
from pytest_py312.source.walking import UNSURE, Scan

NAMES = frozenset({"setUp", "setUpClass", "asyncSetUp", "setup_method", "setup_class"})
_SKIPS = frozenset({"skip", "skipTest"})


def prepared(scan: Scan, owner: OwnClass | None, node: Any) -> None:
    """Notes under which conditions a method that prepares tests lets them run; called as its body is read."""
    if owner is None or node.name not in NAMES:
        return
    for statement in node.body:
        if isinstance(statement, ast.If) and not statement.orelse and _skips(statement.body[-1]):
            condition = condition_of(scan, statement.test)
            if condition != UNSURE:
                owner.run_if = (*owner.run_if, negated(condition))


def round_tests(owner: OwnClass | None, name: str) -> Condition:
    """When the methods of a class run that prepare nothing themselves."""
    if owner is None or name in NAMES:
        return ()
    conditions = tuple([condition for one in owner.family() for condition in one.run_if])
    return ("and", *conditions) if conditions else ()


def _skips(node: ast.stmt) -> bool:
    """``raise unittest.SkipTest(...)``, ``self.skipTest(...)``, ``pytest.skip(...)``"""
    if isinstance(node, ast.Raise):
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return last_name(kind) in SKIP_EXCEPTIONS
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and last_name(node.value.func) in _SKIPS
