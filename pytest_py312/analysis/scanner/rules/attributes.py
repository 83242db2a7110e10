"""Rules for attributes: misspelt assertions of mocks, and attributes that are new or deprecated."""

import ast
import re

from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import Value

MOCK_TYPES = re.compile(r"(?:NonCallable)?(?:Magic)?Mock\(\)|AsyncMock\(\)|patch(?:\.object)?\(\)")
MISSPELT_ASSERTIONS = frozenset(
    {"any_call", "called_once", "called_once_with", "called_with", "has_calls", "not_called"}
)
"""Assertions without their prefix ``assert_``: a mock took them for attributes, and they never failed."""
ENTRY_POINTS_AS_DICT = frozenset(f"entry_points().{name}" for name in ("get", "items", "keys", "values"))
_CHECKED_ATTRIBUTES = MISSPELT_ASSERTIONS | {"bit_count", "co_lnotab", "s", "n"}
_MISSPELT_PREFIXES = ("asert", "aseert", "assrt")
"""Misspellings of ``assert`` that mocks detect."""


def note_assert(scan: ScanState, node: ast.Assert) -> None:
    """Record what an ``assert`` statement tests: ``assert m.called_once``, ``assert m.called_with(1)``."""
    for test in node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]:
        attribute = test.func if isinstance(test, ast.Call) else test
        if isinstance(attribute, ast.Attribute) and attribute.attr in MISSPELT_ASSERTIONS:
            scan.asserted_positions.add((attribute.lineno, attribute.col_offset))


def _mock_rule(scan: ScanState, node: ast.Attribute) -> str:
    """Return the rule for a misspelt assertion of a mock: inside an ``assert`` statement, it has another remedy."""
    is_asserted = (node.lineno, node.col_offset) in scan.asserted_positions
    return "mock-assertion-asserted" if is_asserted else "mock-assertion"


def check_untyped_attribute(scan: ScanState, node: ast.Attribute) -> None:
    if node.attr not in _CHECKED_ATTRIBUTES:  # shortcut for nearly all attributes
        if node.attr[:2] == "as" and node.attr.startswith(_MISSPELT_PREFIXES) and _uses_mocks(scan):
            scan.add_rule_match("mock-misspelt", node, node.attr, sure=False)
        return
    if node.attr == "bit_count" and not any(
        module_import.module.startswith(("numpy", "gmpy2")) for module_import in scan.imports
    ):
        scan.add_rule_match("bit-count", node, node.attr, sure=False)
    is_of_requests_mock = node.attr == "called_once" and _uses_requests_mock(scan)
    if (
        node.attr in MISSPELT_ASSERTIONS
        and isinstance(node.ctx, ast.Load)
        and _uses_mocks(scan)
        and not is_of_requests_mock
    ):
        scan.add_rule_match(_mock_rule(scan, node), node, node.attr, sure=False)
    if node.attr == "co_lnotab" and isinstance(node.ctx, ast.Load):
        scan.add_rule_match("co-lnotab", node, "co_lnotab")
    if node.attr in ("s", "n") and _is_ast_node(scan, node.value):
        scan.add_rule_match("ast-value", node, f"ast.Constant.{node.attr}", sure=False)


_AST_FIELDS = frozenset(
    {"args", "comparators", "elts", "keys", "left", "msg", "right", "slice", "test", "value", "values"}
)


def _is_ast_node(scan: ScanState, node: ast.expr) -> bool:
    """Return whether an expression is probably a node: ``tree.body[0].value`` or ``call.args[0]`` in a file that uses
    ``ast``.
    """
    inner = node.value if isinstance(node, ast.Subscript) else node
    has_field_name = isinstance(inner, ast.Attribute) and inner.attr in _AST_FIELDS
    return has_field_name and any(module_import.module == "ast" for module_import in scan.imports)


def check_builtin_attribute(scan: ScanState, node: ast.Attribute, value: Value) -> None:
    """Refer to one of the few attributes of builtin types that are new."""
    if node.attr in ("bit_count", "add_note"):
        scan.refer(node, value, "method", name=node.attr)


def check_stdlib_attribute(scan: ScanState, node: ast.Attribute, value: Value) -> None:
    if node.attr == "co_lnotab":
        scan.add_rule_match("co-lnotab", node, "co_lnotab")
    module = value.module
    if module == "unittest.mock":
        if node.attr in MISSPELT_ASSERTIONS and MOCK_TYPES.match(value.path):
            scan.add_rule_match(_mock_rule(scan, node), node, node.attr)
        elif node.attr.startswith(_MISSPELT_PREFIXES) and MOCK_TYPES.match(value.path):
            scan.add_rule_match("mock-misspelt", node, node.attr)
    elif module == "ast":
        if node.attr in ("s", "n") and "()." in value.path:
            scan.add_rule_match("ast-value", node, f"ast.Constant.{node.attr}", sure=False)
    elif module == "importlib.metadata" and value.path in ENTRY_POINTS_AS_DICT:
        scan.add_rule_match("entry-points-mapping", node, f"importlib.metadata.{value.path}")


def _uses_mocks(scan: ScanState) -> bool:
    return any(
        module_import.module in ("mock", "unittest.mock", "pytest_mock")
        or (module_import.module, module_import.name) == ("unittest", "mock")
        for module_import in scan.imports
    )


def _uses_requests_mock(scan: ScanState) -> bool:
    """Return whether the file uses requests_mock, whose requests have a property ``called_once``."""
    return any(module_import.module.partition(".")[0] == "requests_mock" for module_import in scan.imports)
