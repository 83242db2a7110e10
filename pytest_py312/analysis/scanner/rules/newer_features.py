"""Rules for values and types that older releases refuse, with unchanged names. They prevent a rollback."""

import ast
import re
from datetime import date, datetime

from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import CLASS, PARTIAL_TEXT, TEXT, Arguments, Value, possible_texts
from pytest_py312.analysis.scanner.rules import classes

_POSSESSIVE = re.compile(r"\(\?>|[*+?]\+|\{\d*,?\d*\}\+")
_LITERAL_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""Parts of a pattern in which special characters are literal."""
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ISO_TIME = re.compile(r"\d\d(:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?)?([+-]\d\d:\d\d(:\d\d(\.\d{6})?)?)?")
"""What ``fromisoformat`` accepted before 3.11: the output of ``isoformat``."""


def possessive_pattern(scan: ScanState, node: ast.Call, text: str) -> None:
    """Match possessive quantifiers and atomic groups: ``a++``, ``(?>a)``."""
    if not ("+" in text or "(?>" in text) or not _POSSESSIVE.search(text) or "#" in text:
        return
    if _POSSESSIVE.search(_LITERAL_PARTS.sub("x", text)):
        scan.add_rule_match("regex-possessive", node, "re")


def iso_text(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    """Match ``datetime.fromisoformat("2024-01-01T00:00:00Z")``."""
    argument = arguments[0] if arguments else None
    for text in possible_texts(argument) if argument is not None else ():
        day, time = text[:10], text[11:]
        if _ISO_DATE.fullmatch(day) and (not time or _ISO_TIME.fullmatch(time)):
            continue
        try:
            date.fromisoformat(text) if value.path.startswith("date.") else datetime.fromisoformat(text)
        except ValueError:
            continue  # no release accepts it
        scan.add_rule_match(
            "iso-text", node, f"datetime.{value.path}", sure=argument is not None and argument.kind is TEXT
        )
        return


def enum_membership(scan: ScanState, node: ast.Compare, left: Value, right: Value) -> None:
    """Match ``"eu" in Region``: for a value that is not a member, older releases raise a TypeError."""
    is_non_member = left.kind in (TEXT, PARTIAL_TEXT) or (
        isinstance(node.left, ast.Constant) and node.left.value is not None
    )
    if is_non_member and right.kind is CLASS and classes.is_enum(right.data):
        scan.add_rule_match("enum-contains", node, right.data.name)


def to_bytes(scan: ScanState, node: ast.Call) -> None:
    """Match ``(5).to_bytes()`` and ``number.to_bytes(4)``."""
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    if len(node.args) > 1 or any(keyword.arg in ("byteorder", None) for keyword in node.keywords):
        return
    length = (
        node.args[0]
        if node.args
        else next((length_keyword.value for length_keyword in node.keywords if length_keyword.arg == "length"), None)
    )
    is_number = isinstance(getattr(receiver, "value", None), int)
    if is_number or isinstance(getattr(length, "value", None), int):
        scan.add_rule_match("to-bytes", node, "to_bytes", sure=is_number)


def static_method_call(scan: ScanState, node: ast.expr, value: Value) -> None:
    """Match a static method that the body of its class calls or uses as a decorator."""
    if value.data.is_static and scan.enclosing_class is not None and scan.scope is scan.enclosing_class.body:
        scan.add_rule_match("static-called", node, value.data.name)


def from_bytes(scan: ScanState, node: ast.Call) -> None:
    """Match ``int.from_bytes(data)``. The builtin ``int`` has no value, so the name is compared."""
    function = node.func
    owner = function.value if isinstance(function, ast.Attribute) else function
    if not isinstance(owner, ast.Name) or owner.id != "int" or scan.lookup("int") is not None or len(node.args) != 1:
        return
    if not any(keyword.arg in ("byteorder", None) for keyword in node.keywords):
        scan.add_rule_match("from-bytes", node, "int.from_bytes")
