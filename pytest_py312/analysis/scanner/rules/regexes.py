"""Regular expressions that some release refuses, or warns of. A pattern is never judged without its flags."""

import ast
import re
from collections.abc import Iterable

from pytest_py312.analysis.scanner.evaluation.names import dotted, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan
from pytest_py312.analysis.scanner.evaluation.values import BYTES, TEMPLATE, TEXT, Given, Value, alternatives
from pytest_py312.analysis.scanner.rules import newer_features
from pytest_py312.analysis.scanner.rules.arguments import Rule

LONGEST_PATTERN = 5000
_INNER_FLAGS = re.compile(r"\(\?[aiLmsux]+\)")
_FLAGS = {name: getattr(re, name) for name in (
    "A", "ASCII", "I", "IGNORECASE", "L", "LOCALE", "M", "MULTILINE", "S", "DOTALL", "U", "UNICODE", "X", "VERBOSE",
)}  # fmt: skip
_FLAGS_AT = {
    "compile": 1, "match": 2, "search": 2, "fullmatch": 2, "findall": 2, "finditer": 2, "split": 3, "sub": 4, "subn": 4,
}  # fmt: skip
_REFERENCE = re.compile(r"\\g<([^>]*)>")
_CONDITION = re.compile(r"(?<!\\)\(\?\(([^)]*)\)")
_NAME = re.compile(r"(?<!\\)\(\?P<([^>]*)>")


def _pattern(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    for one in alternatives(arguments.at(0, "pattern")):
        if one.kind not in (TEXT, TEMPLATE, BYTES):
            continue
        pattern = one.data
        text = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
        before, scan.guard = scan.guard, one.guard or scan.guard
        newer_features.pattern(scan, node, text)
        _groups_of_pattern(scan, node, text, one.kind is BYTES)
        scan.guard = before
        inner = _INNER_FLAGS.search(text, 1)
        if inner is None or len(pattern) > LONGEST_PATTERN:
            continue
        flags = _flags(scan, node, _FLAGS_AT[value.path])
        if flags is not None and _no_longer_compiles(pattern, flags):
            scan.rule("regex-flags", node, inner[0])


def _flags(scan: Scan, node: ast.Call, place: int) -> int | None:
    """The flags of a pattern; ``None`` where they cannot be read."""
    given = node.args[place] if len(node.args) > place else None
    for keyword in node.keywords:
        if keyword.arg == "flags":
            given = keyword.value
        elif keyword.arg is None:
            return None
    return 0 if given is None else _flag_value(scan, given)


def _flag_value(scan: Scan, node: ast.expr) -> int | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _flag_value(scan, node.left), _flag_value(scan, node.right)
        return None if left is None or right is None else left | right
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    name = dotted(named(scan, node)).removeprefix("re.").removeprefix("RegexFlag.")
    return int(_FLAGS[name]) if name in _FLAGS else None


def _no_longer_compiles(pattern: str | bytes, flags: int) -> bool:
    try:
        re.compile(pattern, flags)
    except re.error as error:
        return error.msg.startswith("global flags not at the start")
    except (OverflowError, RecursionError, ValueError):
        return False
    return False


# ---- numbers and names of groups


def _template(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    """``re.sub(pattern, template, text)``"""
    _pattern(scan, node, value, arguments)
    for one in alternatives(arguments.at(1, "repl")):
        if one.kind in (TEXT, BYTES):
            text = one.data if isinstance(one.data, str) else one.data.decode("latin-1")
            _groups(scan, node, _REFERENCE.findall(text), one.kind is BYTES)


def _groups_of_pattern(scan: Scan, node: ast.Call, text: str, is_bytes: bool) -> None:
    if "(?(" in text or "(?P<" in text:
        _groups(scan, node, _CONDITION.findall(text), is_bytes)
        _groups(scan, node, _NAME.findall(text) if is_bytes else (), is_bytes)


def _groups(scan: Scan, node: ast.Call, groups: Iterable[str], is_bytes: bool) -> None:
    """Group numbers that ``int`` takes and that are no ASCII digits; names in bytes that are not ASCII."""
    for group in groups:
        if (is_bytes and not group.isascii() and group.isidentifier()) or _is_odd_number(group):
            scan.rule("regex-group", node, group)
            return


def _is_odd_number(group: str) -> bool:
    if group.isascii() and group.isdecimal():
        return False
    try:
        return int(group) >= 0
    except ValueError:
        return False


RULES: dict[str, Rule] = {
    **dict.fromkeys([f"re.{name}" for name in _FLAGS_AT], _pattern),
    "re.sub": _template,
    "re.subn": _template,
}
"""By the full name of what is called."""
