"""Rules for operators, protocols and values that a comparison of two standard libraries cannot show.

Each check records a match under the name of a rule; ``analysis/judging/rule_table.py`` defines the meaning of the rule
and its release.
"""

import ast
import re

from pytest_py312.analysis.scanner.evaluation import dynamic_names
from pytest_py312.analysis.scanner.evaluation.environment_tests import misordered_version, version_part
from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.skip_marks import SKIP_EXCEPTIONS
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    COLLECTION,
    COROUTINE,
    ELEMENT_MODULES,
    FOREIGN,
    NAMESPACE,
    OBJECT,
    PARTIAL_TEXT,
    STDLIB,
    TEXT,
    TUPLE,
    UNKNOWN,
    DictKeys,
    Value,
    alternatives,
)
from pytest_py312.analysis.scanner.facts.facts import Condition, enclosing_guards
from pytest_py312.analysis.scanner.facts.stdlib_names import BUILTIN_TYPES
from pytest_py312.analysis.scanner.rules import classes, newer_features, xml_elements

NOT_ENTERED_AS_SELF = frozenset({
    "tempfile.TemporaryDirectory()", "threading.Lock()", "threading.RLock()", "threading.Condition()",
    "threading.Semaphore()", "threading.BoundedSemaphore()", "warnings.catch_warnings()", "asyncio.Lock()",
    "contextlib.suppress()", "contextlib.closing()", "contextlib.nullcontext()", "contextlib.redirect_stdout()",
    "contextlib.redirect_stderr()", "decimal.localcontext()", "multiprocessing.Lock()", "multiprocessing.Manager()",
})  # fmt: skip
"""Context managers that bind something other than themselves in ``with ... as``."""
MAX_TEXT_LENGTH = 20_000
FORMER_SEQUENCES = {
    "fileinput.FileInput()": "fileinput.FileInput",
    "fileinput.input()": "fileinput.FileInput",
    "wsgiref.util.FileWrapper()": "wsgiref.util.FileWrapper",
    "xml.dom.pulldom.DOMEventStream()": "xml.dom.pulldom.DOMEventStream",
    "xml.dom.pulldom.parse()": "xml.dom.pulldom.DOMEventStream",
    "xml.dom.pulldom.parseString()": "xml.dom.pulldom.DOMEventStream",
}
"""Values that formerly supported indexing -> the name of their class."""
COROUTINE_CALLS = frozenset({
    "asyncio.sleep()", "asyncio.wait_for()", "asyncio.to_thread()", "asyncio.open_connection()", "asyncio.wait()",
    "asyncio.start_server()", "asyncio.create_subprocess_exec()", "asyncio.create_subprocess_shell()",
    "asyncio.Queue().get()", "asyncio.Queue().put()", "asyncio.Queue().join()", "asyncio.Event().wait()",
    "asyncio.Lock().acquire()", "asyncio.Semaphore().acquire()", "asyncio.Condition().wait()",
})  # fmt: skip
"""Calls that return a coroutine, which has to be awaited or wrapped in a task."""


def is_coroutine(value: Value) -> bool:
    """Return whether a value is a coroutine that has not been started."""
    if value.kind is COROUTINE:
        return value.data is not list
    return value.module == "asyncio" and stdlib_name(value) in COROUTINE_CALLS


def stdlib_iteration_item(source: Value) -> Value:
    """Return the value of an item when iterating over a stdlib value."""
    if source.module == "threading" and source.path == "enumerate()":
        return Value(STDLIB, "threading", "Thread()", source.guard)
    if source.module == "pkgutil" and source.path in ("iter_modules()", "walk_packages()"):
        return Value(TUPLE, data=(Value(STDLIB, "importlib.machinery", "FileFinder()", source.guard),))
    return xml_elements.element_of(source) or UNKNOWN


def subscript_result(scan: ScanState, node: ast.Subscript, value: Value) -> Value:
    if stdlib_name(value) == "sys.modules":
        name = getattr(node.slice, "value", None)
        return scan.module_value(name) if isinstance(name, str) and name.isidentifier() else UNKNOWN
    if value.kind is NAMESPACE and isinstance(getattr(node.slice, "value", None), str):
        return dynamic_names.attribute_by_name(scan, node, value.data, node.slice.value)  # type: ignore[attr-defined]
    if value.data.__class__ is DictKeys:
        return value.data.value_of(getattr(node.slice, "value", None))
    if value.kind is COLLECTION:
        return value if isinstance(node.slice, ast.Slice) else value.data
    if value.module in ELEMENT_MODULES and value.kind is STDLIB and not isinstance(node.slice, ast.Slice):
        return stdlib_iteration_item(value)
    if stdlib_name(value) in FORMER_SEQUENCES:
        scan.add_rule_match("no-items", node, FORMER_SEQUENCES[stdlib_name(value)])
    if stdlib_name(value) == "importlib.metadata.entry_points()":
        by_name = isinstance(node.slice, ast.Name) or isinstance(getattr(node.slice, "value", None), str)
        if by_name:
            scan.add_rule_match("entry-points-mapping", node, "importlib.metadata.entry_points")
    if value.kind is CLASS and classes.is_enum(value.data):
        return Value(OBJECT, data=value.data)
    return UNKNOWN


# ---- truth


def check_truth(scan: ScanState, node: ast.expr, value: Value) -> None:
    """Match ``if NotImplemented:`` and ``if element:``."""
    if isinstance(node, ast.Name) and node.id == "NotImplemented":
        scan.add_rule_match("not-implemented-truth", node, "NotImplemented")
    else:
        xml_elements.check_element_truth(scan, node, value)


_BOOLEAN_CALLS = frozenset({
    "all()", "any()", "bool()", "callable()", "hasattr()", "isinstance()", "issubclass()",
})  # fmt: skip
MEMBERSHIP_OPERATORS = frozenset({ast.In, ast.NotIn})


def check_membership(scan: ScanState, node: ast.Compare, operands: list[Value]) -> None:
    """Match ``"group" in entry_points()``."""
    for op, left, right in zip(node.ops, operands, operands[1:], strict=False):
        if op.__class__ in MEMBERSHIP_OPERATORS:
            newer_features.enum_membership(scan, node, left, right)
        is_text_lookup = left.kind is TEXT and op.__class__ in MEMBERSHIP_OPERATORS
        if is_text_lookup and stdlib_name(right) == "importlib.metadata.entry_points()":
            scan.add_rule_match("entry-points-mapping", node, "importlib.metadata.entry_points")


def check_inversion(scan: ScanState, node: ast.UnaryOp, value: Value) -> None:
    if value.kind is STDLIB and value.module == "builtins" and value.path in _BOOLEAN_CALLS:
        scan.add_rule_match("bool-invert", node, "~")


def binary_operation_result(scan: ScanState, node: ast.BinOp, left: Value, right: Value) -> Value:
    if isinstance(node.op, ast.Div):
        for value in (left, right):
            if value.module == "pathlib" and value.is_instance:
                return value
        return Value(STDLIB, "builtins", "division()")
    if isinstance(node.op, ast.Mod) and left.kind is TEXT:
        classes.check_printf(scan, node, left.data, right)
        return Value(PARTIAL_TEXT, data=re.sub(r"%(?:\(\w+\))?[sdr]", "x", left.data))
    if isinstance(node.op, ast.Add) and (left.kind in (TEXT, PARTIAL_TEXT) or right.kind in (TEXT, PARTIAL_TEXT)):
        both = TEXT if left.kind is right.kind is TEXT else PARTIAL_TEXT
        parts = [operand.data if operand.kind in (TEXT, PARTIAL_TEXT) else "x" for operand in (left, right)]
        return Value(both, data="".join(parts)) if len(parts[0]) + len(parts[1]) < MAX_TEXT_LENGTH else UNKNOWN
    if isinstance(node.op, ast.BitOr) and _are_types(scan, node, left, right):
        scan.add_rule_match("union-of-types", node, "X | Y")
    if isinstance(node.op, ast.BitOr) and (
        old_options := [operand for operand in (left, right) if _is_old_option(operand)]
    ):
        return old_options[0]
    is_set = left.module == "builtins" and left.path in ("set()", "frozenset()")
    if is_set and node.op.__class__ in (ast.BitOr, ast.BitAnd, ast.Sub):
        return left
    for value in (left, right):
        if value.kind is STDLIB and value.module == "builtins" and value.path == "float()":
            return value
        if value.kind is COROUTINE:
            return value
    return UNKNOWN


def _is_old_option(value: Value) -> bool:
    return value.module == "ssl" and _OLD_OPTION.fullmatch(stdlib_name(value)) is not None


def _are_types(scan: ScanState, node: ast.BinOp, left: Value, right: Value) -> bool:
    """Return whether ``|`` joins types: one side certainly is a type, and the other has a name that may be one."""
    is_left, is_right = _is_type(scan, node.left, left), _is_type(scan, node.right, right)
    if is_left and is_right:
        return True
    other, value = (node.right, right) if is_left else (node.left, left)
    if not (is_left or is_right):
        return False
    inner = other.value if isinstance(other, ast.Subscript) else other
    other_value = resolve_name(scan, inner) if inner is not other else value
    if other_value.kind is STDLIB and other_value.module != "builtins":
        return bool(other_value.path) and "()" not in other_value.path
    return other_value.kind is FOREIGN and isinstance(inner, ast.Name | ast.Attribute)


def _is_type(scan: ScanState, node: ast.expr, value: Value) -> bool:
    """Return whether an expression is a class, ``None``, or a union of such."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr) and _is_type(scan, node.left, UNKNOWN)
    if isinstance(node, ast.Subscript):
        return _is_type(scan, node.value, UNKNOWN)
    if isinstance(node, ast.Name):
        return value.kind is CLASS or (node.id in BUILTIN_TYPES and scan.lookup(node.id) is None)
    return isinstance(node, ast.Constant) and node.value is None


# ---- ``with``


def check_context_manager(scan: ScanState, node: ast.expr, value: Value) -> None:
    paths = ("Path()", "PosixPath()", "PurePath()", "WindowsPath()")
    if value.kind is STDLIB and value.module == "pathlib" and value.path in paths:
        scan.add_rule_match("path-context", node, f"pathlib.{value.path[:-2]}")


def entered_value(value: Value) -> Value:
    """Return the value that ``with value as name`` binds: mostly the value itself."""
    if value.kind is OBJECT and value.data.get("__enter__") is None and not value.data.foreign_bases():
        return value
    if value.is_instance and stdlib_name(value) not in NOT_ENTERED_AS_SELF and not value.path.startswith("TestCase()"):
        return value
    return UNKNOWN


# ---- assignments


OLD_TLS = frozenset({"ssl.TLSVersion.SSLv3", "ssl.TLSVersion.TLSv1", "ssl.TLSVersion.TLSv1_1"})
_OLD_OPTION = re.compile(r"ssl\.OP_NO_TLSv\w+")
"""Only options that are not set by default warn: SSLv3 is always disabled, and the option for SSLv2 has no bit."""


def check_stdlib_assignment(scan: ScanState, node: ast.Attribute, target: Value, value: Value) -> None:
    if node.attr == "extraction_filter" and target.module == "tarfile":
        scan.has_tar_filter = True
    if target.module == "ssl" and node.attr in ("minimum_version", "maximum_version") and stdlib_name(value) in OLD_TLS:
        scan.add_rule_match("ssl-old-version", node, f"ssl.{value.path}")
    if target.module == "ssl" and node.attr == "options":
        _check_ssl_options(scan, node, value)


def check_augmented_assignment(scan: ScanState, node: ast.AugAssign, value: Value) -> None:
    """Match ``context.options |= ssl.OP_NO_TLSv1``."""
    if isinstance(node.target, ast.Attribute) and node.target.attr == "options":
        _check_ssl_options(scan, node, value)


def _check_ssl_options(scan: ScanState, node: ast.AugAssign | ast.Attribute, value: Value) -> None:
    for alternative in alternatives(value):
        if _OLD_OPTION.fullmatch(stdlib_name(alternative)):
            scan.add_rule_match("ssl-old-options", node, stdlib_name(alternative))
            return


# ---- version tests


def check_version_cut(scan: ScanState, node: ast.Subscript) -> None:
    """Match ``sys.version[:3]``, which is "3.1" from 3.10 on, wherever it is used."""
    if scan.may_mention_version and version_part(scan, node) == "text 3":
        scan.add_rule_match("version-cut", node, ast.unparse(node))


def check_version_order(scan: ScanState, node: ast.Compare) -> None:
    """Match ``sys.version[:3] >= "3.7"``, which is false from 3.10 on."""
    version = misordered_version(scan, node)
    if version:
        scan.add_rule_match("version-as-text", node, version)


def check_version_refusal(scan: ScanState, last: ast.stmt, condition: Condition, *, sure: bool) -> None:
    """Match code that refuses to run on some versions: ``if sys.version_info >= (3, 12): raise ...``.

    :param last: the last statement of what runs under ``condition``, or the assertion.
    :param sure: whether it runs as soon as the module does; else only what calls its function is refused.
    """
    tested = condition[1] if condition[0] == "not" else condition
    if tested[0] != "version" or any(guard.caught for guard in enclosing_guards(scan.guards, scan.guard)):
        return
    if isinstance(last, ast.Raise) and _is_harmless_exit(last.exc):
        return
    if isinstance(last, ast.Raise | ast.Assert) or (
        isinstance(last, ast.Expr) and _exits_with_failure(scan, last.value)
    ):
        with scan.restored("guard"):
            scan.guard = scan.nested_guard(condition)
            scan.add_rule_match("refuses" if sure else "refuses-call", last, "sys.version_info")


def _is_harmless_exit(node: ast.expr | None) -> bool:
    """Return whether an exception is harmless: ``SystemExit``, ``SystemExit(0)`` or ``unittest.SkipTest("...")``."""
    kind = last_name(node.func if isinstance(node, ast.Call) else node) if node is not None else ""
    code = node.args[0] if isinstance(node, ast.Call) and node.args else None
    ends_well = kind == "SystemExit" and (code is None or getattr(code, "value", "") in (0, None))
    return ends_well or kind in SKIP_EXCEPTIONS


def _exits_with_failure(scan: ScanState, node: ast.expr) -> bool:
    """Return whether a call exits the program with a failure."""
    if not isinstance(node, ast.Call) or not node.args or getattr(node.args[0], "value", "") in (0, None):
        return False
    is_builtin = getattr(node.func, "id", "") in ("exit", "quit")
    return is_builtin or stdlib_name(resolve_name(scan, node.func)) in ("sys.exit", "os._exit")
