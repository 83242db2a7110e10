"""Values and types that older releases refuse, where no name and no parameter is new: they bar the way back."""

import ast
import re
from datetime import date, datetime

from pytest_py312.analysis.scanner.evaluation.scan_state import Scan
from pytest_py312.analysis.scanner.evaluation.values import CLASS, TEMPLATE, TEXT, Given, Value, texts
from pytest_py312.analysis.scanner.rules import classes

_POSSESSIVE = re.compile(r"\(\?>|[*+?]\+|\{\d*,?\d*\}\+")
_LITERAL = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""Parts of a pattern in which signs stand for themselves."""
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ISO_TIME = re.compile(r"\d\d(:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?)?([+-]\d\d:\d\d(:\d\d(\.\d{6})?)?)?")
"""What ``fromisoformat`` took before 3.11: what ``isoformat`` writes."""


def pattern(scan: Scan, node: ast.Call, text: str) -> None:
    """``a++``, ``(?>a)``"""
    if not ("+" in text or "(?>" in text) or not _POSSESSIVE.search(text) or "#" in text:
        return
    if _POSSESSIVE.search(_LITERAL.sub("x", text)):
        scan.rule("regex-possessive", node, "re")


def iso_text(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    """``datetime.fromisoformat("2024-01-01T00:00:00Z")``"""
    given = arguments[0] if arguments else None
    for text in texts(given) if given is not None else ():
        day, time = text[:10], text[11:]
        if _ISO_DATE.fullmatch(day) and (not time or _ISO_TIME.fullmatch(time)):
            continue
        try:
            date.fromisoformat(text) if value.path.startswith("date.") else datetime.fromisoformat(text)
        except ValueError:
            continue  # no release takes it
        scan.rule("iso-text", node, f"datetime.{value.path}", sure=given is not None and given.kind is TEXT)
        return


def membership(scan: Scan, node: ast.Compare, left: Value, right: Value) -> None:
    """``"eu" in Region``: of a value that is no member, older releases refuse to say."""
    plain = left.kind in (TEXT, TEMPLATE) or (isinstance(node.left, ast.Constant) and node.left.value is not None)
    if plain and right.kind is CLASS and classes.is_enum(right.data):
        scan.rule("enum-contains", node, right.data.name)


def to_bytes(scan: Scan, node: ast.Call) -> None:
    """``(5).to_bytes()``, ``number.to_bytes(4)``"""
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    if len(node.args) > 1 or any(keyword.arg in ("byteorder", None) for keyword in node.keywords):
        return
    given = node.args[0] if node.args else next((one.value for one in node.keywords if one.arg == "length"), None)
    is_number = isinstance(getattr(receiver, "value", None), int)
    if is_number or isinstance(getattr(given, "value", None), int):
        scan.rule("to-bytes", node, "to_bytes", sure=is_number)


def static_called(scan: Scan, node: ast.expr, value: Value) -> None:
    """A static method that the body of its class calls, or takes as a decorator."""
    if value.data.is_static and scan.owner is not None and scan.names is scan.owner.body:
        scan.rule("static-called", node, value.data.name)


def of_bytes(scan: Scan, node: ast.Call) -> None:
    """``int.from_bytes(data)``, of which nothing is known since ``int`` is a builtin."""
    function = node.func
    owner = function.value if isinstance(function, ast.Attribute) else function
    if not isinstance(owner, ast.Name) or owner.id != "int" or scan.get("int") is not None or len(node.args) != 1:
        return
    if not any(keyword.arg in ("byteorder", None) for keyword in node.keywords):
        scan.rule("from-bytes", node, "int.from_bytes")
