"""What some release thinks of classes and functions: defaults of their fields, decorators, what tests return."""

import ast
from typing import Any

from pytest_py312.source.enum_rules import is_enum
from pytest_py312.source.naming import dotted, named
from pytest_py312.source.values import OBJECT, STD, OwnClass, Value
from pytest_py312.source.walking import Scan

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
