"""Rules for regular expressions that some releases refuse or warn about. Flags are always taken into account."""

import ast
import re
from collections.abc import Iterable

from pytest_py312.analysis.scanner.evaluation.names import resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import BYTES, PARTIAL_TEXT, TEXT, Arguments, Value, alternatives
from pytest_py312.analysis.scanner.rules import newer_features
from pytest_py312.analysis.scanner.rules.arguments import ArgumentRule

MAX_PATTERN_LENGTH = 5000
_INNER_FLAGS = re.compile(r"\(\?[aiLmsux]+\)")
_FLAGS = {name: getattr(re, name) for name in (
    "A", "ASCII", "I", "IGNORECASE", "L", "LOCALE", "M", "MULTILINE", "S", "DOTALL", "U", "UNICODE", "X", "VERBOSE",
)}  # fmt: skip
_FLAGS_POSITION = {
    "compile": 1, "match": 2, "search": 2, "fullmatch": 2, "findall": 2, "finditer": 2, "split": 3, "sub": 4, "subn": 4,
}  # fmt: skip
_GROUP_REFERENCE = re.compile(r"\\g<([^>]*)>")
_GROUP_CONDITION = re.compile(r"(?<!\\)\(\?\(([^)]*)\)")
_GROUP_NAME = re.compile(r"(?<!\\)\(\?P<([^>]*)>")


def _check_pattern(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    for alternative in alternatives(arguments.get(0, "pattern")):
        if alternative.kind not in (TEXT, PARTIAL_TEXT, BYTES):
            continue
        pattern = alternative.data
        text = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
        outer_guard, scan.guard = scan.guard, alternative.guard or scan.guard
        newer_features.possessive_pattern(scan, node, text)
        _check_pattern_groups(scan, node, text, alternative.kind is BYTES)
        scan.guard = outer_guard
        inner = _INNER_FLAGS.search(text, 1)
        if inner is None or len(pattern) > MAX_PATTERN_LENGTH:
            continue
        flags = _flags(scan, node, _FLAGS_POSITION[value.path])
        if flags is not None and _no_longer_compiles(pattern, flags):
            scan.add_rule_match("regex-flags", node, inner[0])


def _flags(scan: ScanState, node: ast.Call, position: int) -> int | None:
    """Return the flags of a pattern; ``None`` if they cannot be determined."""
    flags_node = node.args[position] if len(node.args) > position else None
    for keyword in node.keywords:
        if keyword.arg == "flags":
            flags_node = keyword.value
        elif keyword.arg is None:
            return None
    return 0 if flags_node is None else _flag_value(scan, flags_node)


def _flag_value(scan: ScanState, node: ast.expr) -> int | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _flag_value(scan, node.left), _flag_value(scan, node.right)
        return None if left is None or right is None else left | right
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    name = stdlib_name(resolve_name(scan, node)).removeprefix("re.").removeprefix("RegexFlag.")
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


def _check_template(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    """Match the replacement of ``re.sub(pattern, replacement, text)``."""
    _check_pattern(scan, node, value, arguments)
    for alternative in alternatives(arguments.get(1, "repl")):
        if alternative.kind in (TEXT, BYTES):
            text = alternative.data if isinstance(alternative.data, str) else alternative.data.decode("latin-1")
            _check_groups(scan, node, _GROUP_REFERENCE.findall(text), alternative.kind is BYTES)


def _check_pattern_groups(scan: ScanState, node: ast.Call, text: str, is_bytes: bool) -> None:
    if "(?(" in text or "(?P<" in text:
        _check_groups(scan, node, _GROUP_CONDITION.findall(text), is_bytes)
        _check_groups(scan, node, _GROUP_NAME.findall(text) if is_bytes else (), is_bytes)


def _check_groups(scan: ScanState, node: ast.Call, groups: Iterable[str], is_bytes: bool) -> None:
    """Match group numbers with digits that are not ASCII, and non-ASCII group names in bytes."""
    for group in groups:
        if (is_bytes and not group.isascii() and group.isidentifier()) or _is_odd_number(group):
            scan.add_rule_match("regex-group", node, group)
            return


def _is_odd_number(group: str) -> bool:
    if group.isascii() and group.isdecimal():
        return False
    try:
        return int(group) >= 0
    except ValueError:
        return False


REGEX_RULES: dict[str, ArgumentRule] = {
    **dict.fromkeys([f"re.{name}" for name in _FLAGS_POSITION], _check_pattern),
    "re.sub": _check_template,
    "re.subn": _check_template,
}
"""Rules by the full name of the callable."""
