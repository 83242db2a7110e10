"""Determine the texts of the warnings in stdlib source, as far as possible without executing it.

Runs inside the queried interpreter, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CATEGORIES = ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "SyntaxWarning")

DEPRECATED_MESSAGE = "{name!r} is deprecated and slated for removal in Python {remove}"
"""``warnings._DEPRECATED_MSG``, used by ``warnings._deprecated(name, remove=(3, 13))``."""


def warning_text(call: ast.Call, names: Mapping[str, object]) -> str:
    """Return the text of a call of ``warnings.warn`` or similar. ``names`` are the values of names that may occur in
    it.
    """
    first = call.args[0] if call.args else None
    if first is None:
        return ""
    if last_name(call.func) != "_deprecated":
        if isinstance(first, ast.Call) and last_name(first.func) in CATEGORIES and first.args:
            first = first.args[0]
        return " ".join(static_text(first, names).split())
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    template = call.args[1] if len(call.args) > 1 else options.get("message")
    remove = options.get("remove")
    elements = remove.elts if isinstance(remove, ast.Tuple) else []
    release = ".".join(str(part.value) for part in elements if isinstance(part, ast.Constant))
    text = static_text(template, names) if template is not None else DEPRECATED_MESSAGE
    for placeholder, value in (("{name!r}", repr(static_text(first, names))), ("{name}", static_text(first, names))):
        text = text.replace(placeholder, value)
    return " ".join(text.replace("{remove}", release).split())


def static_text(node: ast.expr, names: Mapping[str, object]) -> str:
    """Return the string that an expression evaluates to, with ``...`` for parts that are unknown."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else repr(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(static_text(part, names) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        text = static_text(node.value, names)
        return repr(text) if node.conversion == ord("r") else text
    if isinstance(node, ast.Name):
        value = names.get(node.id)
        if isinstance(value, ast.expr):
            return static_text(value, {**names, node.id: None})
        return value if isinstance(value, str) else "..."
    if isinstance(node, ast.Attribute):
        return _attribute_text(node, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return static_text(node.left, names) + static_text(node.right, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
        return _fill_template(static_text(node.left, names), "%", [static_text(value, names) for value in values])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _fill_template(
            static_text(node.func.value, names), "{", [static_text(value, names) for value in node.args]
        )
    return "..."


def _attribute_text(node: ast.Attribute, names: Mapping[str, object]) -> str:
    if node.attr == "_DEPRECATED_MSG":
        return DEPRECATED_MESSAGE
    if node.attr in ("__name__", "__qualname__") and isinstance(node.value, ast.Name):
        value = getattr(names.get(node.value.id), node.attr, None)
        return value if isinstance(value, str) else "..."
    return "..."


def _fill_template(template: str, sign: str, values: Sequence[str]) -> str:
    try:
        return template % tuple(values) if sign == "%" else template.format(*values)
    except (TypeError, ValueError, LookupError, AttributeError):
        return template


def last_name(node: ast.expr) -> str:
    """Return ``c`` for ``a.b.c``; empty if the node is not a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
