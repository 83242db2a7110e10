"""What no difference of two libraries can show, apart from calls: operators, protocols and values.

Each finder notes a fact under the name of a rule; ``analysis/judging/rule_table.py`` says what the rule means and since
when it holds.

What ``find`` of something unknown gives, in a file that reads XML: an element, where it is then used as one.
"""

import ast
import re

from pytest_py312.analysis.scanner.evaluation import dynamic_names
from pytest_py312.analysis.scanner.evaluation.names import dotted, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import ELEMENT_MODULES, Scan
from pytest_py312.analysis.scanner.evaluation.skip_marks import SKIP_EXCEPTIONS
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    COROUTINE,
    FOREIGN,
    ITEMS,
    NAMESPACE,
    NOTHING_KNOWN,
    OBJECT,
    RECORD,
    STD,
    TEMPLATE,
    TEXT,
    UNKNOWN,
    Keys,
    Value,
    alternatives,
)
from pytest_py312.analysis.scanner.facts.facts import Condition
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
"""What these give can be looped over, and holds elements."""
NO_SELF = frozenset({
    "tempfile.TemporaryDirectory()", "threading.Lock()", "threading.RLock()", "threading.Condition()",
    "threading.Semaphore()", "threading.BoundedSemaphore()", "warnings.catch_warnings()", "asyncio.Lock()",
    "contextlib.suppress()", "contextlib.closing()", "contextlib.nullcontext()", "contextlib.redirect_stdout()",
    "contextlib.redirect_stderr()", "decimal.localcontext()", "multiprocessing.Lock()", "multiprocessing.Manager()",
})  # fmt: skip
"""What these give to ``with ... as`` is something else than they are."""
LONGEST_TEXT = 20_000
NO_ITEMS = {
    "fileinput.FileInput()": "fileinput.FileInput",
    "fileinput.input()": "fileinput.FileInput",
    "wsgiref.util.FileWrapper()": "wsgiref.util.FileWrapper",
    "xml.dom.pulldom.DOMEventStream()": "xml.dom.pulldom.DOMEventStream",
    "xml.dom.pulldom.parse()": "xml.dom.pulldom.DOMEventStream",
    "xml.dom.pulldom.parseString()": "xml.dom.pulldom.DOMEventStream",
}
"""What gives things that were once asked for their items, and by which name these go."""


COROUTINES = frozenset({
    "asyncio.sleep()", "asyncio.wait_for()", "asyncio.to_thread()", "asyncio.open_connection()", "asyncio.wait()",
    "asyncio.start_server()", "asyncio.create_subprocess_exec()", "asyncio.create_subprocess_shell()",
    "asyncio.Queue().get()", "asyncio.Queue().put()", "asyncio.Queue().join()", "asyncio.Event().wait()",
    "asyncio.Lock().acquire()", "asyncio.Semaphore().acquire()", "asyncio.Condition().wait()",
})  # fmt: skip
"""Standard coroutines: what calls of these give has to be awaited, or made a task of."""


def is_coroutine(value: Value) -> bool:
    """Whether a value is a coroutine that has not been started."""
    if value.kind is COROUTINE:
        return value.data is not list
    return value.module == "asyncio" and dotted(value) in COROUTINES


# ---- attributes


MOCKS = re.compile(r"(?:NonCallable)?(?:Magic)?Mock\(\)|AsyncMock\(\)|patch(?:\.object)?\(\)")
MISSPELT = frozenset({"any_call", "called_once", "called_once_with", "called_with", "has_calls", "not_called"})
"""Assertions without their ``assert_``: a mock took them for attributes, and they never failed."""


_NOTABLE = MISSPELT | {"bit_count", "co_lnotab", "s", "n"}
_SWAPPED = ("asert", "aseert", "assrt")
"""How ``assert`` is misspelt, as mocks know it."""


def attribute_of_unknown(scan: Scan, node: ast.Attribute) -> None:
    if node.attr not in _NOTABLE:  # nearly all
        if node.attr[:2] == "as" and node.attr.startswith(_SWAPPED) and scan.names_mocks():
            scan.rule("mock-misspelt", node, node.attr, sure=False)
        return
    if node.attr == "bit_count" and not any(one.module.startswith(("numpy", "gmpy2")) for one in scan.imports):
        scan.rule("bit-count", node, node.attr, sure=False)
    if node.attr in MISSPELT and isinstance(node.ctx, ast.Load) and scan.names_mocks():
        scan.rule("mock-assertion", node, node.attr, sure=False)
    if node.attr == "co_lnotab" and isinstance(node.ctx, ast.Load):
        scan.rule("co-lnotab", node, "co_lnotab")
    if node.attr in ("s", "n") and _is_part_of_tree(scan, node.value):
        scan.rule("ast-value", node, f"ast.Constant.{node.attr}", sure=False)


_PARTS = frozenset({"args", "comparators", "elts", "keys", "left", "msg", "right", "slice", "test", "value", "values"})


def _is_part_of_tree(scan: Scan, node: ast.expr) -> bool:
    """``tree.body[0].value``, ``call.args[0]``: what a file that uses ``ast`` calls so is a node."""
    inner = node.value if isinstance(node, ast.Subscript) else node
    named_so = isinstance(inner, ast.Attribute) and inner.attr in _PARTS
    return named_so and any(one.module == "ast" for one in scan.imports)


def attribute_of_builtin(scan: Scan, node: ast.Attribute, value: Value) -> None:
    """Builtin types are the same everywhere but for a few methods."""
    if node.attr in ("bit_count", "add_note"):
        scan.refer(node, value, "method", name=node.attr)


def attribute_of_standard(scan: Scan, node: ast.Attribute, value: Value) -> None:
    if node.attr == "co_lnotab":
        scan.rule("co-lnotab", node, "co_lnotab")
    module = value.module
    if module == "unittest.mock":
        if node.attr in MISSPELT and MOCKS.match(value.path):
            scan.rule("mock-assertion", node, node.attr)
        elif node.attr.startswith(_SWAPPED) and MOCKS.match(value.path):
            scan.rule("mock-misspelt", node, node.attr)
    elif module == "ast":
        if node.attr in ("s", "n") and "()." in value.path:
            scan.rule("ast-value", node, f"ast.Constant.{node.attr}", sure=False)
    elif module == "importlib.metadata" and value.path in ENTRY_POINTS:
        scan.rule("entry-points-mapping", node, f"importlib.metadata.{value.path}")


OLD_TLS = frozenset({"ssl.TLSVersion.SSLv3", "ssl.TLSVersion.TLSv1", "ssl.TLSVersion.TLSv1_1"})
_OLD_OPTION = re.compile(r"ssl\.OP_NO_TLSv\w+")
"""Only what is not set yet warns: SSLv3 is forbidden from the start, and the option of SSLv2 has no bit."""
ENTRY_POINTS = frozenset(f"entry_points().{name}" for name in ("get", "items", "keys", "values"))


def item_of_standard(source: Value) -> Value:
    """What a loop over something standard gives."""
    if source.module == "threading" and source.path == "enumerate()":
        return Value(STD, "threading", "Thread()", source.guard)
    if source.module == "pkgutil" and source.path in ("iter_modules()", "walk_packages()"):
        return Value(RECORD, data=(Value(STD, "importlib.machinery", "FileFinder()", source.guard),))
    if source.module in ELEMENT_MODULES and re.fullmatch(f"{_ELEMENT.pattern}|{_ELEMENTS.pattern}", source.path):
        return Value(STD, source.module, "Element()", source.guard)
    return UNKNOWN


def item_of(scan: Scan, node: ast.Subscript, value: Value) -> Value:
    if dotted(value) == "sys.modules":
        name = getattr(node.slice, "value", None)
        return scan.module_value(name) if isinstance(name, str) and name.isidentifier() else UNKNOWN
    if value.kind is NAMESPACE and isinstance(getattr(node.slice, "value", None), str):
        return dynamic_names.attribute_by_name(scan, node, value.data, node.slice.value)  # type: ignore[attr-defined]
    if value.data.__class__ is Keys:
        return value.data.at(getattr(node.slice, "value", None))
    if value.kind is ITEMS:
        return value if isinstance(node.slice, ast.Slice) else value.data
    if value.module in ELEMENT_MODULES and value.kind is STD and not isinstance(node.slice, ast.Slice):
        return item_of_standard(value)
    if dotted(value) in NO_ITEMS:
        scan.rule("no-items", node, NO_ITEMS[dotted(value)])
    if dotted(value) == "importlib.metadata.entry_points()":
        by_name = isinstance(node.slice, ast.Name) or isinstance(getattr(node.slice, "value", None), str)
        if by_name:
            scan.rule("entry-points-mapping", node, "importlib.metadata.entry_points")
    if value.kind is CLASS and classes.is_enum(value.data):
        return Value(OBJECT, data=value.data)
    return UNKNOWN


# ---- truth


def truth_of(scan: Scan, node: ast.expr, value: Value) -> None:
    """``if element:``"""
    if isinstance(node, ast.Name) and node.id == "NotImplemented":
        scan.rule("not-implemented-truth", node, "NotImplemented")
    elif value is FOUND and isinstance(node, ast.Name):
        asked(scan, node)
    elif value.kind is STD and value.module in ELEMENT_MODULES and _ELEMENT.fullmatch(value.path):
        scan.rule("element-truth", node, f"{value.module}.Element")


_TRUTHS = frozenset({
    "all()", "any()", "bool()", "callable()", "hasattr()", "isinstance()", "issubclass()",
})  # fmt: skip


CONTAINMENT = frozenset({ast.In, ast.NotIn})


def membership(scan: Scan, node: ast.Compare, found: list[Value]) -> None:
    """``"group" in entry_points()``"""
    for op, left, right in zip(node.ops, found, found[1:], strict=False):
        if op.__class__ in CONTAINMENT:
            newer_features.membership(scan, node, left, right)
        is_asked = left.kind is TEXT and op.__class__ in CONTAINMENT
        if is_asked and dotted(right) == "importlib.metadata.entry_points()":
            scan.rule("entry-points-mapping", node, "importlib.metadata.entry_points")


def inverted(scan: Scan, node: ast.UnaryOp, value: Value) -> None:
    if value.kind is STD and value.module == "builtins" and value.path in _TRUTHS:
        scan.rule("bool-invert", node, "~")


def operation(scan: Scan, node: ast.BinOp, left: Value, right: Value) -> Value:
    if isinstance(node.op, ast.Div):
        for value in (left, right):
            if value.module == "pathlib" and value.is_instance:
                return value
        return Value(STD, "builtins", "division()")
    if isinstance(node.op, ast.Mod) and left.kind is TEXT:
        classes.printf(scan, node, left.data, right)
        return Value(TEMPLATE, data=re.sub(r"%(?:\(\w+\))?[sdr]", "x", left.data))
    if isinstance(node.op, ast.Add) and (left.kind in (TEXT, TEMPLATE) or right.kind in (TEXT, TEMPLATE)):
        both = TEXT if left.kind is right.kind is TEXT else TEMPLATE
        parts = [one.data if one.kind in (TEXT, TEMPLATE) else "x" for one in (left, right)]
        return Value(both, data="".join(parts)) if len(parts[0]) + len(parts[1]) < LONGEST_TEXT else UNKNOWN
    if isinstance(node.op, ast.BitOr) and _are_types(scan, node, left, right):
        scan.rule("union-of-types", node, "X | Y")
    if isinstance(node.op, ast.BitOr) and (old := [one for one in (left, right) if _is_old_option(one)]):
        return old[0]
    is_set = left.module == "builtins" and left.path in ("set()", "frozenset()")
    if is_set and node.op.__class__ in (ast.BitOr, ast.BitAnd, ast.Sub):
        return left
    for value in (left, right):
        if value.kind is STD and value.module == "builtins" and value.path == "float()":
            return value
        if value.kind is COROUTINE:
            return value
    return UNKNOWN


def _is_old_option(value: Value) -> bool:
    return value.module == "ssl" and _OLD_OPTION.fullmatch(dotted(value)) is not None


def _are_types(scan: Scan, node: ast.BinOp, left: Value, right: Value) -> bool:
    """Whether ``|`` stands between types: one side is a type for sure, and the other has a name that may be one."""
    is_left, is_right = _is_type(scan, node.left, left), _is_type(scan, node.right, right)
    if is_left and is_right:
        return True
    other, value = (node.right, right) if is_left else (node.left, left)
    if not (is_left or is_right):
        return False
    inner = other.value if isinstance(other, ast.Subscript) else other
    known = named(scan, inner) if inner is not other else value
    if known.kind is STD and known.module != "builtins":
        return bool(known.path) and "()" not in known.path
    return known.kind is FOREIGN and isinstance(inner, ast.Name | ast.Attribute)


def _is_type(scan: Scan, node: ast.expr, value: Value) -> bool:
    """Whether an expression is a class, ``None``, or a union of such."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr) and _is_type(scan, node.left, UNKNOWN)
    if isinstance(node, ast.Subscript):
        return _is_type(scan, node.value, UNKNOWN)
    if isinstance(node, ast.Name):
        return value.kind is CLASS or (node.id in BUILTIN_TYPES and scan.get(node.id) is None)
    return isinstance(node, ast.Constant) and node.value is None


# ---- ``with``


def context(scan: Scan, node: ast.expr, value: Value) -> None:
    paths = ("Path()", "PosixPath()", "PurePath()", "WindowsPath()")
    if value.kind is STD and value.module == "pathlib" and value.path in paths:
        scan.rule("path-context", node, f"pathlib.{value.path[:-2]}")


def entered(value: Value) -> Value:
    """What ``with value as name`` gives: mostly the thing itself."""
    if value.kind is OBJECT and value.data.get("__enter__") is None and not value.data.foreign_bases():
        return value
    if value.is_instance and dotted(value) not in NO_SELF and not value.path.startswith("TestCase()"):
        return value
    return UNKNOWN


# ---- assignments


def assignment_to_standard(scan: Scan, node: ast.Attribute, target: Value, value: Value) -> None:
    if node.attr == "extraction_filter" and target.module == "tarfile":
        scan.has_tar_filter = True
    if target.module == "ssl" and node.attr in ("minimum_version", "maximum_version") and dotted(value) in OLD_TLS:
        scan.rule("ssl-old-version", node, f"ssl.{value.path}")
    if target.module == "ssl" and node.attr == "options":
        _options(scan, node, value)


def augmented(scan: Scan, node: ast.AugAssign, value: Value) -> None:
    """``context.options |= ssl.OP_NO_TLSv1``"""
    if isinstance(node.target, ast.Attribute) and node.target.attr == "options":
        _options(scan, node, value)


def _options(scan: Scan, node: ast.AugAssign | ast.Attribute, value: Value) -> None:
    for one in alternatives(value):
        if _OLD_OPTION.fullmatch(dotted(one)):
            scan.rule("ssl-old-options", node, dotted(one))
            return


# ---- the whole file


def refusal(scan: Scan, node: ast.If | ast.Assert, condition: Condition) -> None:
    """A module that will not be run by some versions: ``if sys.version_info >= (3, 12): raise ...``"""
    if condition[0] != "version" or any(guard.caught for guard in scan.chain(scan.guard)):
        return
    last = node.body[-1] if isinstance(node, ast.If) else node
    if isinstance(last, ast.Raise) and _is_quiet(last.exc):
        return
    if isinstance(last, ast.Raise | ast.Assert) or (isinstance(last, ast.Expr) and _is_failure(scan, last.value)):
        before = scan.guard
        scan.guard = scan.guarded(condition)
        scan.rule("refuses", last, "sys.version_info")
        scan.guard = before


def _is_quiet(node: ast.expr | None) -> bool:
    """``raise SystemExit``, ``raise SystemExit(0)``, ``raise unittest.SkipTest("...")``"""
    kind = last_name(node.func if isinstance(node, ast.Call) else node) if node is not None else ""
    code = node.args[0] if isinstance(node, ast.Call) and node.args else None
    ends_well = kind == "SystemExit" and (code is None or getattr(code, "value", "") in (0, None))
    return ends_well or kind in SKIP_EXCEPTIONS


def _is_failure(scan: Scan, node: ast.expr) -> bool:
    """Whether the program ends, and says that it failed."""
    if not isinstance(node, ast.Call) or not node.args or getattr(node.args[0], "value", "") in (0, None):
        return False
    return dotted(named(scan, node.func)) == "sys.exit" or getattr(node.func, "id", "") in ("exit", "quit")


FOUND = Value(NOTHING_KNOWN, "xml.etree.ElementTree", "find")
_OF_ELEMENTS = frozenset({"attrib", "findall", "findtext", "iter", "itertext", "tag", "tail", "text"})
_OTHERS = frozenset({"bs4", "lxml", "pyquery"})


def found(scan: Scan, node: ast.Call) -> Value | None:
    """``root.find("name")``"""
    if len(node.args) != 1 or node.keywords:
        return None
    modules = {one.module for one in scan.imports}
    reads = any(module.startswith("xml.etree") or module == "xml" for module in modules)
    return FOUND if reads and not {module.partition(".")[0] for module in modules} & _OTHERS else None


def asked(scan: Scan, node: ast.Name) -> None:
    """``if found:``"""
    scan.truths.append((node, scan.guard, scan.function))


def used(scan: Scan, name: str, attribute: str) -> None:
    """``found.text``"""
    if attribute in _OF_ELEMENTS:
        scan.elements.add((name, scan.function))


def judged(scan: Scan) -> None:
    """Notes the truths of what turned out to be an element, once the file has been read."""
    for node, guard, function in scan.truths:
        if (node.id, function) in scan.elements:
            scan.guard = guard
            scan.rule("element-truth", node, "xml.etree.ElementTree.Element", sure=False)
