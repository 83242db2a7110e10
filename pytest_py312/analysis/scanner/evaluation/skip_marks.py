"""Read marks and decorators that skip tests, and set-up methods that skip all tests of a class."""

import ast
import re
from typing import Any

from pytest_py312.analysis.scanner.evaluation.conditions import condition_of, negated
from pytest_py312.analysis.scanner.evaluation.names import last_name
from pytest_py312.analysis.scanner.evaluation.scan_state import UNSURE, ScanState
from pytest_py312.analysis.scanner.evaluation.values import SKIP_MARK, STDLIB, OwnClass, Value
from pytest_py312.analysis.scanner.facts.facts import Condition

SKIP_EXCEPTIONS = frozenset({"SkipTest", "Skipped"})
"""Exceptions of unittest and pytest that skip a test."""
SKIP_DECORATORS = frozenset({"skipif", "skipIf", "skipUnless", "xfail"})


def skip_condition(scan: ScanState, node: ast.expr) -> Condition:
    """Return the condition under which a decorator or ``pytestmark`` skips what it marks."""
    if isinstance(node, ast.Name):
        value = scan.lookup(node.id)
        return value.data if value is not None and value.kind is SKIP_MARK else UNSURE
    if isinstance(node, (ast.List, ast.Tuple)):
        conditions = [skip_condition(scan, item) for item in node.elts]
        decidable = [condition for condition in conditions if condition != UNSURE]
        return ("or", *decidable) if decidable else UNSURE
    if not isinstance(node, ast.Call):
        return UNSURE
    name = last_name(node.func)
    if name not in SKIP_DECORATORS:
        return _missing_module_condition(scan, name, node)
    condition_node = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "condition"), None)
    if condition_node is None:
        return UNSURE
    if name in ("skipif", "skipIf", "xfail"):
        if isinstance(condition_node, ast.Constant) and isinstance(condition_node.value, str):
            return _text_condition(scan, condition_node.value)
        return condition_of(scan, condition_node)
    return negated(condition_of(scan, condition_node)) if name == "skipUnless" else UNSURE


_REQUIREMENT_NAME = re.compile(r"skip|requir|need|import|without|missing|depend|has_|unless|only_", re.IGNORECASE)


def _missing_module_condition(scan: ScanState, name: str, node: ast.Call) -> Condition:
    """Return the condition of ``@skip_without("imp")`` or ``@requires_module("asyncore")``."""
    first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    if not isinstance(first, str) or not _REQUIREMENT_NAME.search(name) or not first.replace(".", "").isidentifier():
        return UNSURE
    return ("not", ("has", first, "")) if scan.is_stdlib_module(first) else UNSURE


def _text_condition(scan: ScanState, text: str) -> Condition:
    """Return the condition of ``skipif("sys.version_info >= (3, 12)")``.

    pytest evaluates such strings with ``sys``, ``os`` and ``platform``.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return UNSURE
    with scan.restored("scope"):
        scan.scope = {**scan.scope, "sys": Value(STDLIB, "sys"), "platform": Value(STDLIB, "platform")}
        return condition_of(scan, tree.body)


SETUP_METHODS = frozenset({"setUp", "setUpClass", "asyncSetUp", "setup_method", "setup_class"})
_SKIP_METHODS = frozenset({"skip", "skipTest"})


def record_setup_skips(scan: ScanState, owner: OwnClass | None, node: Any) -> None:
    """Record the conditions under which a set-up method lets the tests of its class run."""
    if owner is None or node.name not in SETUP_METHODS:
        return
    for statement in node.body:
        if isinstance(statement, ast.If) and not statement.orelse and _is_skip(statement.body[-1]):
            condition = condition_of(scan, statement.test)
            if condition != UNSURE:
                owner.run_conditions = (*owner.run_conditions, negated(condition))


def test_method_condition(owner: OwnClass | None, name: str) -> Condition:
    """Return when the test methods of a class run. Set-up methods are not affected."""
    if owner is None or name in SETUP_METHODS:
        return ()
    conditions = tuple([condition for ancestor in owner.own_mro() for condition in ancestor.run_conditions])
    return ("and", *conditions) if conditions else ()


def _is_skip(node: ast.stmt) -> bool:
    """Return whether a statement is ``raise SkipTest(...)``, ``self.skipTest(...)`` or ``pytest.skip(...)``."""
    if isinstance(node, ast.Raise):
        kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return last_name(kind) in SKIP_EXCEPTIONS
    return (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and last_name(node.value.func) in _SKIP_METHODS
    )
