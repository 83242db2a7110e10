"""Get the functions behind attributes of modules and classes, without executing anything.

Runs inside the queried interpreter, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

ATTRIBUTELESS_TYPES = frozenset({
    bool, bytes, float, int, object, str, type(None), types.BuiltinFunctionType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
})  # fmt: skip
"""Types whose instances have no attributes of their own."""


def source_file(code: types.CodeType) -> str:
    """Return the source file of a function, also of a module that is frozen into the interpreter."""
    path = code.co_filename
    if path.startswith("<frozen "):
        return getattr(sys.modules.get(path[len("<frozen ") : -1]), "__file__", None) or ""
    return path


def underlying_function(raw: Any) -> Any:
    """Return the function behind a descriptor, or the argument itself."""
    if isinstance(raw, (staticmethod, classmethod, types.MethodType)):
        return raw.__func__
    if isinstance(raw, property):
        return raw.fget
    inner = getattr_static(raw, "func") if not isinstance(raw, types.FunctionType) else None
    return inner if isinstance(inner, types.FunctionType) else raw


def getattr_static(item: Any, name: str) -> Any:
    """Return what ``inspect.getattr_static`` finds, or ``None``. Faster for the most common types."""
    kind = type(item)
    if kind in ATTRIBUTELESS_TYPES:
        return None
    if kind is types.FunctionType:
        return vars(item).get(name)
    return inspect.getattr_static(item, name, None)


def visible_names(function: types.FunctionType) -> dict[str, object]:
    """Return the names that are visible in a function: those of its module and of the functions around it."""
    names: dict[str, object] = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):  # noqa: B905 - 3.8 has no strict
        try:
            names[name] = cell.cell_contents
        except ValueError:
            continue
    return names
