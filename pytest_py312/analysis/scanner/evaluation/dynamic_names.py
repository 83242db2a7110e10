"""Modules and attributes that are named by texts: imports by name, patches in tests, code in constants."""

import ast
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from textwrap import dedent

from pytest_py312.analysis.scanner.evaluation import monkeypatches
from pytest_py312.analysis.scanner.evaluation.names import dotted, named
from pytest_py312.analysis.scanner.evaluation.scan_state import OnOwn, Scan, block, extended
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CODE,
    FOREIGN,
    GETTER,
    MANY,
    MAYBE,
    NAMESPACE,
    OBJECT,
    PARTIAL,
    STD,
    TEXT,
    TEXTS,
    UNKNOWN,
    Given,
    Value,
    alternatives,
    either,
    texts,
)
from pytest_py312.analysis.scanner.facts.facts import Call, Kind, ModuleImport

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
LONGEST_CODE = 20_000

Reader = Callable[[Scan, ast.Call, Given], Value | None]


def read_dynamic(scan: Scan, node: ast.Call, name: str, arguments: Given, *, full: bool = True) -> Value | None:
    """What a call gives that takes a name as text; ``None`` where it is no such call.

    ``name`` is the full name of a standard function, or not ``full``: then only its last name is known.
    """
    reader = _READERS.get(name) if full else _BY_LAST_NAME.get(name)
    return reader(scan, node, arguments) if reader is not None and (arguments or node.keywords) else None


# ---- imports


def _import(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    given = [one for one in alternatives(arguments.at(0, "name")) if one.kind is TEXT]
    found = [_imported(scan, node, one.data, one.guard, sure=one.path != MAYBE) for one in given]
    return either(found) if found else UNKNOWN


def _imported(scan: Scan, node: ast.Call, text: str, bound: int, *, sure: bool) -> Value:
    if not _NAME.fullmatch(text):
        return UNKNOWN
    if not scan.is_standard(text):
        where = "module" if scan.function is None else "function"
        scan.imports.append(ModuleImport(text, "", 0, *scan.place(node, text), scan.guard, where))
        return Value(FOREIGN, text, "", scan.guard)
    scan.refer(node, Value(STD, text, "", bound), Kind.DYNAMIC, sure=sure, name=text)
    scan.add_submodule(text)
    first = isinstance(node.func, ast.Name) and node.func.id == "__import__" and len(node.args) < 4
    inner = max(scan.guard, bound)  # of guards one in the other the inner has the greater number
    return Value(STD, text.partition(".")[0] if first else text, "", inner)


def _mapped(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    """``map(importlib.import_module, ["imp", "json"])``"""
    if len(arguments) == 2 and dotted(arguments[0]) == "importlib.import_module" and arguments[1].kind is TEXTS:
        _import(scan, node, Given([either([Value(TEXT, data=text) for text in arguments[1].data])]))
    return None


def _run_module(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    if arguments:
        _run(scan, node, arguments[0])
    return UNKNOWN


def _run(scan: Scan, node: ast.expr, module: Value) -> None:
    for text in texts(module):
        if _NAME.fullmatch(text) and scan.is_standard(text):
            scan.refer(node, Value(STD, text), Kind.DYNAMIC, name=text)


def _resolve_name(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    for text in texts(arguments[0]) if arguments else ():
        module, colon, path = text.partition(":")
        if colon and _NAME.fullmatch(module) and scan.is_standard(module) and _NAME.fullmatch(path or "x"):
            scan.refer(node, Value(STD, module), Kind.DYNAMIC, name=text)
            if path:
                scan.refer(node, Value(STD, module, path), Kind.DYNAMIC, name=text)
        elif not colon:
            _target(scan, node, text)
    return UNKNOWN


# ---- attributes


def _getattr(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    if len(arguments) not in (2, 3):
        return UNKNOWN
    found = []
    for owner in alternatives(arguments[0]):
        for text in texts(arguments[1]):
            if len(arguments) == 2:
                found.append(attribute_by_name(scan, node, owner, text))
            elif owner.kind is STD and text.isidentifier() and not text.startswith("__"):
                found.append(UNKNOWN)
    return either(found) if found else UNKNOWN


def attribute_by_name(scan: Scan, node: ast.expr, owner: Value, text: str, call: Call | None = None) -> Value:
    """The attribute ``text`` of a value, in code that names it by a text. ``text`` may have dots."""
    if text == "co_lnotab":
        scan.rule("co-lnotab", node, text)
    value = owner
    for step in text.split("."):
        if not step.isidentifier() or step.startswith("__"):
            return UNKNOWN
        if value.kind in (CLASS, OBJECT):
            attribute = ast.copy_location(ast.Attribute(ast.Constant(None), step, ast.Load()), node)
            known = value.data.get(step)
            if known is None:
                scan.on_own.append(OnOwn(value.data, value.kind is OBJECT, (attribute,), call, scan.guard))
            return known or UNKNOWN
        if value.kind is not STD or value.module == "builtins":
            return UNKNOWN
        value = extended(scan, value, step)
        if value.kind is STD:
            scan.refer(node, value, Kind.DYNAMIC, call, name=step)
    return value


def special_of(value: Value, name: str) -> Value:
    """``x.__dict__`` of something standard."""
    return Value(NAMESPACE, data=value) if name == "__dict__" and value.kind is STD else UNKNOWN


def _namespace(_scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    return Value(NAMESPACE, data=arguments[0]) if arguments and arguments[0].kind is STD else UNKNOWN


def _attrgetter(_scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    names = tuple(text for value in arguments for text in texts(value))
    return Value(GETTER, data=(names, None)) if len(names) == len(arguments) else UNKNOWN


def _methodcaller(_scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    names = tuple(texts(arguments[0])) if arguments else ()
    call = Call(len(arguments) - 1, tuple(arguments.named))
    return Value(GETTER, data=(names, call)) if len(names) == 1 else UNKNOWN


def got(scan: Scan, node: ast.Call, getter: Value, arguments: Given) -> Value:
    """What ``operator.attrgetter("name")(owner)`` gives."""
    found = []
    for owner in alternatives(arguments[0]) if arguments else ():
        found += [attribute_by_name(scan, node, owner, name, getter.data[1]) for name in getter.data[0]]
    return either(found) if len(getter.data[0]) == 1 and found and getter.data[1] is None else UNKNOWN


def _partial(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    """``functools.partial(asyncio.Lock, loop=loop)``"""
    function = arguments[0] if arguments else UNKNOWN
    if function.kind is not STD or any(isinstance(argument, ast.Starred) for argument in node.args):
        return UNKNOWN
    return Value(PARTIAL, data=(function, len(arguments) - 1, tuple(arguments.named), arguments))


# ---- patches in tests


def _patch(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    """``mock.patch("imp.reload")``."""
    if not says(node, "create"):
        for text in texts(arguments[0]) if arguments else ():
            _target(scan, node, text)
    return _put_in_place(scan, node, arguments, 1)


_MADE_OF = frozenset({"autospec", "new", "new_callable", "spec", "spec_set"})


def _put_in_place(scan: Scan, node: ast.Call, arguments: Given, count: int) -> Value:
    """What ``with mock.patch(...) as fake`` gives: a mock, where nothing says what it is made of."""
    says_more = len(arguments) > count or bool(arguments.spread) or not _MADE_OF.isdisjoint(arguments.named)
    name = dotted(named(scan, node.func))
    plain = name in ("unittest.mock.patch", "unittest.mock.patch.object") and not says_more
    return Value(STD, "unittest.mock", "patch()", scan.guard) if plain else UNKNOWN


def _patch_object(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    """``mock.patch.object(asyncio, "coroutine")``, ``monkeypatch.setattr(asyncio, "coroutine", ...)``."""
    if not arguments or says(node, "create") or says(node, "raising", wanted=False):
        return UNKNOWN
    if arguments[0].kind in (TEXT, MANY):
        for text in texts(arguments[0]):
            _target(scan, node, text)
    elif len(arguments) > 1 and arguments[0].kind is STD:
        for text in texts(arguments[1]):
            if text.isidentifier() and not text.startswith("__"):
                value = extended(scan, arguments[0], text)
                if value.kind is STD and value.module != "builtins":
                    scan.refer(node, value, Kind.DYNAMIC, name=text)
    return _put_in_place(scan, node, arguments, 2)


def _patch_multiple(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    for owner in arguments[:1]:
        for text in texts(owner):
            for keyword in node.keywords:
                if keyword.arg and keyword.arg not in ("spec", "create", "spec_set", "autospec", "new_callable"):
                    _target(scan, node, f"{text}.{keyword.arg}")
    return UNKNOWN


def says(node: ast.Call, name: str, wanted: bool = True) -> bool:
    return any(
        keyword.arg == name and isinstance(keyword.value, ast.Constant) and keyword.value.value is wanted
        for keyword in node.keywords
    )


def _target(scan: Scan, node: ast.Call, text: str) -> None:
    """``package.module.name`` in a text: how much of it is the module only interpreters know."""
    if not _NAME.fullmatch(text):
        return
    if not scan.is_standard(text):
        scan.reach_through(scan.place(node, text), text, Kind.DYNAMIC)
        return
    module, _, path = text.partition(".")
    for known in sorted(scan.submodules, key=len, reverse=True):
        if text.startswith(f"{known}."):
            module, path = known, text[len(known) + 1 :]
            break
    if module not in ("builtins", "sys"):
        scan.refer(node, Value(STD, module), Kind.DYNAMIC, name=text)
    if path and not any(part.startswith("__") for part in path.split(".")) and module != "builtins":
        scan.refer(node, Value(STD, module, path), Kind.DYNAMIC, name=text)


# ---- code in texts


def _code(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    """``exec("import imp")``: only a constant that is handed over as it stands."""
    if arguments and arguments[0].kind in (TEXT, CODE):
        alone = len(node.args) > 1 or bool(node.keywords)
        read_code(scan, node, arguments[0].data, alone=alone)
    return UNKNOWN


def _dedented(_scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    """``textwrap.dedent(\"\"\"...\"\"\")``: the text, for what reads code is not strict about where it begins."""
    return Value(TEXT, data=dedent(arguments[0].data)) if arguments and arguments[0].kind is TEXT else None


def _compile(_scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    return Value(CODE, data=arguments[0].data) if arguments and arguments[0].kind is TEXT else UNKNOWN


def _timed(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    for text in [text for value in arguments[:2] for text in texts(value)]:
        read_code(scan, node, text)
    for keyword in node.keywords:
        code = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg in ("stmt", "setup") and isinstance(code, str):
            read_code(scan, node, code)
    return None


def read_code(scan: Scan, node: ast.expr, text: str, *, alone: bool = False) -> None:
    """Reads code in a text. All it uses is said to be used where the text is run.

    ``alone``: it has a namespace of its own, and sees none of the names of this file.
    """
    if len(text) > LONGEST_CODE or scan.shift is not None:
        return
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    end = node.end_col_offset or 0
    before = (scan.names, scan.outer, scan.log, scan.owner, scan.guard, scan.module)
    scan.shift = (node.lineno, node.col_offset + 1, end + 1 if node.end_lineno == node.lineno else node.col_offset + 1)
    scan.names, scan.log = {}, None
    if alone:
        scan.module, scan.outer = scan.names, ()
    elif before[0] is not scan.module:
        scan.outer = (before[0], *scan.outer)
    waiting = len(scan.queue)
    block(scan, tree.body)
    while len(scan.queue) > waiting:
        scan.queue.pop()
    scan.shift = None
    scan.names, scan.outer, scan.log, scan.owner, scan.guard, scan.module = before


def command_line(scan: Scan, node: ast.List | ast.Tuple, found: Sequence[Value]) -> None:
    """``[sys.executable, "-m", "smtpd"]``, ``[sys.executable, "-c", "import imp"]``."""
    if len(node.elts) < 3 or node.elts[0].__class__ not in (ast.Constant, ast.Attribute, ast.Name):
        return
    first = node.elts[0]
    program = first.value if isinstance(first, ast.Constant) else None
    python = isinstance(program, str) and re.fullmatch(r"(?:.*/)?python3?", program)
    if not python and dotted(named(scan, first)) != "sys.executable":
        return
    for option, value in pairwise(found[1:]):
        if option.kind is not TEXT:
            return
        if option.data == "-m":
            _run(scan, node, value)
            return
        if option.data == "-c":
            for text in texts(value):
                read_code(scan, node, text)
            return


_READERS: dict[str, Reader] = {
    "builtins.__import__": _import,
    "builtins.compile": _compile,
    "builtins.exec": _code,
    "builtins.eval": _code,
    "builtins.getattr": _getattr,
    "builtins.map": _mapped,
    "builtins.setattr": monkeypatches.by_setattr,
    "builtins.vars": _namespace,
    "functools.partial": _partial,
    "importlib.import_module": _import,
    "importlib.__import__": _import,
    "runpy.run_module": _run_module,
    "operator.attrgetter": _attrgetter,
    "operator.methodcaller": _methodcaller,
    "pkgutil.resolve_name": _resolve_name,
    "textwrap.dedent": _dedented,
    "sys.modules.setdefault": monkeypatches.by_setdefault,
    "sys.modules.update": monkeypatches.by_update,
    "timeit.timeit": _timed,
    "timeit.repeat": _timed,
    "timeit.Timer": _timed,
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
    "update": monkeypatches.by_update_of_names,
    "delattr": _patch_object,
}
