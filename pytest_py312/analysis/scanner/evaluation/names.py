"""Resolve dotted names to values, without recording a use."""

import ast
import re
from typing import Any

from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState, stdlib_attribute
from pytest_py312.analysis.scanner.evaluation.values import CLASS, FOREIGN, OBJECT, STDLIB, UNKNOWN, UNKNOWN_KIND, Value

DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


def resolve_name(scan: ScanState, node: Any) -> Value:
    """Return the value of a dotted name."""
    if node.__class__ is ast.Name:  # not isinstance, for speed: this runs several times for each name
        return scan.lookup(node.id) or UNKNOWN
    if node.__class__ is ast.Attribute:
        value = resolve_name(scan, node.value)
        if value is UNKNOWN:
            return UNKNOWN
        if value.kind is STDLIB:
            return stdlib_attribute(scan, value, node.attr)
        if value.kind is FOREIGN:
            return Value(FOREIGN, join_name(value.foreign_name, node.attr), "", value.guard)
        if value.kind is CLASS or value.kind is OBJECT:
            return value.data.get(node.attr) or UNKNOWN
        if value.is_foreign_result:
            return Value(UNKNOWN_KIND, join_name(value.module, node.attr))
    return UNKNOWN


def join_name(module: str, name: str) -> str:
    """Join a non-stdlib module and a name. Leading dots of relative modules are kept as they are."""
    return f"{module}{'' if not module or module.endswith('.') else '.'}{name}"


def stdlib_name(value: Value) -> str:
    """Return the full dotted name of a stdlib value, else an empty string."""
    if value.kind is not STDLIB:
        return ""
    return f"{value.module}.{value.path}" if value.path else value.module


def last_name(node: Any) -> str:
    """Return ``c`` for ``a.b.c``; empty if the node is not a name."""
    kind = node.__class__
    return node.attr if kind is ast.Attribute else node.id if kind is ast.Name else ""


def has_decorator(node: Any, name: str) -> bool:
    """Return whether a function or class has the decorator ``@name``."""
    return any(isinstance(decorator, ast.Name) and decorator.id == name for decorator in node.decorator_list)
