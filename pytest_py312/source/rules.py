"""What no difference of two libraries can show, apart from calls: operators, protocols and values.

Each finder notes a fact under the name of a rule; ``rule_table.py`` says what the rule means and since when it holds.
"""

import ast
import re
from typing import Any

from pytest_py312.source import dynamic
from pytest_py312.source.conditions import NEVER
from pytest_py312.source.facts import Condition
from pytest_py312.source.naming import dotted, named
from pytest_py312.source.stdlib import BUILTIN_TYPES
from pytest_py312.source.values import (
    CLASS,
    COROUTINE,
    ITEMS,
    NAMESPACE,
    OBJECT,
    STD,
    TEMPLATE,
    TEXT,
    UNKNOWN,
    OwnClass,
    Value,
)
from pytest_py312.source.walking import UNSURE, Scan

ENUMS = frozenset({"Enum", "IntEnum", "Flag", "IntFlag", "StrEnum", "ReprEnum"})
MIXED = frozenset({"str", "int", "float", "bytes"})
UNHASHABLE = frozenset({
    "collections.deque()", "builtins.bytearray()", "types.SimpleNamespace()", "array.array()",
})  # fmt: skip
ELEMENT_MODULES = ("xml.etree.ElementTree", "xml.etree.cElementTree")
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
SIGNALS = re.compile(r"SIG[A-Z0-9]+")


COROUTINES = frozenset({
    "asyncio.sleep()", "asyncio.wait_for()", "asyncio.to_thread()", "asyncio.open_connection()", "asyncio.wait()",
    "asyncio.start_server()", "asyncio.create_subprocess_exec()", "asyncio.create_subprocess_shell()",
    "asyncio.Queue().get()", "asyncio.Queue().put()", "asyncio.Queue().join()", "asyncio.Event().wait()",
    "asyncio.Lock().acquire()", "asyncio.Semaphore().acquire()", "asyncio.Condition().wait()",
})  # fmt: skip
"""Standard coroutines: what calls of these give has to be awaited, or made a task of."""


def is_coroutine(value: Value) -> bool:
    """Whether a value is a coroutine that has not been started."""
    return (value.kind is COROUTINE and value.data is not list) or dotted(value) in COROUTINES


# ---- attributes


MOCKS = re.compile(r"(?:NonCallable)?(?:Magic)?Mock\(\)|AsyncMock\(\)|patch(?:\.object)?\(\)")
MISSPELT = frozenset({"any_call", "called_once", "called_once_with", "called_with", "has_calls", "not_called"})
"""Assertions without their ``assert_``: a mock took them for attributes, and they never failed."""


def attribute_of_unknown(scan: Scan, node: ast.Attribute) -> None:
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
    if node.attr in MISSPELT and value.module == "unittest.mock" and MOCKS.match(value.path):
        scan.rule("mock-assertion", node, node.attr)
    if value.module == "importlib.metadata" and value.path in ENTRY_POINTS:
        scan.rule("entry-points-mapping", node, f"importlib.metadata.{value.path}")


OLD_TLS = frozenset({"ssl.TLSVersion.SSLv3", "ssl.TLSVersion.TLSv1", "ssl.TLSVersion.TLSv1_1"})
ENTRY_POINTS = frozenset(f"entry_points().{name}" for name in ("get", "items", "keys", "values"))


def item_of_standard(source: Value) -> Value:
    """What a loop over something standard gives."""
    if source.module == "threading" and source.path == "enumerate()":
        return Value(STD, "threading", "Thread()", source.guard)
    if source.module in ELEMENT_MODULES and re.fullmatch(f"{_ELEMENT.pattern}|{_ELEMENTS.pattern}", source.path):
        return Value(STD, source.module, "Element()", source.guard)
    return UNKNOWN


def item_of(scan: Scan, node: ast.Subscript, value: Value) -> Value:
    if dotted(value) == "sys.modules":
        name = getattr(node.slice, "value", None)
        return scan.module_value(name) if isinstance(name, str) and name.isidentifier() else UNKNOWN
    if value.kind is NAMESPACE and isinstance(getattr(node.slice, "value", None), str):
        return dynamic.attribute_by_name(scan, node, value.data, node.slice.value)  # type: ignore[attr-defined]
    if value.kind is ITEMS:
        return value if isinstance(node.slice, ast.Slice) else value.data
    if value.module in ELEMENT_MODULES and value.kind is STD and not isinstance(node.slice, ast.Slice):
        return item_of_standard(value)
    if dotted(value) == "importlib.metadata.entry_points()":
        by_name = isinstance(node.slice, ast.Name) or isinstance(getattr(node.slice, "value", None), str)
        if by_name:
            scan.rule("entry-points-mapping", node, "importlib.metadata.entry_points")
    if value.kind is CLASS and is_enum(value.data):
        return Value(OBJECT, data=value.data)
    return UNKNOWN


# ---- truth


def truth_of(scan: Scan, node: ast.expr, value: Value) -> None:
    """``if element:``"""
    if isinstance(node, ast.Name) and node.id == "NotImplemented":
        scan.rule("not-implemented-truth", node, "NotImplemented")
    elif value.kind is STD and value.module in ELEMENT_MODULES and _ELEMENT.fullmatch(value.path):
        scan.rule("element-truth", node, f"{value.module}.Element")


_TRUTHS = frozenset({
    "all()", "any()", "bool()", "callable()", "hasattr()", "isinstance()", "issubclass()",
})  # fmt: skip


def membership(scan: Scan, node: ast.Compare, found: list[Value]) -> None:
    """``"group" in entry_points()``"""
    for op, left, right in zip(node.ops, found, found[1:], strict=False):
        is_text = isinstance(op, ast.In | ast.NotIn) and left.kind is TEXT
        if is_text and dotted(right) == "importlib.metadata.entry_points()":
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
        _printf(scan, node, left.data, right)
        return Value(TEMPLATE, data=re.sub(r"%(?:\(\w+\))?[sdr]", "x", left.data))
    if isinstance(node.op, ast.Add) and (left.kind in (TEXT, TEMPLATE) or right.kind in (TEXT, TEMPLATE)):
        both = TEXT if left.kind is right.kind is TEXT else TEMPLATE
        parts = [one.data if one.kind in (TEXT, TEMPLATE) else "x" for one in (left, right)]
        return Value(both, data="".join(parts)) if len(parts[0]) + len(parts[1]) < LONGEST_TEXT else UNKNOWN
    if isinstance(node.op, ast.BitOr) and _is_type(scan, node.left, left) and _is_type(scan, node.right, right):
        scan.rule("union-of-types", node, "X | Y")
    sets = ("set()", "frozenset()")
    if isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub) and left.path in sets and left.module == "builtins":
        return left
    for value in (left, right):
        if value.kind is STD and value.module == "builtins" and value.path == "float()":
            return value
        if value.kind is COROUTINE:
            return value
    return UNKNOWN


def _is_type(scan: Scan, node: ast.expr, value: Value) -> bool:
    """Whether an expression is a class, ``None``, or a union of such."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitOr) and _is_type(scan, node.left, UNKNOWN)
    if isinstance(node, ast.Subscript):
        return _is_type(scan, node.value, UNKNOWN)
    if isinstance(node, ast.Name):
        return value.kind is CLASS or (node.id in BUILTIN_TYPES and scan.get(node.id) is None)
    return isinstance(node, ast.Constant) and node.value is None


# ---- enumerations in texts


def is_enum(own: OwnClass) -> bool:
    return any(base.module == "enum" and base.path in ENUMS for base in own.standard_bases())


def _mixture(value: Value) -> str:
    """``mixed`` for a member of ``class X(str, Enum)``, ``int`` for one of an ``IntEnum``, else empty."""
    if value.kind is STD:
        known = value.module == "signal" and SIGNALS.fullmatch(value.path)
        return "int" if known or (value.module == "http" and value.path.startswith("HTTPStatus.")) else ""
    if value.kind is not OBJECT or not is_enum(value.data):
        return ""
    own: OwnClass = value.data
    names = {base.path for base in own.standard_bases() if base.module == "enum"}
    if names & {"IntEnum", "IntFlag"}:
        return "" if own.get("__str__") or own.get("__repr__") else "int"
    if names & {"StrEnum", "ReprEnum"} or own.get("__format__"):
        return ""
    return "mixed" if "mixed" in own.decorators or _mixes(own) else ""


def _mixes(own: OwnClass) -> bool:
    return any(base.kind is STD and base.module == "builtins" and base.path in MIXED for base in own.standard_bases())


def formatted(scan: Scan, node: ast.expr, value: Value, conversion: int) -> None:
    """A value in an f-string, or handed to ``format``."""
    mixture = _mixture(value)
    if mixture == "mixed" and conversion == -1 and not value.data.get("__str__"):
        scan.rule("mixed-enum-format", node, value.data.name)
    elif mixture == "int" and conversion == ord("s"):
        int_enum_text(scan, node, value)


def int_enum_text(scan: Scan, node: ast.expr, value: Value) -> None:
    """``str(member)`` of an ``IntEnum``."""
    if _mixture(value) == "int":
        name = f"{value.module}.{value.path}" if value.kind is STD else value.data.name
        scan.rule("int-enum-text", node, name)


def _printf(scan: Scan, node: ast.BinOp, text: str, right: Value) -> None:
    items = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    signs = re.findall(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])", text)
    signs = [sign for sign in signs if sign != "%"]
    if len(signs) != len(items):
        return
    for sign, item in zip(signs, items, strict=True):
        if sign == "s":
            int_enum_text(scan, item, right if len(items) == 1 else member_of(scan, item))


def member_of(scan: Scan, node: ast.expr) -> Value:
    """An expression that names a member of an own enumeration, or a variable that holds one."""
    if isinstance(node, ast.Attribute):
        owner = named(scan, node.value)
        if owner.kind is CLASS and is_enum(owner.data):
            return Value(OBJECT, data=owner.data)
    return named(scan, node)


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
    if target.module == "ssl" and node.attr in ("minimum_version", "maximum_version") and dotted(value) in OLD_TLS:
        scan.rule("ssl-old-version", node, f"ssl.{value.path}")


def augmented(scan: Scan, node: ast.AugAssign, value: Value) -> None:
    """``context.options |= ssl.OP_NO_TLSv1``"""
    options = isinstance(node.target, ast.Attribute) and node.target.attr == "options"
    if options and re.fullmatch(r"ssl\.OP_NO_(?:SSL|TLS)v\w+", dotted(value)):
        scan.rule("ssl-old-options", node, dotted(value))


# ---- classes


def is_hashable_dataclass(node: ast.ClassDef) -> bool:
    """Whether a ``@dataclass(...)`` keeps its instances hashable."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            given = {k.arg: getattr(k.value, "value", None) for k in decorator.keywords}
            if given.get("frozen") is True or given.get("unsafe_hash") is True or given.get("eq") is False:
                return True
    return False


def _is_unhashable(value: Value) -> bool:
    if value.kind is STD:
        return dotted(value) in UNHASHABLE
    if value.kind is not OBJECT:
        return False
    own: OwnClass = value.data
    if own.foreign_bases() or own.get("__hash__") is not None or is_enum(own):
        return False
    if "dataclasses.dataclass" in own.decorators:
        return not own.frozen_dataclass
    return own.get("__eq__") is not None and not own.decorators


def default_of_field(scan: Scan, node: ast.AnnAssign, value: Value) -> None:
    """``x: Settings = Settings()`` in the body of a class; whether that is a dataclass is known at its end."""
    outer = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    if dotted(named(scan, outer)) == "typing.ClassVar" or "ClassVar" in str(getattr(outer, "value", "")):
        return
    if _is_unhashable(value) and scan.owner is not None:
        scan.field_defaults.append((scan.owner, node))


def class_done(scan: Scan, node: ast.ClassDef, own: OwnClass) -> None:
    if any(dotted(base) == "collections.abc.ByteString" for base in own.bases):
        scan.rule("byte-string", node, "collections.abc.ByteString")
    for owner, field in scan.field_defaults:
        if owner is own and "dataclasses.dataclass" in own.decorators:
            scan.rule("unhashable-default", field, getattr(field.target, "id", own.name))
    scan.field_defaults = [pair for pair in scan.field_defaults if pair[0] is not own]


# ---- functions


def begin_function(scan: Scan, node: Any) -> None:
    scan.loop_is_set = False
    names = [dotted(named(scan, one)) or getattr(one, "id", "") for one in node.decorator_list]
    if names[:2] == ["classmethod", "property"]:
        scan.rule("classmethod-property", node.decorator_list[0], node.name)


def has_implicit_optional(scan: Scan, node: Any) -> bool:
    """``def f(x: int = None)``"""
    arguments = [*node.args.posonlyargs, *node.args.args]
    pairs = list(zip(arguments[::-1], node.args.defaults[::-1], strict=False))
    pairs += [
        (one, default) for one, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default
    ]
    return any(
        isinstance(default, ast.Constant) and default.value is None and not _allows_none(scan, argument.annotation)
        for argument, default in pairs
        if argument.annotation is not None
    )


def _allows_none(scan: Scan, node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, str)
    if isinstance(node, ast.BinOp):
        return True
    if isinstance(node, ast.Subscript):
        return dotted(named(scan, node.value)) in ("typing.Optional", "typing.Union", "typing.Annotated")
    if isinstance(node, ast.Name) and node.id in ("object", "None"):
        return True
    return dotted(named(scan, node)) in ("typing.Any", "typing.Optional")


def returned(scan: Scan, node: ast.Return) -> None:
    """A test of unittest that returns something."""
    function = scan.function
    if function is None or scan.owner is None or not function.name.startswith("test"):
        return
    if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
        return
    if any(base.module.startswith("unittest") for base in scan.owner.standard_bases()) and not function.decorator_list:
        scan.rule("test-returns", node, function.name)


# ---- the whole file


def refusal(scan: Scan, node: ast.If | ast.Assert, condition: Condition) -> None:
    """A module that will not be run by some versions: ``if sys.version_info >= (3, 12): raise ...``"""
    if condition[0] != "version" or condition is NEVER or condition == UNSURE:
        return
    last = node.body[-1] if isinstance(node, ast.If) else node
    if isinstance(last, ast.Raise | ast.Assert) or (isinstance(last, ast.Expr) and _is_failure(scan, last.value)):
        before = scan.guard
        scan.guard = scan.guarded(condition)
        scan.rule("refuses", last, "sys.version_info")
        scan.guard = before


def _is_failure(scan: Scan, node: ast.expr) -> bool:
    """Whether the program ends, and says that it failed."""
    if not isinstance(node, ast.Call) or not node.args or getattr(node.args[0], "value", "") in (0, None):
        return False
    return dotted(named(scan, node.func)) == "sys.exit" or getattr(node.func, "id", "") in ("exit", "quit")


command_line = dynamic.command_line
