"""Marks that skip tests, and decorators that do by the look of them.

What the preparation of a class of tests skips, none of its tests runs.
"""

import ast
import re
from typing import Any

from pytest_py312.analysis.scanner.evaluation.conditions import condition_of, negated
from pytest_py312.analysis.scanner.evaluation.names import last_name
from pytest_py312.analysis.scanner.evaluation.scan_state import UNSURE, Scan
from pytest_py312.analysis.scanner.evaluation.values import SKIP, STD, OwnClass, Value
from pytest_py312.analysis.scanner.facts.facts import Condition

SKIP_EXCEPTIONS = frozenset({"SkipTest", "Skipped"})
"""What unittest and pytest raise to skip a test."""
SKIPPERS = frozenset({"skipif", "skipIf", "skipUnless", "xfail"})


def skip_of(scan: Scan, node: ast.expr) -> Condition:
    """Under which condition a decorator (or ``pytestmark``) skips what it marks."""
    if isinstance(node, ast.Name):
        value = scan.get(node.id)
        return value.data if value is not None and value.kind is SKIP else UNSURE
    if isinstance(node, (ast.List, ast.Tuple)):
        found = [skip_of(scan, item) for item in node.elts]
        known = [one for one in found if one != UNSURE]
        return ("or", *known) if known else UNSURE
    if not isinstance(node, ast.Call):
        return UNSURE
    name = last_name(node.func)
    if name not in SKIPPERS:
        return _without_module(scan, name, node)
    given = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "condition"), None)
    if given is None:
        return UNSURE
    if name in ("skipif", "skipIf", "xfail"):
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            return _of_text(scan, given.value)
        return condition_of(scan, given)
    return negated(condition_of(scan, given)) if name == "skipUnless" else UNSURE


_NEEDING = re.compile(r"skip|requir|need|import|without|missing|depend|has_|unless|only_", re.IGNORECASE)


def _without_module(scan: Scan, name: str, node: ast.Call) -> Condition:
    """``@skip_without("imp")``, ``@requires_module("asyncore")``"""
    first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    if not isinstance(first, str) or not _NEEDING.search(name) or not first.replace(".", "").isidentifier():
        return UNSURE
    return ("not", ("has", first, "")) if scan.is_standard(first) else UNSURE


def _of_text(scan: Scan, text: str) -> Condition:
    """``skipif("sys.version_info >= (3, 12)")``: pytest gives such texts ``sys``, ``os`` and ``platform``."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return UNSURE
    before, scan.names = scan.names, {**scan.names, "sys": Value(STD, "sys"), "platform": Value(STD, "platform")}
    found = condition_of(scan, tree.body)
    scan.names = before
    return found


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
