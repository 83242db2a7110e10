"""Tests of the operating system, asked of the interpreter by a module that only its builds for that system have."""

import ast
from typing import Any

from pytest_py312.source.facts import Condition
from pytest_py312.source.naming import dotted, named
from pytest_py312.source.walking import Scan

_NEVER: Condition = ("false",)
_WINDOWS: Condition = ("has", "msvcrt", "")
_MAC: Condition = ("has", "_scproxy", "")
_POSIX: Condition = ("not", _WINDOWS)
_LINUX: Condition = ("and", _POSIX, ("not", _MAC))
_SYSTEMS: dict[str, dict[str, Condition]] = {
    "sys.platform": {"win32": _WINDOWS, "cygwin": _NEVER, "darwin": _MAC, "linux": _LINUX, "linux2": _NEVER},
    "os.name": {"nt": _WINDOWS, "posix": _POSIX, "ce": _NEVER, "os2": _NEVER},
    "platform.system": {"Windows": _WINDOWS, "Darwin": _MAC, "Linux": _LINUX},
}
_BEGINNINGS: dict[str, Condition] = {"win": _WINDOWS, "darwin": _MAC, "linux": _LINUX, "cygwin": _NEVER, "java": _NEVER}


def platform_of(scan: Scan, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition | None:
    """``sys.platform == "win32"``, ``os.name in ("nt", "ce")``; ``None`` where no system is compared."""
    asked = left.func if isinstance(left, ast.Call) else left
    if asked.__class__ is not ast.Attribute and asked.__class__ is not ast.Name:
        return None
    systems = _SYSTEMS.get(dotted(named(scan, asked)))
    if systems is None:
        return None
    if isinstance(op, ast.Eq | ast.NotEq):
        found = _one(systems, right)
    elif isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Set):
        parts = [_one(systems, item) for item in right.elts]
        found = None if None in parts or not parts else ("or", *parts)
    else:
        return None
    if found is None:
        return None
    return ("not", found) if isinstance(op, ast.NotEq | ast.NotIn) else found


def _one(systems: dict[str, Condition], node: ast.expr) -> Condition | None:
    name: Any = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(name, str):
        return None
    return systems.get(name, _NEVER if name.lower().startswith("java") else None)


def platform_begins(scan: Scan, node: ast.expr, argument: ast.expr) -> Condition | None:
    """``sys.platform.startswith("win")``"""
    if dotted(named(scan, node)) != "sys.platform" or not isinstance(argument, ast.Constant):
        return None
    return _BEGINNINGS.get(argument.value) if isinstance(argument.value, str) else None
