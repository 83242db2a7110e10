"""What some release thinks of classes and functions: defaults of their fields, decorators, what tests return.

Members of enumerations in texts: what 3.11 prints of them is something else.

Methods that the library looks up by their names, and what it hands over to them.
"""

import ast
import re
from typing import Any

from pytest_py312.analysis.scanner.evaluation.names import dotted, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan
from pytest_py312.analysis.scanner.evaluation.values import CLASS, OBJECT, STD, OwnClass, Value
from pytest_py312.analysis.scanner.facts.facts import Condition

UNHASHABLE = frozenset({
    "collections.deque()", "builtins.bytearray()", "types.SimpleNamespace()", "array.array()",
})  # fmt: skip


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
    for one in own.family():
        if "dataclasses.dataclass" in one.decorators:
            return not one.frozen_dataclass
        if one.decorators or "__eq__" in one.body:
            return not one.decorators
    return False


def default_of_field(scan: Scan, node: ast.AnnAssign, value: Value) -> None:
    """``x: Settings = Settings()`` in the body of a class; whether that is a dataclass is known at its end."""
    outer = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    if dotted(named(scan, outer)) == "typing.ClassVar" or "ClassVar" in str(getattr(outer, "value", "")):
        return
    if _is_unhashable(value) and scan.owner is not None:
        scan.field_defaults.append((scan.owner, node))


def class_done(scan: Scan, node: ast.ClassDef, own: OwnClass) -> None:
    for statement in node.body:
        test_of_coroutine(scan, statement, own)
    _generic_record(scan, node, own)
    if any(dotted(base) == "collections.abc.ByteString" for base in own.bases):
        scan.rule("byte-string", node, "collections.abc.ByteString")
    for owner, field in scan.field_defaults:
        if owner is own and "dataclasses.dataclass" in own.decorators:
            scan.rule("unhashable-default", field, getattr(field.target, "id", own.name))
    scan.field_defaults = [pair for pair in scan.field_defaults if pair[0] is not own]


def _generic_record(scan: Scan, node: ast.ClassDef, own: OwnClass) -> None:
    """``class Page(NamedTuple, Generic[T])``"""
    records = [base.path for base in own.bases if dotted(base) in ("typing.NamedTuple", "typing.TypedDict")]
    inner = [base.value for base in node.bases if isinstance(base, ast.Subscript)]
    if records and any(dotted(named(scan, one)) == "typing.Generic" for one in inner):
        scan.rule("generic-record", node, records[0])


# ---- functions


def begin_function(scan: Scan, node: Any) -> None:
    scan.loop_is_set = False
    if not node.decorator_list:
        return
    names = [dotted(named(scan, one)) or getattr(one, "id", "") for one in node.decorator_list]
    if names[:2] == ["classmethod", "property"]:
        scan.rule("classmethod-property", node.decorator_list[0], node.name)


def has_implicit_optional(scan: Scan, node: Any) -> bool:
    """``def f(x: int = None)``"""
    if not node.args.defaults and not node.args.kw_defaults:
        return False
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


def test_of_coroutine(scan: Scan, node: ast.AST, own: OwnClass) -> None:
    """An ``async def`` among the tests of a class that runs none: the test returns a coroutine, and is not run."""
    name = getattr(node, "name", "")
    if not isinstance(node, ast.AsyncFunctionDef) or not name.startswith("test") or node.decorator_list:
        return
    if own.derives_from("unittest", "TestCase") and not own.foreign_bases() and len(own.standard_bases()) == 1:
        scan.rule("test-returns", node, name)


def returned(scan: Scan, node: ast.Return) -> None:
    """A test of unittest that returns something."""
    function = scan.function
    if function is None or scan.owner is None or not function.name.startswith("test"):
        return
    if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
        return
    if any(base.module.startswith("unittest") for base in scan.owner.standard_bases()) and not function.decorator_list:
        scan.rule("test-returns", node, function.name)


ENUMS = frozenset({"Enum", "IntEnum", "Flag", "IntFlag", "StrEnum", "ReprEnum"})
MIXED = frozenset({"str", "int", "float", "bytes"})
SIGNALS = re.compile(r"SIG[A-Z0-9]+")


def is_enum(own: OwnClass) -> bool:
    return own.derives_from("enum", *ENUMS)


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
    return "mixed" if own.derives_from("builtins", *MIXED) else ""


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


def printf(scan: Scan, node: ast.BinOp, text: str, right: Value) -> None:
    items = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    values = [right] if len(items) == 1 else [member_of(scan, item) for item in items]
    if not any(_mixture(value) == "int" for value in values):
        return
    signs = re.findall(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])", text)
    signs = [sign for sign in signs if sign != "%"]
    if len(signs) != len(items):
        return
    for sign, item, value in zip(signs, items, values, strict=True):
        if sign == "s":
            int_enum_text(scan, item, value)


def member_of(scan: Scan, node: ast.expr) -> Value:
    """An expression that names a member of an own enumeration, or a variable that holds one."""
    if isinstance(node, ast.Attribute):
        owner = named(scan, node.value)
        if owner.kind is CLASS and is_enum(owner.data):
            return Value(OBJECT, data=owner.data)
    return named(scan, node)


VISITORS = frozenset({"visit_Num", "visit_Str", "visit_Bytes", "visit_NameConstant", "visit_Ellipsis"})
VISITING = frozenset({"ast.NodeVisitor", "ast.NodeTransformer"})
FINDERS = frozenset({
    "importlib.abc.MetaPathFinder", "importlib.abc.PathEntryFinder", "importlib.abc.Finder",
    "_frozen_importlib_external.PathFinder", "importlib.machinery.PathFinder", "importlib.machinery.FileFinder",
})  # fmt: skip


OLD_FINDERS = frozenset({"find_module", "find_loader"})


def is_called(own: OwnClass | None, method: str) -> Condition:
    """When the library calls a method: ``find_module`` beside ``find_spec`` up to 3.11, all others always."""
    old = method in OLD_FINDERS and own is not None and own.get("find_spec") is not None
    return ("version", "<", (3, 12), "full") if old else ()


def handed_over(own: OwnClass, method: str, parameter: ast.arg) -> dict[str, Value]:
    """What the library hands over to a method: ``visit_Constant(self, node)`` gets an ``ast.Constant``."""
    if parameter.annotation is not None or not method.startswith("visit_"):
        return {}
    if not {dotted(base) for base in own.standard_bases()} & VISITING:
        return {}
    kind = "Constant" if method in VISITORS else method.removeprefix("visit_")
    return {parameter.arg: Value(STD, "ast", f"{kind}()")} if kind.isidentifier() else {}


def read_hooks(scan: Scan, node: ast.ClassDef, own: OwnClass) -> None:
    """Looks at the methods of one class, when all of the file has been read."""
    bases = {dotted(base) for base in own.standard_bases()}
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            if statement.name in VISITORS and bases & VISITING:
                if own.get("visit_Constant") is None:
                    scan.rule("ast-visitor", statement, statement.name)
            elif statement.name in OLD_FINDERS:
                _finder(scan, statement, own, bases)


def _finder(scan: Scan, method: ast.FunctionDef, own: OwnClass, bases: set[str]) -> None:
    if own.get("find_spec") is not None or own.foreign_bases():
        return
    arguments = len(method.args.posonlyargs) + len(method.args.args)
    hooked = scan.names_import_hooks()
    if bases & FINDERS or (hooked and arguments in (1, 2, 3)):
        scan.rule("find-module-hook", method, method.name)
