"""Rules for classes and functions: field defaults, decorators, tests that return, hooks, enum members in strings, exec.

Hooks are methods that the library looks up by name. Python 3.11 changed how enum members are formatted. From 3.13 on
``locals()`` lacks the names that ``exec`` binds in a function (PEP 667).
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

from pytest_py312.analysis.scanner.evaluation.names import resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import CLASS, OBJECT, STDLIB, UNKNOWN, OwnClass, Value
from pytest_py312.analysis.scanner.facts.facts import Condition

UNHASHABLE_TYPES = frozenset({
    "collections.deque()", "builtins.bytearray()", "types.SimpleNamespace()", "array.array()",
})  # fmt: skip


def is_hashable_dataclass(node: ast.ClassDef) -> bool:
    """Return whether the instances of a ``@dataclass(...)`` are hashable."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            options = {k.arg: getattr(k.value, "value", None) for k in decorator.keywords}
            if options.get("frozen") is True or options.get("unsafe_hash") is True or options.get("eq") is False:
                return True
    return False


def _is_unhashable(value: Value) -> bool:
    if value.kind is STDLIB:
        return stdlib_name(value) in UNHASHABLE_TYPES
    if value.kind is not OBJECT:
        return False
    own: OwnClass = value.data
    if own.foreign_bases() or own.get("__hash__") is not None or is_enum(own):
        return False
    for ancestor in own.own_mro():
        if "dataclasses.dataclass" in ancestor.decorators:
            return not ancestor.is_hashable_dataclass
        if ancestor.decorators or "__eq__" in ancestor.body:
            return not ancestor.decorators
    return False


def note_field_default(scan: ScanState, node: ast.AnnAssign, value: Value) -> None:
    """Record an unhashable default: ``x: Settings = Settings()``. The decorators are checked at its end."""
    outer = node.annotation.value if isinstance(node.annotation, ast.Subscript) else node.annotation
    if stdlib_name(resolve_name(scan, outer)) == "typing.ClassVar" or "ClassVar" in str(getattr(outer, "value", "")):
        return
    if _is_unhashable(value) and scan.enclosing_class is not None:
        scan.unhashable_defaults.append((scan.enclosing_class, node))


def check_class(scan: ScanState, node: ast.ClassDef, own: OwnClass) -> None:
    for statement in node.body:
        check_async_test(scan, statement, own)
    _check_generic_record(scan, node, own)
    if any(stdlib_name(base) == "collections.abc.ByteString" for base in own.bases):
        scan.add_rule_match("byte-string", node, "collections.abc.ByteString")
    for owner, field in scan.unhashable_defaults:
        if owner is own and "dataclasses.dataclass" in own.decorators:
            scan.add_rule_match("unhashable-default", field, getattr(field.target, "id", own.name))
    scan.unhashable_defaults = [pair for pair in scan.unhashable_defaults if pair[0] is not own]


def _check_generic_record(scan: ScanState, node: ast.ClassDef, own: OwnClass) -> None:
    """Match ``class Page(NamedTuple, Generic[T])``."""
    records = [base.path for base in own.bases if stdlib_name(base) in ("typing.NamedTuple", "typing.TypedDict")]
    inner = [base.value for base in node.bases if isinstance(base, ast.Subscript)]
    if records and any(stdlib_name(resolve_name(scan, subscripted)) == "typing.Generic" for subscripted in inner):
        scan.add_rule_match("generic-record", node, records[0])


# ---- functions


def begin_function(scan: ScanState, node: Any) -> None:
    scan.event_loop_is_set = False
    if not node.decorator_list:
        return
    names = [
        stdlib_name(resolve_name(scan, decorator)) or getattr(decorator, "id", "") for decorator in node.decorator_list
    ]
    if names[:2] == ["classmethod", "property"]:
        scan.add_rule_match("classmethod-property", node.decorator_list[0], node.name)


def has_implicit_optional(scan: ScanState, node: Any) -> bool:
    """Return whether a function has a parameter such as ``x: int = None``."""
    if not node.args.defaults and not node.args.kw_defaults:
        return False
    arguments = [*node.args.posonlyargs, *node.args.args]
    pairs = list(zip(arguments[::-1], node.args.defaults[::-1], strict=False))
    pairs += [
        (parameter, default)
        for parameter, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if default
    ]
    return any(
        isinstance(default, ast.Constant) and default.value is None and not _allows_none(scan, argument.annotation)
        for argument, default in pairs
        if argument.annotation is not None
    )


def _allows_none(scan: ScanState, node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, str)
    if isinstance(node, ast.BinOp):
        return True
    if isinstance(node, ast.Subscript):
        return stdlib_name(resolve_name(scan, node.value)) in ("typing.Optional", "typing.Union", "typing.Annotated")
    if isinstance(node, ast.Name) and node.id in ("object", "None"):
        return True
    return stdlib_name(resolve_name(scan, node)) in ("typing.Any", "typing.Optional")


_OTHER_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp,
                 ast.DictComp, ast.GeneratorExp)  # fmt: skip
_CONDITIONAL = (ast.If, ast.IfExp, ast.Try, ast.While, ast.Match)
"""Code in them may be for other releases, or handle the failure."""


def names_of_exec(scan: ScanState, node: Any) -> None:
    """Match ``exec(text)`` followed by ``locals()["name"]`` in a function, for a name that nothing else binds."""
    executed = False
    reads: list[tuple[ast.Subscript, str]] = []
    bound = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    for inner in _nodes_in_order(node.body):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            bound.add(inner.id)
        elif isinstance(inner, ast.Call) and _calls(inner, "exec"):
            executed = executed or (len(inner.args) == 1 and not inner.keywords)
        elif executed and isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Load):
            key = inner.slice
            is_locals = isinstance(inner.value, ast.Call) and _calls(inner.value, "locals")
            if is_locals and isinstance(key, ast.Constant) and isinstance(key.value, str):
                reads.append((inner, key.value))
    if not reads or any(scan.lookup(name) is not None for name in ("exec", "locals")):
        return
    bound |= {name for inner in ast.walk(node) if (name := _name_bound_by(inner))}
    for subscript, name in reads:
        if name not in bound:
            scan.add_rule_match("exec-locals", subscript, f'locals()["{name}"]')


def _calls(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == name


def _nodes_in_order(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes that run in any case when the function is called, in their order in the text."""
    pending: list[ast.AST] = list(reversed(statements))
    while pending:
        node = pending.pop()
        if isinstance(node, (*_OTHER_SCOPES, *_CONDITIONAL)):
            continue
        yield node
        pending += reversed(list(ast.iter_child_nodes(node)))


def _name_bound_by(node: ast.AST) -> str:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.alias):
        return node.asname or node.name.partition(".")[0]
    return getattr(node, "name", None) or ""


def check_async_test(scan: ScanState, node: ast.AST, own: OwnClass) -> None:
    """Match an ``async def`` test in a class that does not await it. The test returns a coroutine and is never
    executed.
    """
    name = getattr(node, "name", "")
    if not isinstance(node, ast.AsyncFunctionDef) or not name.startswith("test") or node.decorator_list:
        return
    if own.derives_from("unittest", "TestCase") and not own.foreign_bases() and len(own.stdlib_bases()) == 1:
        scan.add_rule_match("test-returns", node, name)


def check_test_return(scan: ScanState, node: ast.Return) -> None:
    """Match a unittest test that returns a value."""
    function = scan.function
    if function is None or scan.enclosing_class is None or not function.name.startswith("test"):
        return
    if node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None):
        return
    if (
        any(base.module.startswith("unittest") for base in scan.enclosing_class.stdlib_bases())
        and not function.decorator_list
    ):
        scan.add_rule_match("test-returns", node, function.name)


ENUM_CLASSES = frozenset({"Enum", "IntEnum", "Flag", "IntFlag", "StrEnum", "ReprEnum"})
MIXIN_TYPES = frozenset({"str", "int", "float", "bytes"})
SIGNAL_NAME = re.compile(r"SIG[A-Z0-9]+")


def is_enum(own: OwnClass) -> bool:
    return own.derives_from("enum", *ENUM_CLASSES)


def _enum_mixin(value: Value) -> str:
    """Return ``mixed`` for a member of ``class X(str, Enum)``, ``int`` for one of an ``IntEnum``, else empty."""
    if value.kind is STDLIB:
        is_signal = value.module == "signal" and SIGNAL_NAME.fullmatch(value.path)
        return "int" if is_signal or (value.module == "http" and value.path.startswith("HTTPStatus.")) else ""
    if value.kind is not OBJECT or not is_enum(value.data):
        return ""
    own: OwnClass = value.data
    names = {base.path for base in own.stdlib_bases() if base.module == "enum"}
    if names & {"IntEnum", "IntFlag"}:
        return "" if own.get("__str__") or own.get("__repr__") else "int"
    if names & {"StrEnum", "ReprEnum"} or own.get("__format__"):
        return ""
    return "mixed" if own.derives_from("builtins", *MIXIN_TYPES) else ""


def check_formatted_value(scan: ScanState, node: ast.expr, value: Value, conversion: int) -> None:
    """Match an enum member in an f-string or as an argument of ``format``."""
    mixin = _enum_mixin(value)
    if mixin == "mixed" and conversion == -1 and not value.data.get("__str__"):
        scan.add_rule_match("mixed-enum-format", node, value.data.name)
    elif mixin == "int" and conversion == ord("s"):
        check_int_enum_text(scan, node, value)


def check_int_enum_text(scan: ScanState, node: ast.expr, value: Value) -> None:
    """Match ``str(member)`` of an ``IntEnum``."""
    if _enum_mixin(value) == "int":
        name = f"{value.module}.{value.path}" if value.kind is STDLIB else value.data.name
        scan.add_rule_match("int-enum-text", node, name)


def check_printf(scan: ScanState, node: ast.BinOp, text: str, right: Value) -> None:
    items = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    values = [right] if len(items) == 1 else [enum_member(scan, item) for item in items]
    if not any(_enum_mixin(value) == "int" for value in values):
        return
    signs = re.findall(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])", text)
    signs = [sign for sign in signs if sign != "%"]
    if len(signs) != len(items):
        return
    for sign, item, value in zip(signs, items, values, strict=True):
        if sign == "s":
            check_int_enum_text(scan, item, value)


def enum_member(scan: ScanState, node: ast.expr) -> Value:
    """Return the value of an expression, resolved to an enum member if it names one."""
    if isinstance(node, ast.Attribute):
        owner = resolve_name(scan, node.value)
        if owner.kind is CLASS and is_enum(owner.data):
            return Value(OBJECT, data=owner.data)
    return resolve_name(scan, node)


OLD_VISITOR_METHODS = frozenset({"visit_Num", "visit_Str", "visit_Bytes", "visit_NameConstant", "visit_Ellipsis"})
VISITOR_CLASSES = frozenset({"ast.NodeVisitor", "ast.NodeTransformer"})
FINDER_CLASSES = frozenset({
    "importlib.abc.MetaPathFinder", "importlib.abc.PathEntryFinder", "importlib.abc.Finder",
    "_frozen_importlib_external.PathFinder", "importlib.machinery.PathFinder", "importlib.machinery.FileFinder",
})  # fmt: skip


OLD_FINDER_METHODS = frozenset({"find_module", "find_loader"})


def method_condition(own: OwnClass | None, method: str) -> Condition:
    """Return when the library calls a method.

    ``find_module`` beside ``find_spec`` is called up to 3.11 only; all others are always called.
    """
    is_replaced = method in OLD_FINDER_METHODS and own is not None and own.get("find_spec") is not None
    return ("version", "<", (3, 12), "full") if is_replaced else ()


def hook_parameters(own: OwnClass, method: str, parameter: ast.arg) -> dict[str, Value]:
    """Return what the library passes to a method: ``visit_Constant(self, node)`` gets an ``ast.Constant``."""
    if parameter.annotation is not None or not method.startswith("visit_"):
        return {}
    if not {stdlib_name(base) for base in own.stdlib_bases()} & VISITOR_CLASSES:
        return {}
    kind = "Constant" if method in OLD_VISITOR_METHODS else method.removeprefix("visit_")
    return {parameter.arg: Value(STDLIB, "ast", f"{kind}()")} if kind.isidentifier() else {}


def check_hooks(scan: ScanState, node: ast.ClassDef, own: OwnClass) -> None:
    """Match the hooks of one class, when the whole file has been read."""
    bases = {stdlib_name(base) for base in own.stdlib_bases()}
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            if statement.name in OLD_VISITOR_METHODS and bases & VISITOR_CLASSES:
                if own.get("visit_Constant") is None:
                    scan.add_rule_match("ast-visitor", statement, statement.name)
            elif statement.name in OLD_FINDER_METHODS:
                _check_finder(scan, statement, own, bases)


def _check_finder(scan: ScanState, method: ast.FunctionDef, own: OwnClass, bases: set[str]) -> None:
    if own.get("find_spec") is not None or own.foreign_bases():
        return
    arguments = len(method.args.posonlyargs) + len(method.args.args)
    may_be_hook = arguments in (1, 2, 3) and any(_may_be_finder(hook, own) for hook in _import_hooks(scan))
    if bases & FINDER_CLASSES or may_be_hook:
        scan.add_rule_match("find-module-hook", method, method.name)


def _import_hooks(scan: ScanState) -> list[Value]:
    """Return what the file may add to ``sys.meta_path`` or ``sys.path_hooks``; a use of these may add anything."""
    paths = ("meta_path", "path_hooks")
    lines = {use.line for use in scan.references if use.module == "sys" and use.path.startswith(paths)}
    return [value for line in sorted(lines) for value in scan.installed_hooks.get(line, [UNKNOWN])]


def _may_be_finder(hook: Value, own: OwnClass) -> bool:
    """Return whether imports may ask ``own`` for a module if ``hook`` is added to ``sys.meta_path``.

    A hook that is no finder by itself may hand on to any other class.
    """
    if hook.kind not in (OBJECT, CLASS) or hook.data.foreign_bases():
        return True
    finder: OwnClass = hook.data
    if finder.get("find_spec") is not None:
        return False
    return own in finder.own_mro() or not any(map(finder.get, OLD_FINDER_METHODS))
