"""What the texts of warnings say that the source of a standard library gives, as far as it can be told unrun.

Runs inside the interpreter that is asked, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CATEGORIES = ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "SyntaxWarning")

DEPRECATED = "{name!r} is deprecated and slated for removal in Python {remove}"
"""``warnings._DEPRECATED_MSG``, for ``warnings._deprecated(name, remove=(3, 13))``."""


def warning_text(call: ast.Call, names: Mapping[str, object]) -> str:
    """What a call of ``warnings.warn`` and its like says. ``names`` are the values of names that may occur in it."""
    first = call.args[0] if call.args else None
    if first is None:
        return ""
    if last_name(call.func) != "_deprecated":
        if isinstance(first, ast.Call) and last_name(first.func) in CATEGORIES and first.args:
            first = first.args[0]
        return " ".join(text_of(first, names).split())
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    template = call.args[1] if len(call.args) > 1 else options.get("message")
    remove = options.get("remove")
    elements = remove.elts if isinstance(remove, ast.Tuple) else []
    release = ".".join(str(part.value) for part in elements if isinstance(part, ast.Constant))
    text = text_of(template, names) if template is not None else DEPRECATED
    for place, value in (("{name!r}", repr(text_of(first, names))), ("{name}", text_of(first, names))):
        text = text.replace(place, value)
    return " ".join(text.replace("{remove}", release).split())


def text_of(node: ast.expr, names: Mapping[str, object]) -> str:
    """The string an expression gives, with ``...`` for what cannot be told without running it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else repr(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part, names) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        text = text_of(node.value, names)
        return repr(text) if node.conversion == ord("r") else text
    if isinstance(node, ast.Name):
        value = names.get(node.id)
        if isinstance(value, ast.expr):
            return text_of(value, {**names, node.id: None})
        return value if isinstance(value, str) else "..."
    if isinstance(node, ast.Attribute):
        return _attribute_text(node, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left, names) + text_of(node.right, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return _filled(text_of(node.left, names), "%", [text_of(value, names) for value in values])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _filled(text_of(node.func.value, names), "{", [text_of(value, names) for value in node.args])
    return "..."


def _attribute_text(node: ast.Attribute, names: Mapping[str, object]) -> str:
    if node.attr == "_DEPRECATED_MSG":
        return DEPRECATED
    if node.attr in ("__name__", "__qualname__") and isinstance(node.value, ast.Name):
        value = getattr(names.get(node.value.id), node.attr, None)
        return value if isinstance(value, str) else "..."
    return "..."


def _filled(template: str, sign: str, values: Sequence[str]) -> str:
    try:
        return template % tuple(values) if sign == "%" else template.format(*values)
    except (TypeError, ValueError, LookupError, AttributeError):
        return template


def last_name(node: ast.expr) -> str:
    """``c`` of ``a.b.c``; empty for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
