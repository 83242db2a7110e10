"""Record stdlib names that a file sets, also by calls: ``setattr``, ``sys.modules.update``, ``vars(x).update``."""

import ast
from collections.abc import Iterable, Sequence

from pytest_py312.analysis.scanner.evaluation.names import DOTTED_NAME, join_name, last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState, stdlib_attribute
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    FOREIGN,
    MAX_ALTERNATIVES,
    STDLIB,
    UNKNOWN,
    Arguments,
    Value,
    possible_texts,
)
from pytest_py312.analysis.scanner.facts.facts import ANY_NAME, Monkeypatch, Reference
from pytest_py312.analysis.scanner.facts.stdlib_names import DISTINCTIVE_METHODS


def add_monkeypatch(scan: ScanState, value: Value) -> None:
    """Record that the file sets a stdlib name. Module-level uses that were executed before do not benefit from it."""
    if value.kind is not STDLIB or "()" in value.path:
        return
    prefix = f"{value.path}.".removesuffix(f"{ANY_NAME}.")
    earlier_lines = dict.fromkeys(
        reference.line
        for reference in _executed_before(scan)
        if reference.module == value.module and (not value.path or f"{reference.path}.".startswith(prefix))
    )
    scan.monkeypatches.append(Monkeypatch(value.module, value.path, scan.guard, tuple(earlier_lines)))


def _executed_before(scan: ScanState) -> Sequence[Reference]:
    """Return the references that were executed before the current statement.

    On module level, all earlier ones; in a function that no module-level statement can have called, all of the module
    level.
    """
    if scan.function is None:
        return scan.references
    callers = {scan.outermost_function, scan.enclosing_class.name if scan.enclosing_class is not None else ""}
    return scan.references[: scan.module_level_count] if callers.isdisjoint(scan.module_level_reads) else ()


def by_setattr(scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    if len(arguments) != 3:
        return UNKNOWN
    names = list(possible_texts(arguments[1]))
    scan.defined_names.update(name for name in names if name in DISTINCTIVE_METHODS)
    if arguments[0].kind is STDLIB:
        for name in names if 0 < len(names) < MAX_ALTERNATIVES else [ANY_NAME]:
            add_monkeypatch(scan, stdlib_attribute(scan, arguments[0], name))
    elif arguments[0].kind is FOREIGN and scan.is_service_module(arguments[0].module):
        scan.overwritten_names.update(join_name(arguments[0].foreign_name, name) for name in names)
    elif arguments[0].kind is CLASS:
        arguments[0].data.instance_attributes.update((name, UNKNOWN) for name in names)
    return UNKNOWN


def patch_modules(scan: ScanState, modules: Iterable[str]) -> None:
    """Record modules that the file puts into ``sys.modules``."""
    for name in modules:
        if DOTTED_NAME.fullmatch(name) and scan.is_stdlib_module(name):
            add_monkeypatch(scan, Value(STDLIB, name))


def by_setitem(scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    """Read ``monkeypatch.setitem(sys.modules, "imp", ...)``."""
    if len(arguments) == 3 and stdlib_name(arguments[0]) == "sys.modules":
        patch_modules(scan, possible_texts(arguments[1]))
    return UNKNOWN


def by_setdefault(scan: ScanState, _node: ast.Call, arguments: Arguments) -> Value | None:
    if len(arguments) == 2:
        patch_modules(scan, possible_texts(arguments[0]))
    return UNKNOWN


def by_update(scan: ScanState, node: ast.Call, _arguments: Arguments) -> Value | None:
    """Read ``sys.modules.update(imp=...)`` and ``sys.modules.update({"imp": ...})``."""
    names = [keyword.arg for keyword in node.keywords if keyword.arg]
    for argument in node.args:
        names += _literal_keys(argument)
    patch_modules(scan, names)
    return UNKNOWN


def by_namespace_update(scan: ScanState, node: ast.Call, _arguments: Arguments) -> Value | None:
    """Read ``vars(collections).update({"Mapping": ...})``."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node
    if isinstance(owner, ast.Call) and len(owner.args) == 1 and last_name(owner.func) == "vars":
        namespace_owner = resolve_name(scan, owner.args[0])
    elif isinstance(owner, ast.Attribute) and owner.attr == "__dict__":
        namespace_owner = resolve_name(scan, owner.value)
    else:
        return None
    names = [keyword.arg or ANY_NAME for keyword in node.keywords]
    names += [name for argument in node.args for name in _literal_keys(argument) or [ANY_NAME]]
    for name in names:
        add_monkeypatch(scan, stdlib_attribute(scan, namespace_owner, name)) if namespace_owner.kind is STDLIB else None
    return UNKNOWN


def _literal_keys(node: ast.expr) -> list[str]:
    keys = node.keys if isinstance(node, ast.Dict) else ()
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def by_patch_dict(scan: ScanState, node: ast.Call, arguments: Arguments) -> Value | None:
    """Read ``mock.patch.dict("sys.modules", {"imp": ...})`` and ``mock.patch.dict(sys.modules, imp=...)``."""
    if arguments and ("sys.modules" in possible_texts(arguments[0]) or stdlib_name(arguments[0]) == "sys.modules"):
        names = [keyword.arg for keyword in node.keywords if keyword.arg and keyword.arg not in ("values", "clear")]
        for argument in [*node.args[1:], *[keyword.value for keyword in node.keywords if keyword.arg == "values"]]:
            names += _literal_keys(argument)
        patch_modules(scan, names)
    return UNKNOWN
