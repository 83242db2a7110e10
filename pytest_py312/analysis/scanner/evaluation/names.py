"""What dotted names stand for, without a word about their use."""

import ast
from typing import Any

from pytest_py312.analysis.scanner.evaluation.scan_state import Scan, extended
from pytest_py312.analysis.scanner.evaluation.values import CLASS, FOREIGN, NOTHING_KNOWN, OBJECT, STD, UNKNOWN, Value


def named(scan: Scan, node: Any) -> Value:
    """What a dotted name stands for."""
    if node.__class__ is ast.Name:  # not isinstance: this is asked of each name, and more than once
        return scan.get(node.id) or UNKNOWN
    if node.__class__ is ast.Attribute:
        value = named(scan, node.value)
        if value is UNKNOWN:
            return UNKNOWN
        if value.kind is STD:
            return extended(scan, value, node.attr)
        if value.kind is FOREIGN:
            return Value(FOREIGN, joined(value.in_other_file, node.attr), "", value.guard)
        if value.kind is CLASS or value.kind is OBJECT:
            return value.data.get(node.attr) or UNKNOWN
        if value.of_other_file:
            return Value(NOTHING_KNOWN, joined(value.module, node.attr))
    return UNKNOWN


def joined(module: str, name: str) -> str:
    """A name in a module that is not standard; ``.`` and ``..`` have their dots already."""
    return f"{module}{'' if not module or module.endswith('.') else '.'}{name}"


def dotted(value: Value) -> str:
    """The full name of something standard, else empty."""
    if value.kind is not STD:
        return ""
    return f"{value.module}.{value.path}" if value.path else value.module


def last_name(node: Any) -> str:
    """``c`` of ``a.b.c``; empty for what is no name."""
    kind = node.__class__
    return node.attr if kind is ast.Attribute else node.id if kind is ast.Name else ""
