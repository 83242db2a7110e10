"""``with`` statements: which of them keep exceptions or warnings from doing harm."""

import ast

from pytest_py312.analysis.scanner.evaluation import dynamic_names
from pytest_py312.analysis.scanner.evaluation.exception_handlers import RAISES, exceptions
from pytest_py312.analysis.scanner.evaluation.names import dotted, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import ENDS, HANDLERS, Scan, block, branches, visit
from pytest_py312.analysis.scanner.evaluation.values import MANAGER
from pytest_py312.analysis.scanner.facts.facts import SILENCED, Condition
from pytest_py312.analysis.scanner.operations import bind_target
from pytest_py312.analysis.scanner.rules import operators


def read_with(scan: Scan, node: ast.With | ast.AsyncWith) -> Condition | None:
    before = scan.guard
    for item in node.items:
        value = visit(scan, item.context_expr)
        operators.context(scan, item.context_expr, value)
        caught = _suppressed(scan, item.context_expr)
        if dotted(value) == "warnings.catch_warnings()" and _silences(node.body, item.context_expr):
            caught = (SILENCED,)
        if caught:
            scan.guard = scan.guarded((), caught)
        if item.optional_vars is not None:
            bind_target(scan, item.optional_vars, operators.entered(value))
    if scan.guard == before:
        return ENDS if block(scan, node.body) else None

    def body() -> bool:
        block(scan, node.body)
        scan.guard = before
        return False

    branches(scan, body, lambda: False)  # what it sets may be as it was, if an exception has ended it
    return None


def _suppressed(scan: Scan, node: ast.expr) -> tuple[str, ...]:
    if not isinstance(node, ast.Call):
        return ()
    made = named(scan, node.func)
    if made.kind is MANAGER:
        known: tuple[str, ...] = made.data
        return known
    name = dotted(made)
    last = last_name(node.func)
    if name.startswith("unittest.mock.patch") and dynamic_names.says(node, "create"):
        return ("AttributeError",)  # what is not there is there for as long
    if name == "contextlib.suppress" or last in RAISES:
        return tuple(sorted(filter(None, (one for argument in node.args for one in exceptions(scan, argument)))))
    if last in ("warns", "assertWarns", "assertWarnsRegex", "deprecated_call") and not name:
        return (SILENCED,)
    return ()


def _silences(body: list[ast.stmt], node: ast.expr) -> bool:
    """Whether ``with warnings.catch_warnings(...)`` keeps warnings from being shown."""
    if any(keyword.arg in ("record", "action") for keyword in getattr(node, "keywords", ())):
        return True
    calls = [one.value for one in body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]
    ignoring = [one for one in calls if last_name(one.func) in ("simplefilter", "filterwarnings")]
    return any(one.args and getattr(one.args[0], "value", "") == "ignore" for one in ignoring)


HANDLERS[ast.With] = read_with
HANDLERS[ast.AsyncWith] = read_with
