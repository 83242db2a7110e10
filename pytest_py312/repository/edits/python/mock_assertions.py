"""Turn what a mock took for an attribute (``assert m.called_once()``) into the assertion, or remove it."""

import ast
from typing import Any

from pytest_py312.core.text_edits import EditRefused, TextEdit
from pytest_py312.repository.edits.python.calls import rename_attribute
from pytest_py312.repository.edits.python.syntax import PythonSource

REMOVED = "(removed)"
"""The new name of a statement that is removed."""
_WITHOUT_ARGUMENTS = frozenset({"called_once", "not_called"})


def mock_assertion_edits(source: PythonSource, line: int, column: int, old: str, new: str) -> list[TextEdit]:
    """Return the edits of a statement that does nothing but name ``old`` of a mock.

    :raises EditRefused: there is no such statement.
    """
    nodes = source.nodes_at(line, column)
    if any(isinstance(node, ast.Attribute) and node.attr == new for node in nodes):
        return []  # it was made before
    names = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == old]
    if len(names) != 1:
        raise EditRefused(f"{old} does not occur here exactly once.")
    call = source.parent(names[0])
    value = call if isinstance(call, ast.Call) and call.func is names[0] else names[0]
    statement = _statement_of(source, value)
    return [_removal(source, statement)] if new == REMOVED else _assertion(source, statement, value, names[0], new)


def test_around(source: PythonSource, line: int, column: int) -> str:
    """Return the name of the test function around a position; empty if it is in none."""
    scopes = [scope for node in source.nodes_at(line, column) for scope in source.scopes(node)]
    names = (scope.name for scope in scopes if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef))
    return next((name for name in names if name.startswith("test")), "")


def _statement_of(source: PythonSource, value: ast.expr) -> Any:
    """Return the statement: the expression (awaited or not), ``assert`` or ``self.assertTrue()`` of it."""
    parent = source.parent(value)
    if isinstance(parent, ast.Await):
        value, parent = parent, source.parent(parent)
    if isinstance(parent, ast.Call) and getattr(parent.func, "attr", "") == "assertTrue":
        is_alone = len(parent.args) == 1 and not parent.keywords
        value, parent = (parent, source.parent(parent)) if is_alone else (value, None)
    if isinstance(parent, ast.Expr) or (isinstance(parent, ast.Assert) and parent.test is value and not parent.msg):
        return parent
    raise EditRefused("It is a part of a larger expression.")


def _assertion(source: PythonSource, statement: Any, value: Any, name: ast.Attribute, new: str) -> list[TextEdit]:
    start, end = (source.start(statement), source.start(value)), (source.end(value), source.end(statement))
    if "#" in source.text[slice(*start)] + source.text[slice(*end)]:
        raise EditRefused("A comment is in the way.")
    if value is name and name.attr not in _WITHOUT_ARGUMENTS:
        raise EditRefused(f"{name.attr} is not called.")
    call = "()" if value is name else ""
    edits = [
        TextEdit(start=start[0], end=start[1], text=""),
        rename_attribute(source, name, new),
        TextEdit(start=end[0], end=end[1], text=call),
    ]
    return [edit for edit in edits if edit.start < edit.end or edit.text]


def _removal(source: PythonSource, statement: Any) -> TextEdit:
    """Return the edit that removes a statement with its lines."""
    start, end = source.line_start(statement.lineno), source.line_end(statement.end_lineno)
    body: list[Any] = getattr(source.parent(statement), "body", [])
    text_before, text_after = source.text[start : source.start(statement)], source.text[source.end(statement) : end]
    if text_before.strip() or text_after.partition("#")[0].strip() or statement not in body or len(body) == 1:
        raise EditRefused("It cannot be removed with its line.")
    line = statement.lineno
    while body[-1] is statement and not source.text[source.line_start(line - 1) : start].strip():
        line -= 1  # no blank lines stay behind at the end of a block
        start = source.line_start(line)
    return TextEdit(start=start, end=end + len(source.line_break(statement.end_lineno)), text="")
