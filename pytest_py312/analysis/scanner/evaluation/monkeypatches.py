"""What a file sets of the library itself, also by calls: ``setattr``, ``sys.modules.update``, ``vars(x).update``."""

import ast
import re
from collections.abc import Iterable, Sequence

from pytest_py312.analysis.scanner.evaluation.names import dotted, joined, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan, extended
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    FOREIGN,
    MOST_ALTERNATIVES,
    STD,
    UNKNOWN,
    Given,
    Value,
    texts,
)
from pytest_py312.analysis.scanner.facts.facts import ANY_NAME, Patch, Reference
from pytest_py312.analysis.scanner.facts.stdlib_names import LIKELY_METHODS

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


def patched(scan: Scan, value: Value) -> None:
    """Notes that the file sets a standard name itself. What ran before that, on the module level, is not helped."""
    if value.kind is not STD or "()" in value.path:
        return
    inner = f"{value.path}.".removesuffix(f"{ANY_NAME}.")
    spared = dict.fromkeys(
        one.line
        for one in _run_before(scan)
        if one.module == value.module and (not value.path or f"{one.path}.".startswith(inner))
    )
    scan.patches.append(Patch(value.module, value.path, scan.guard, tuple(spared)))


def _run_before(scan: Scan) -> Sequence[Reference]:
    """What has run when that is which is read now: all before it on the level of the module, and all of that level
    where it is in a function that nothing there may call."""
    if scan.function is None:
        return scan.references
    callers = {scan.body_name, scan.owner.name if scan.owner is not None else ""}
    return scan.references[: scan.of_module] if callers.isdisjoint(scan.read_early) else ()


def by_setattr(scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    if len(arguments) != 3:
        return UNKNOWN
    names = list(texts(arguments[1]))
    scan.defined.update(name for name in names if name in LIKELY_METHODS)
    if arguments[0].kind is STD:
        for name in names if 0 < len(names) < MOST_ALTERNATIVES else [ANY_NAME]:
            patched(scan, extended(scan, arguments[0], name))
    elif arguments[0].kind is FOREIGN and scan.is_of_service(arguments[0].module):
        scan.replaced.update(joined(arguments[0].in_other_file, name) for name in names)
    elif arguments[0].kind is CLASS:
        arguments[0].data.set_on_self.update((name, UNKNOWN) for name in names)
    return UNKNOWN


def put_in_place(scan: Scan, modules: Iterable[str]) -> None:
    """Modules that the file itself puts into ``sys.modules``."""
    for name in modules:
        if _NAME.fullmatch(name) and scan.is_standard(name):
            patched(scan, Value(STD, name))


def by_setitem(scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    """``sys.modules.setdefault("imp", ...)``, ``monkeypatch.setitem(sys.modules, "imp", ...)``"""
    if len(arguments) == 3 and dotted(arguments[0]) == "sys.modules":
        put_in_place(scan, texts(arguments[1]))
    return UNKNOWN


def by_setdefault(scan: Scan, _node: ast.Call, arguments: Given) -> Value | None:
    if len(arguments) == 2:
        put_in_place(scan, texts(arguments[0]))
    return UNKNOWN


def by_update(scan: Scan, node: ast.Call, _arguments: Given) -> Value | None:
    """``sys.modules.update(imp=...)``, ``sys.modules.update({"imp": ...})``"""
    names = [keyword.arg for keyword in node.keywords if keyword.arg]
    for argument in node.args:
        names += _keys(argument)
    put_in_place(scan, names)
    return UNKNOWN


def by_update_of_names(scan: Scan, node: ast.Call, _arguments: Given) -> Value | None:
    """``vars(collections).update({"Mapping": ...})``"""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node
    if isinstance(owner, ast.Call) and len(owner.args) == 1 and last_name(owner.func) == "vars":
        known = named(scan, owner.args[0])
    elif isinstance(owner, ast.Attribute) and owner.attr == "__dict__":
        known = named(scan, owner.value)
    else:
        return None
    names = [keyword.arg or ANY_NAME for keyword in node.keywords]
    names += [name for argument in node.args for name in _keys(argument) or [ANY_NAME]]
    for name in names:
        patched(scan, extended(scan, known, name)) if known.kind is STD else None
    return UNKNOWN


def _keys(node: ast.expr) -> list[str]:
    keys = node.keys if isinstance(node, ast.Dict) else ()
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def by_patch_dict(scan: Scan, node: ast.Call, arguments: Given) -> Value | None:
    """``mock.patch.dict("sys.modules", {"imp": ...})``, ``mock.patch.dict(sys.modules, imp=...)``"""
    if arguments and ("sys.modules" in texts(arguments[0]) or dotted(arguments[0]) == "sys.modules"):
        names = [one.arg for one in node.keywords if one.arg and one.arg not in ("values", "clear")]
        for argument in [*node.args[1:], *[one.value for one in node.keywords if one.arg == "values"]]:
            names += _keys(argument)
        put_in_place(scan, names)
    return UNKNOWN
