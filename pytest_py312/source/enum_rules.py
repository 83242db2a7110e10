"""Members of enumerations in texts: what 3.11 prints of them is something else."""

import ast
import re

from pytest_py312.source.naming import named
from pytest_py312.source.values import CLASS, OBJECT, STD, OwnClass, Value
from pytest_py312.source.walking import Scan

ENUMS = frozenset({"Enum", "IntEnum", "Flag", "IntFlag", "StrEnum", "ReprEnum"})
MIXED = frozenset({"str", "int", "float", "bytes"})
SIGNALS = re.compile(r"SIG[A-Z0-9]+")


def is_enum(own: OwnClass) -> bool:
    return own.derives_from("enum", *ENUMS)


def _mixture(value: Value) -> str:
    """``mixed`` for a member of ``class X(str, Enum)``, ``int`` for one of an ``IntEnum``, else empty."""
    if value.kind is STD:
        known = value.module == "signal" and SIGNALS.fullmatch(value.path)
        return "int" if known or (value.module == "http" and value.path.startswith("HTTPStatus.")) else ""
    if value.kind is not OBJECT or not is_enum(value.data):
        return ""
    own: OwnClass = value.data
    names = {base.path for base in own.standard_bases() if base.module == "enum"}
    if names & {"IntEnum", "IntFlag"}:
        return "" if own.get("__str__") or own.get("__repr__") else "int"
    if names & {"StrEnum", "ReprEnum"} or own.get("__format__"):
        return ""
    return "mixed" if own.derives_from("builtins", *MIXED) else ""


def formatted(scan: Scan, node: ast.expr, value: Value, conversion: int) -> None:
    """A value in an f-string, or handed to ``format``."""
    mixture = _mixture(value)
    if mixture == "mixed" and conversion == -1 and not value.data.get("__str__"):
        scan.rule("mixed-enum-format", node, value.data.name)
    elif mixture == "int" and conversion == ord("s"):
        int_enum_text(scan, node, value)


def int_enum_text(scan: Scan, node: ast.expr, value: Value) -> None:
    """``str(member)`` of an ``IntEnum``."""
    if _mixture(value) == "int":
        name = f"{value.module}.{value.path}" if value.kind is STD else value.data.name
        scan.rule("int-enum-text", node, name)


def printf(scan: Scan, node: ast.BinOp, text: str, right: Value) -> None:
    items = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    values = [right] if len(items) == 1 else [member_of(scan, item) for item in items]
    if not any(_mixture(value) == "int" for value in values):
        return
    signs = re.findall(r"%(?:\(\w+\))?[-+ #0]*\d*(?:\.\d+)?([a-zA-Z%])", text)
    signs = [sign for sign in signs if sign != "%"]
    if len(signs) != len(items):
        return
    for sign, item, value in zip(signs, items, values, strict=True):
        if sign == "s":
            int_enum_text(scan, item, value)


def member_of(scan: Scan, node: ast.expr) -> Value:
    """An expression that names a member of an own enumeration, or a variable that holds one."""
    if isinstance(node, ast.Attribute):
        owner = named(scan, node.value)
        if owner.kind is CLASS and is_enum(owner.data):
            return Value(OBJECT, data=owner.data)
    return named(scan, node)
