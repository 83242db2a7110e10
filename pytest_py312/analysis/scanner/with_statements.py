"""Read ``with`` statements that suppress exceptions or warnings."""

import ast

from pytest_py312.analysis.scanner.evaluation import dynamic_names
from pytest_py312.analysis.scanner.evaluation.exception_handlers import RAISES_ASSERTIONS, exception_names
from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    ENDS,
    HANDLERS,
    ScanState,
    read_block,
    read_branches,
    visit,
)
from pytest_py312.analysis.scanner.evaluation.values import CONTEXT_MANAGER
from pytest_py312.analysis.scanner.facts.facts import SILENCED_WARNINGS, Condition
from pytest_py312.analysis.scanner.operations import bind_target
from pytest_py312.analysis.scanner.rules import operators


def read_with(scan: ScanState, node: ast.With | ast.AsyncWith) -> Condition | None:
    outer_guard = scan.guard
    for item in node.items:
        value = visit(scan, item.context_expr)
        operators.check_context_manager(scan, item.context_expr, value)
        caught = _suppressed_exceptions(scan, item.context_expr)
        if stdlib_name(value) == "warnings.catch_warnings()" and _silences_warnings(node.body, item.context_expr):
            caught = (SILENCED_WARNINGS,)
        if caught:
            scan.guard = scan.nested_guard((), caught)
        if item.optional_vars is not None:
            bind_target(scan, item.optional_vars, operators.entered_value(value))
    if scan.guard == outer_guard:
        return ENDS if read_block(scan, node.body) else None

    def body() -> bool:
        read_block(scan, node.body)
        scan.guard = outer_guard
        return False

    read_branches(scan, body, lambda: False)  # names keep their old value if an exception ended the body early
    return None


def _suppressed_exceptions(scan: ScanState, node: ast.expr) -> tuple[str, ...]:
    if not isinstance(node, ast.Call):
        return ()
    manager = resolve_name(scan, node.func)
    if manager.kind is CONTEXT_MANAGER:
        suppressed: tuple[str, ...] = manager.data
        return suppressed
    name = stdlib_name(manager)
    method_name = last_name(node.func)
    if name.startswith("unittest.mock.patch") and dynamic_names.has_constant_keyword(node, "create"):
        return ("AttributeError",)  # the patched name exists inside the block
    if name == "contextlib.suppress" or method_name in RAISES_ASSERTIONS:
        return tuple(
            sorted(
                filter(None, (caught_name for argument in node.args for caught_name in exception_names(scan, argument)))
            )
        )
    if method_name in ("warns", "assertWarns", "assertWarnsRegex", "deprecated_call") and not name:
        return (SILENCED_WARNINGS,)
    return ()


def _silences_warnings(body: list[ast.stmt], node: ast.expr) -> bool:
    """Return whether ``with warnings.catch_warnings(...)`` keeps warnings from being shown."""
    if any(keyword.arg in ("record", "action") for keyword in getattr(node, "keywords", ())):
        return True
    calls = [
        statement.value
        for statement in body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    ]
    ignoring = [call for call in calls if last_name(call.func) in ("simplefilter", "filterwarnings")]
    return any(call.args and getattr(call.args[0], "value", "") == "ignore" for call in ignoring)


HANDLERS[ast.With] = read_with
HANDLERS[ast.AsyncWith] = read_with
