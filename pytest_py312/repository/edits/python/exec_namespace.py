"""Give ``exec`` the namespace that ``locals()`` was read for: from 3.13 on it is another one (PEP 667)."""

import ast
from collections.abc import Iterator

from pytest_py312.core.text_edits import EditRefused, TextEdit
from pytest_py312.repository.edits.python.syntax import FUNCTIONS, PythonSource

READ = "locals()["
"""The start of the old name of such a change."""
_NAMES = ("namespace", "executed", "exec_namespace")
_REPEATING = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def exec_namespace_edits(source: PythonSource, line: int, column: int) -> list[TextEdit]:
    """Return the edits ``exec(text)`` -> ``exec(text, globals(), namespace := locals())``, and of the read.

    They mean the same on all releases: the dictionary has the variables of the function, and gets those of ``text``.

    :raises EditRefused: it is not clear which call of ``exec`` binds the name.
    """
    nodes = [node for node in source.nodes_at(line, column) if isinstance(node, ast.Name)]
    if any(node.id in _NAMES for node in nodes):
        return []  # it was made before
    names = [node for node in nodes if node.id == "locals"]
    function = next((scope for name in names for scope in source.scopes(name)), None)
    calls = [call for call in _calls_of_exec(source) if function in source.scopes(call)[:1]]
    free = [name for name in _NAMES if name not in source.reads and not source.bindings(name)]
    if len(names) != 1 or len(calls) != 1 or not isinstance(function, FUNCTIONS) or not free:
        raise EditRefused("It is not clear which call of exec binds the name.")
    if any(isinstance(around, _REPEATING) for around in _nodes_around(source, calls[0], function)):
        raise EditRefused("exec is called several times: from 3.13 on each has a namespace of its own.")
    text, read = calls[0].args[0], source.parent(names[0])
    if isinstance(text, ast.GeneratorExp | ast.NamedExpr | ast.Starred):
        raise EditRefused("The argument of exec is not a plain expression.")
    end = source.end(calls[0]) - 1
    if source.text[source.end(text) : end].strip():
        raise EditRefused("The argument of exec is followed by something else.")
    return [
        TextEdit(start=source.end(text), end=source.end(text), text=f", globals(), {free[0]} := locals()"),
        TextEdit(start=source.start(read), end=source.end(read), text=free[0]),
    ]


def _nodes_around(source: PythonSource, node: ast.AST, function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes around ``node`` inside of the function."""
    while (node := source.parent(node)) not in (function, None):
        yield node


def _calls_of_exec(source: PythonSource) -> list[ast.Call]:
    parents = [source.parent(name) for name in source.reads.get("exec", ())]
    return [node for node in parents if isinstance(node, ast.Call) and not node.keywords and len(node.args) == 1]
