"""Rules for operators, protocols and values that a comparison of two standard libraries cannot show.

Each check records a match under the name of a rule; ``analysis/judging/rule_table.py`` defines the meaning of the rule
and its release.

In a file that reads XML, the result of ``find`` on an unknown value is an element if it is later used as one.
"""

import ast
import re

from pytest_py312.analysis.scanner.evaluation import dynamic_names
from pytest_py312.analysis.scanner.evaluation.environment_tests import misordered_version, version_part
from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ELEMENT_MODULES, ScanState
from pytest_py312.analysis.scanner.evaluation.skip_marks import SKIP_EXCEPTIONS
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    COLLECTION,
    COROUTINE,
    FOREIGN,
    NAMESPACE,
    OBJECT,
    PARTIAL_TEXT,
    STDLIB,
    TEXT,
    TUPLE,
    UNKNOWN,
    UNKNOWN_KIND,
    DictKeys,
    Value,
    alternatives,
)
from pytest_py312.analysis.scanner.facts.facts import Condition, enclosing_guards
from pytest_py312.analysis.scanner.facts.stdlib_names import BUILTIN_TYPES
from pytest_py312.analysis.scanner.rules import classes, newer_features

_ELEMENT = re.compile(
    r"(?:Element|SubElement|fromstring|XML)\(\)(?:\.find\(\))?|(?:parse|ElementTree)\(\)\.(?:getroot|find)\(\)"
    r"|(?:parse|ElementTree)\(\)\.getroot\(\)\.find\(\)"
)
_ELEMENTS = re.compile(
    rf"(?:{_ELEMENT.pattern})\.(?:iter|findall|iterfind|getiterator|getchildren)\(\)"
    r"|(?:parse|ElementTree)\(\)\.(?:iter|findall|iterfind)\(\)"
)
"""Calls whose results can be iterated over and contain elements."""
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


# ---- attributes


MOCK_TYPES = re.compile(r"(?:NonCallable)?(?:Magic)?Mock\(\)|AsyncMock\(\)|patch(?:\.object)?\(\)")
MISSPELT_ASSERTIONS = frozenset(
    {"any_call", "called_once", "called_once_with", "called_with", "has_calls", "not_called"}
)
"""Assertions without their prefix ``assert_``: a mock took them for attributes, and they never failed."""


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
        if node.attr[:2] == "as" and node.attr.startswith(_MISSPELT_PREFIXES) and scan.uses_mocks():
            scan.add_rule_match("mock-misspelt", node, node.attr, sure=False)
        return
    if node.attr == "bit_count" and not any(
        module_import.module.startswith(("numpy", "gmpy2")) for module_import in scan.imports
    ):
        scan.add_rule_match("bit-count", node, node.attr, sure=False)
    is_of_requests_mock = node.attr == "called_once" and scan.uses_requests_mock()
    if (
        node.attr in MISSPELT_ASSERTIONS
        and isinstance(node.ctx, ast.Load)
        and scan.uses_mocks()
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


OLD_TLS = frozenset({"ssl.TLSVersion.SSLv3", "ssl.TLSVersion.TLSv1", "ssl.TLSVersion.TLSv1_1"})
_OLD_OPTION = re.compile(r"ssl\.OP_NO_TLSv\w+")
"""Only options that are not set by default warn: SSLv3 is always disabled, and the option for SSLv2 has no bit."""
ENTRY_POINTS_AS_DICT = frozenset(f"entry_points().{name}" for name in ("get", "items", "keys", "values"))


def stdlib_iteration_item(source: Value) -> Value:
    """Return the value of an item when iterating over a stdlib value."""
    if source.module == "threading" and source.path == "enumerate()":
        return Value(STDLIB, "threading", "Thread()", source.guard)
    if source.module == "pkgutil" and source.path in ("iter_modules()", "walk_packages()"):
        return Value(TUPLE, data=(Value(STDLIB, "importlib.machinery", "FileFinder()", source.guard),))
    if source.module in ELEMENT_MODULES and re.fullmatch(f"{_ELEMENT.pattern}|{_ELEMENTS.pattern}", source.path):
        return Value(STDLIB, source.module, "Element()", source.guard)
    return UNKNOWN


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
    """Match ``if element:``."""
    if isinstance(node, ast.Name) and node.id == "NotImplemented":
        scan.add_rule_match("not-implemented-truth", node, "NotImplemented")
    elif value is MAYBE_ELEMENT and isinstance(node, ast.Name):
        scan.truth_tests.append((node, scan.guard, scan.function))
    elif value.kind is STDLIB and value.module in ELEMENT_MODULES and _ELEMENT.fullmatch(value.path):
        scan.add_rule_match("element-truth", node, f"{value.module}.Element")


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


# ---- the whole file


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


MAYBE_ELEMENT = Value(UNKNOWN_KIND, "xml.etree.ElementTree", "find")
_ELEMENT_ATTRIBUTES = frozenset({"attrib", "findall", "findtext", "iter", "itertext", "tag", "tail", "text"})
_OTHER_XML_LIBRARIES = frozenset({"bs4", "lxml", "pyquery"})


def find_result(scan: ScanState, node: ast.Call) -> Value | None:
    """Return a possible element for ``root.find("name")`` in a file that reads XML."""
    if len(node.args) != 1 or node.keywords:
        return None
    modules = {module_import.module for module_import in scan.imports}
    reads_xml = any(module.startswith("xml.etree") or module == "xml" for module in modules)
    has_other_library = not _OTHER_XML_LIBRARIES.isdisjoint(module.partition(".")[0] for module in modules)
    return MAYBE_ELEMENT if reads_xml and not has_other_library else None


def note_element_use(scan: ScanState, name: str, attribute: str) -> None:
    """Record ``found.text`` as the use of an element."""
    if attribute in _ELEMENT_ATTRIBUTES:
        scan.element_names.add((name, scan.function))


def report_element_truths(scan: ScanState) -> None:
    """Match truth tests of values that are used as elements, once the whole file has been read."""
    for node, guard, function in scan.truth_tests:
        if (node.id, function) in scan.element_names:
            scan.guard = guard
            scan.add_rule_match("element-truth", node, "xml.etree.ElementTree.Element", sure=False)
