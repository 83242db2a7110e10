"""Replace ``pkg_resources``, which setuptools 82 no longer has, by ``importlib.resources`` and ``importlib.metadata``.

As in https://importlib-resources.readthedocs.io/en/latest/migration.html; all uses in a file, or none.
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

from pytest_py312.core.text_edits import EditRefused, TextEdit
from pytest_py312.repository.edits.python.syntax import PythonSource

MODULE = "pkg_resources"
RESOURCES, METADATA = "importlib.resources", "importlib.metadata"
_READERS = {"resource_string": ".read_bytes()", "resource_stream": '.open("rb")'}
_OWN_PACKAGE = "__package__ or __name__"
"""The package of the module, whose own name is no package."""


def package_resources_edits(source: PythonSource, line: int, column: int) -> list[TextEdit]:
    """Return the edits of the import at a position, and of all uses of the module in the file.

    :raises EditRefused: one of them has no replacement of the same meaning.
    """
    aliases = [node for node in source.nodes_at(line, column) if isinstance(node, ast.alias) and node.name == MODULE]
    statement = source.parent(aliases[0]) if len(aliases) == 1 else None
    if not isinstance(statement, ast.Import) or len(statement.names) > 1 or aliases[0].asname:
        raise EditRefused(f"It is not a plain `import {MODULE}`.")
    if source.bindings(MODULE) != aliases or not source.reads.get(MODULE):
        raise EditRefused(f"{MODULE} is not imported exactly once, or not used.")
    others = [node for node in source.bindings("importlib") if not _is_plain_import(source, node)]
    if others or not source.can_see(source.reads[MODULE][0], statement):
        raise EditRefused("importlib means something else in this file.")
    edits, modules = [], set()
    for name in source.reads[MODULE]:
        use = source.parent(name)
        module, use_edits = _use_edits(source, use if isinstance(use, ast.Attribute) else None)
        edits += use_edits
        modules.add(module)
    indent = source.text[source.line_start(statement.lineno) : source.start(statement)]
    text = f"{source.line_break(statement.lineno)}{indent}".join(f"import {module}" for module in sorted(modules))
    if indent.strip():
        raise EditRefused("The import is not on a line of its own.")
    return [TextEdit(start=source.start(statement), end=source.end(statement), text=text), *edits]


def _use_edits(source: PythonSource, use: ast.Attribute | None) -> tuple[str, list[TextEdit]]:
    """Return which module replaces a use, and the edits.

    :raises EditRefused: none does.
    """
    call = source.parent(use) if use is not None else None
    called = call if isinstance(call, ast.Call) and call.func is use and not call.keywords else None
    if use is not None and use.attr == "DistributionNotFound":
        return METADATA, [_replaced(source, use, f"{METADATA}.PackageNotFoundError")]
    if use is not None and called is not None and use.attr in _READERS:
        return RESOURCES, list(_reader_edits(source, use, called))
    if use is not None and called is not None and use.attr == "get_distribution":
        version = source.parent(called)
        if isinstance(version, ast.Attribute) and version.attr == "version" and _is_project(called.args):
            rest = TextEdit(start=source.end(called), end=source.end(version), text="")
            return METADATA, [_replaced(source, use, f"{METADATA}.version"), rest]
    raise EditRefused(f"{MODULE}.{use.attr if use else '...'} has no replacement of the same meaning here.")


def _reader_edits(source: PythonSource, use: ast.Attribute, call: ast.Call) -> Iterator[TextEdit]:
    """Yield ``files(package).joinpath(name).read_bytes()``."""
    package: Any = call.args[0] if len(call.args) == 2 else None
    if getattr(package, "id", "") not in ("__name__", "__package__") or isinstance(call.args[1], ast.Starred):
        raise EditRefused("It is not clear which package has the file.")
    if "__main__" in source.text:
        raise EditRefused("As a program the file belongs to no package.")
    between, end = source.text[source.end(package) : source.start(call.args[1])], source.end(call)
    if between.strip() != "," or source.text[source.end(call.args[1]) : end - 1].strip():
        raise EditRefused("There is more than two plain arguments.")
    yield _replaced(source, use, f"{RESOURCES}.files")
    yield TextEdit(
        start=source.start(package), end=source.start(call.args[1]), text=f"{_OWN_PACKAGE}).joinpath("
    )  # fmt: skip
    yield TextEdit(start=end, end=end, text=_READERS[use.attr])


def _is_plain_import(source: PythonSource, node: ast.AST) -> bool:
    return isinstance(node, ast.alias) and not node.asname and isinstance(source.parent(node), ast.Import)


def _is_project(arguments: list[ast.expr]) -> bool:
    """Return whether the argument is the name of a project, and no requirement with a version."""
    if len(arguments) != 1:
        return False
    value = getattr(arguments[0], "value", "")
    is_name = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", value, re.ASCII) is not None
    return is_name or getattr(arguments[0], "id", "") in ("__name__", "__package__")


def _replaced(source: PythonSource, node: ast.expr, text: str) -> TextEdit:
    return TextEdit(start=source.start(node), end=source.end(node), text=text)
