"""The functions behind what stands in modules and classes, read without running anything.

Runs inside the interpreter that is asked, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

BARE = frozenset({
    bool, bytes, float, int, object, str, type(None), types.BuiltinFunctionType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
})  # fmt: skip
"""Of these nothing has attributes of its own."""


def file_of(code: types.CodeType) -> str:
    """The source of a function; of a module that is frozen into the interpreter, the file it was made of."""
    path = code.co_filename
    if path.startswith("<frozen "):
        return getattr(sys.modules.get(path[len("<frozen ") : -1]), "__file__", None) or ""
    return path


def unwrapped(raw: Any) -> Any:
    """The function behind a descriptor, or what was given."""
    if isinstance(raw, (staticmethod, classmethod, types.MethodType)):
        return raw.__func__
    if isinstance(raw, property):
        return raw.fget
    inner = static(raw, "func") if not isinstance(raw, types.FunctionType) else None
    return inner if isinstance(inner, types.FunctionType) else raw


def static(item: Any, name: str) -> Any:
    """What ``inspect.getattr_static`` gives, or ``None``: sooner, for what most names of a library stand for."""
    kind = type(item)
    if kind in BARE:
        return None
    if kind is types.FunctionType:
        return vars(item).get(name)
    return inspect.getattr_static(item, name, None)


def names_in(function: types.FunctionType) -> dict[str, object]:
    """The names that a text in a function may use: module-level ones, and those of functions around it."""
    names: dict[str, object] = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):  # noqa: B905 - 3.8 has no strict
        try:
            names[name] = cell.cell_contents
        except ValueError:
            continue
    return names
