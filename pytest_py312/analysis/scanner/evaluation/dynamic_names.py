"""Read modules and attributes that are named by strings: dynamic imports, patches in tests, code in constants."""

import ast
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from textwrap import dedent

from pytest_py312.analysis.scanner.evaluation import monkeypatches
from pytest_py312.analysis.scanner.evaluation.names import DOTTED_NAME, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import OwnAttribute, ScanState, read_block, stdlib_attribute
from pytest_py312.analysis.scanner.evaluation.values import (
    ATTRIBUTE_GETTER,
    CLASS,
    CODE,
    FOREIGN,
    NAMESPACE,
    OBJECT,
    ONE_OF_DICT,
    PARTIAL,
    STDLIB,
    TEXT,
    TEXTS,
    UNION,
    UNKNOWN,
    Arguments,
    Value,
    alternatives,
    possible_texts,
    union_of,
)
from pytest_py312.analysis.scanner.facts.facts import Call, ModuleImport, ReferenceKind

MAX_CODE_LENGTH = 20_000

Reader = Callable[[ScanState, ast.Call, Arguments], Value | None]


def read_dynamic_call(
    scan: ScanState, node: ast.Call, name: str, arguments: Arguments, *, is_full_name: bool = True
) -> Value | None:
    """Return the result of a call that takes a name as a string; ``None`` if it is no such call.

    ``name`` is the full name of a stdlib function, or its last name alone if not ``is_full_name``.
    """
    reader = _READERS.get(name) if is_full_name else _BY_LAST_NAME.get(name)
    return reader(scan, node, arguments) if reader is not None and (arguments or node.keywords) else None


# ---- imports


def _import(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    names = [name for name in alternatives(arguments.get(0, "name")) if name.kind is TEXT]
    modules = [_import_by_name(scan, node, name.data, name.guard, sure=name.path != ONE_OF_DICT) for name in names]
    if not modules and node.args:
        package = _literal_beginning(node.args[0]).rpartition(".")[0]
        if DOTTED_NAME.fullmatch(package) and scan.is_stdlib_module(package):
            scan.refer(node, Value(STDLIB, package), ReferenceKind.DYNAMIC, name=package)
    return union_of(modules) if modules else UNKNOWN


def _literal_beginning(node: ast.expr) -> str:
    """Return the text with which a computed one begins: ``distutils.`` of ``f"distutils.{name}"``; empty if unknown."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return _literal_beginning(node.values[0]) if node.values else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _literal_beginning(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _literal_beginning(node.left).partition("%")[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _literal_beginning(node.func.value).partition("{")[0]
    return ""


def _import_by_name(scan: ScanState, node: ast.Call, text: str, binding_guard: int, *, sure: bool) -> Value:
    if not DOTTED_NAME.fullmatch(text):
        return UNKNOWN
    if not scan.is_stdlib_module(text):
        scope = "module" if scan.function is None else "function"
        scan.imports.append(ModuleImport(text, "", 0, *scan.position(node, text), scan.guard, scope))
        return Value(FOREIGN, text, "", scan.guard)
    scan.refer(node, Value(STDLIB, text, "", binding_guard), ReferenceKind.DYNAMIC, sure=sure, name=text)
    scan.add_submodule(text)
    gives_top_package = isinstance(node.func, ast.Name) and node.func.id == "__import__" and len(node.args) < 4
    guard = max(scan.guard, binding_guard)  # a nested guard has a greater number than the one around it
    return Value(STDLIB, text.partition(".")[0] if gives_top_package else text, "", guard)


def _map(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    """Read ``map(importlib.import_module, ["imp", "json"])``."""
    if len(arguments) == 2 and stdlib_name(arguments[0]) == "importlib.import_module" and arguments[1].kind is TEXTS:
        _import(scan, node, Arguments([union_of([Value(TEXT, data=text) for text in arguments[1].data])]))
    return None


def _run_module(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    if arguments:
        _refer_to_run_module(scan, node, arguments[0])
    return UNKNOWN


def _refer_to_run_module(scan: ScanState, node: ast.expr, module: Value) -> None:
    for text in possible_texts(module):
        if DOTTED_NAME.fullmatch(text) and scan.is_stdlib_module(text):
            scan.refer(node, Value(STDLIB, text), ReferenceKind.DYNAMIC, name=text)


def _pkgutil_resolve_name(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    for text in possible_texts(arguments[0]) if arguments else ():
        module, colon, path = text.partition(":")
        if (
            colon
            and DOTTED_NAME.fullmatch(module)
            and scan.is_stdlib_module(module)
            and DOTTED_NAME.fullmatch(path or "x")
        ):
            scan.refer(node, Value(STDLIB, module), ReferenceKind.DYNAMIC, name=text)
            if path:
                scan.refer(node, Value(STDLIB, module, path), ReferenceKind.DYNAMIC, name=text)
        elif not colon:
            _refer_to_dotted_text(scan, node, text)
    return UNKNOWN


# ---- attributes


def _getattr(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    if len(arguments) not in (2, 3):
        return UNKNOWN
    attributes = []
    for owner in alternatives(arguments[0]):
        for text in possible_texts(arguments[1]):
            if len(arguments) == 2:
                attributes.append(attribute_by_name(scan, node, owner, text))
            elif owner.kind is STDLIB and text.isidentifier() and not text.startswith("__"):
                attributes.append(UNKNOWN)
    return union_of(attributes) if attributes else UNKNOWN


def attribute_by_name(scan: ScanState, node: ast.expr, owner: Value, text: str, call: Call | None = None) -> Value:
    """Return the attribute ``text`` of a value and refer to it at ``node``. ``text`` may be a dotted name."""
    if text == "co_lnotab":
        scan.add_rule_match("co-lnotab", node, text)
    value = owner
    for step in text.split("."):
        if not step.isidentifier() or step.startswith("__"):
            return UNKNOWN
        if value.kind in (CLASS, OBJECT):
            attribute = ast.copy_location(ast.Attribute(ast.Constant(None), step, ast.Load()), node)
            definition = value.data.get(step)
            if definition is None:
                scan.own_attributes.append(
                    OwnAttribute(value.data, value.kind is OBJECT, (attribute,), call, scan.guard)
                )
            return definition or UNKNOWN
        if value.kind is not STDLIB or value.module == "builtins":
            return UNKNOWN
        value = stdlib_attribute(scan, value, step)
        if value.kind is STDLIB:
            scan.refer(node, value, ReferenceKind.DYNAMIC, call, name=step)
    return value


def special_attribute(value: Value, name: str) -> Value:
    """Return the value of ``x.__dict__`` for something of the stdlib."""
    return Value(NAMESPACE, data=value) if name == "__dict__" and value.kind is STDLIB else UNKNOWN


def _namespace(_scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    return Value(NAMESPACE, data=arguments[0]) if arguments and arguments[0].kind is STDLIB else UNKNOWN


def _attrgetter(_scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    names = tuple(text for value in arguments for text in possible_texts(value))
    return Value(ATTRIBUTE_GETTER, data=(names, None)) if len(names) == len(arguments) else UNKNOWN


def _methodcaller(_scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    names = tuple(possible_texts(arguments[0])) if arguments else ()
    call = Call(len(arguments) - 1, tuple(arguments.keywords))
    return Value(ATTRIBUTE_GETTER, data=(names, call)) if len(names) == 1 else UNKNOWN


def call_getter(scan: ScanState, node: ast.Call, getter: Value, arguments: Arguments) -> Value:
    """Return the result of ``operator.attrgetter("name")(owner)``."""
    attributes = []
    for owner in alternatives(arguments[0]) if arguments else ():
        attributes += [attribute_by_name(scan, node, owner, name, getter.data[1]) for name in getter.data[0]]
    return union_of(attributes) if len(getter.data[0]) == 1 and attributes and getter.data[1] is None else UNKNOWN


def _partial(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    """Read ``functools.partial(asyncio.Lock, loop=loop)``."""
    function = arguments[0] if arguments else UNKNOWN
    if function.kind is not STDLIB or any(isinstance(argument, ast.Starred) for argument in node.args):
        return UNKNOWN
    return Value(PARTIAL, data=(function, len(arguments) - 1, tuple(arguments.keywords), arguments))


# ---- patches in tests


def _patch(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    """Read ``mock.patch("imp.reload")``."""
    if not has_constant_keyword(node, "create"):
        for text in possible_texts(arguments[0]) if arguments else ():
            _refer_to_dotted_text(scan, node, text)
    return _mock_value(scan, node, arguments, 1)


_REPLACEMENT_ARGUMENTS = frozenset({"autospec", "new", "new_callable", "spec", "spec_set"})


def _mock_value(scan: ScanState, node: ast.Call, arguments: Arguments, position: int) -> Value:
    """Return the value bound by ``with mock.patch(...) as fake``: a mock, unless a replacement is given."""
    has_replacement = (
        len(arguments) > position
        or bool(arguments.double_starred)
        or not _REPLACEMENT_ARGUMENTS.isdisjoint(arguments.keywords)
    )
    name = stdlib_name(resolve_name(scan, node.func))
    plain = name in ("unittest.mock.patch", "unittest.mock.patch.object") and not has_replacement
    return Value(STDLIB, "unittest.mock", "patch()", scan.guard) if plain else UNKNOWN


def _patch_object(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    """Read ``mock.patch.object(asyncio, "coroutine")`` and ``monkeypatch.setattr(asyncio, "coroutine", ...)``."""
    if not arguments or has_constant_keyword(node, "create") or has_constant_keyword(node, "raising", expected=False):
        return UNKNOWN
    if arguments[0].kind in (TEXT, UNION):
        for text in possible_texts(arguments[0]):
            _refer_to_dotted_text(scan, node, text)
    elif len(arguments) > 1 and arguments[0].kind is STDLIB:
        for text in possible_texts(arguments[1]):
            if text.isidentifier() and not text.startswith("__"):
                value = stdlib_attribute(scan, arguments[0], text)
                if value.kind is STDLIB and value.module != "builtins":
                    scan.refer(node, value, ReferenceKind.DYNAMIC, name=text)
    return _mock_value(scan, node, arguments, 2)


def _patch_multiple(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    for owner in arguments[:1]:
        for text in possible_texts(owner):
            for keyword in node.keywords:
                if keyword.arg and keyword.arg not in ("spec", "create", "spec_set", "autospec", "new_callable"):
                    _refer_to_dotted_text(scan, node, f"{text}.{keyword.arg}")
    return UNKNOWN


def has_constant_keyword(node: ast.Call, name: str, expected: bool = True) -> bool:
    return any(
        keyword.arg == name and isinstance(keyword.value, ast.Constant) and keyword.value.value is expected
        for keyword in node.keywords
    )


def _refer_to_dotted_text(scan: ScanState, node: ast.Call, text: str) -> None:
    """Refer to ``package.module.name`` in a string. Only interpreters can tell where the module ends."""
    if not DOTTED_NAME.fullmatch(text):
        return
    if not scan.is_stdlib_module(text):
        scan.refer_indirectly(scan.position(node, text), text, ReferenceKind.DYNAMIC)
        return
    module, _, path = text.partition(".")
    for submodule in sorted(scan.submodules, key=len, reverse=True):
        if text.startswith(f"{submodule}."):
            module, path = submodule, text[len(submodule) + 1 :]
            break
    if module not in ("builtins", "sys"):
        scan.refer(node, Value(STDLIB, module), ReferenceKind.DYNAMIC, name=text)
    if path and not any(part.startswith("__") for part in path.split(".")) and module != "builtins":
        scan.refer(node, Value(STDLIB, module, path), ReferenceKind.DYNAMIC, name=text)


# ---- code in texts


def _execute(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    """Read ``exec("import imp")``, if the argument is a constant."""
    if arguments and arguments[0].kind in (TEXT, CODE):
        own_namespace = len(node.args) > 1 or bool(node.keywords)
        read_code(scan, node, arguments[0].data, own_namespace=own_namespace)
    return UNKNOWN


def _dedent(_scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    """Return the dedented text of ``textwrap.dedent``."""
    return Value(TEXT, data=dedent(arguments[0].data)) if arguments and arguments[0].kind is TEXT else None


def _compile(_scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    return Value(CODE, data=arguments[0].data) if arguments and arguments[0].kind is TEXT else UNKNOWN


def _timeit(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    for text in [text for value in arguments[:2] for text in possible_texts(value)]:
        read_code(scan, node, text)
    for keyword in node.keywords:
        code = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg in ("stmt", "setup") and isinstance(code, str):
            read_code(scan, node, code)
    return None


def read_code(scan: ScanState, node: ast.expr, text: str, *, own_namespace: bool = False) -> None:
    """Read code in a string; everything in it is located at ``node``.

    With ``own_namespace`` the code sees none of the names of this file.
    """
    if len(text) > MAX_CODE_LENGTH or scan.fixed_position is not None:
        return
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    start, end = node.col_offset + 1, (node.end_col_offset or 0) + 1
    with scan.restored(
        "scope", "enclosing_scopes", "branch_changes", "enclosing_class", "guard", "module_scope", "fixed_position"
    ):
        scan.fixed_position = node.lineno, start, end if node.end_lineno == node.lineno else start
        if scan.scope is not scan.module_scope:
            scan.enclosing_scopes = (scan.scope, *scan.enclosing_scopes)
        scan.scope, scan.branch_changes = {}, None
        if own_namespace:
            scan.module_scope, scan.enclosing_scopes = scan.scope, ()
        outer_count = len(scan.deferred_functions)
        read_block(scan, tree.body)
        while len(scan.deferred_functions) > outer_count:
            scan.deferred_functions.pop()


def read_command_line(scan: ScanState, node: ast.List | ast.Tuple, values: Sequence[Value]) -> None:
    """Read ``[sys.executable, "-m", "smtpd"]`` and ``[sys.executable, "-c", "import imp"]``."""
    if len(node.elts) < 3 or node.elts[0].__class__ not in (ast.Constant, ast.Attribute, ast.Name):
        return
    first = node.elts[0]
    program = first.value if isinstance(first, ast.Constant) else None
    is_python = isinstance(program, str) and re.fullmatch(r"(?:.*/)?python3?", program)
    if not is_python and stdlib_name(resolve_name(scan, first)) != "sys.executable":
        return
    for option, value in pairwise(values[1:]):
        if option.kind is not TEXT:
            return
        if option.data == "-m":
            _refer_to_run_module(scan, node, value)
            return
        if option.data == "-c":
            for text in possible_texts(value):
                read_code(scan, node, text)
            return


_READERS: dict[str, Reader] = {
    "builtins.__import__": _import,
    "builtins.compile": _compile,
    "builtins.exec": _execute,
    "builtins.eval": _execute,
    "builtins.getattr": _getattr,
    "builtins.map": _map,
    "builtins.setattr": monkeypatches.by_setattr,
    "builtins.vars": _namespace,
    "functools.partial": _partial,
    "importlib.import_module": _import,
    "importlib.__import__": _import,
    "runpy.run_module": _run_module,
    "operator.attrgetter": _attrgetter,
    "operator.methodcaller": _methodcaller,
    "pkgutil.resolve_name": _pkgutil_resolve_name,
    "textwrap.dedent": _dedent,
    "sys.modules.setdefault": monkeypatches.by_setdefault,
    "sys.modules.update": monkeypatches.by_update,
    "timeit.timeit": _timeit,
    "timeit.repeat": _timeit,
    "timeit.Timer": _timeit,
    "unittest.mock.patch": _patch,
    "unittest.mock.patch.dict": monkeypatches.by_patch_dict,
    "unittest.mock.patch.object": _patch_object,
    "unittest.mock.patch.multiple": _patch_multiple,
}
_BY_LAST_NAME: dict[str, Reader] = {
    "dict": monkeypatches.by_patch_dict,
    "import_module": _import,
    "object": _patch_object,
    "patch": _patch,
    "setattr": _patch_object,
    "setitem": monkeypatches.by_setitem,
    "update": monkeypatches.by_namespace_update,
    "delattr": _patch_object,
}
