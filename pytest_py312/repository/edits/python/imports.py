"""Change imports of Python source, so that they bind another object to the name that the file uses.

Other imported names and comments stay. Nothing is imported at another place than before.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from pytest_py312.core.text_edits import EditRefused, TextEdit
from pytest_py312.repository.edits.python.syntax import PythonSource


def rename_imported_names(source: PythonSource, node: ast.ImportFrom, new_names: Mapping[int, str]) -> list[TextEdit]:
    """Change names of a ``from`` import (by their index) to those in ``new_names`` (module and name, dotted).

    A name that stays in the module becomes ``new as old``, so that no use of it changes. Names of another module are
    imported by a new statement, unless all names of the import are.

    :raises EditRefused: a comment is between the names.
    """
    new_modules = {number: new.rpartition(".")[0] for number, new in new_names.items()}
    other_modules = {number: new_module for number, new_module in new_modules.items() if new_module != node.module}
    renamed = [
        text_edit
        for number in new_names.keys() - other_modules.keys()
        for text_edit in _rename_edits(source, node.names[number], new_names[number])
    ]
    if not other_modules:
        return renamed
    if len(other_modules) == len(node.names) and len(set(new_modules.values())) == 1:
        start, end = _module_span(source, node)
        names = [
            text_edit
            for number in new_names
            for text_edit in _rename_edits(source, node.names[number], new_names[number])
        ]
        return [TextEdit(start=start, end=end, text=next(iter(new_modules.values()))), *names]
    if len(other_modules) == len(node.names):
        raise EditRefused("All of its names move, but to several modules.")
    statements = [
        f"from {module} import {', '.join(_import_clause(node.names[index], new_names[index]) for index in indexes)}"
        for module, indexes in _group_by_module(other_modules)
    ]
    return [*renamed, *_removal_edits(source, node, sorted(other_modules)), _insert_after(source, node, statements)]


def _group_by_module(modules: Mapping[int, str]) -> Iterator[tuple[str, list[int]]]:
    ordered = sorted(modules, key=lambda number: (modules[number], number))
    for module, numbers in groupby(ordered, key=modules.__getitem__):
        yield module, list(numbers)


def _import_clause(alias: ast.alias, new: str) -> str:
    name = new.rpartition(".")[2]
    local_name = alias.asname or alias.name
    return name if name == local_name else f"{name} as {local_name}"


def _rename_edits(source: PythonSource, alias: ast.alias, new: str) -> list[TextEdit]:
    name = new.rpartition(".")[2]
    if name == alias.name:
        return []
    start = source.start(alias)
    text = name if alias.asname else f"{name} as {alias.name}"
    return [TextEdit(start=start, end=start + len(alias.name), text=text)]


def _module_span(source: PythonSource, node: ast.ImportFrom) -> tuple[int, int]:
    start = source.start(node)
    text = source.segment(node)
    offset = text.find(node.module or "", len("from"))
    if offset < 0 or "import" in text[:offset]:
        raise EditRefused("The module's name is split over several tokens.")
    return start + offset, start + offset + len(node.module or "")


def _removal_edits(source: PythonSource, node: ast.ImportFrom, numbers: Sequence[int]) -> Iterator[TextEdit]:
    """Yield the edits that remove some names from the list, each with its comma."""
    last = len(node.names) - 1
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        removed = [number for _, number in run]
        if removed[-1] < last:
            start, end = source.start(node.names[removed[0]]), source.start(node.names[removed[-1] + 1])
        else:
            start, end = source.end(node.names[removed[0] - 1]), source.end(node.names[last])
        if "#" in source.text[start:end] or "\\" in source.text[start:end]:
            raise EditRefused("A comment or a continued line is between the names: split the import manually.")
        yield TextEdit(start=start, end=end, text="")


def _insert_after(source: PythonSource, node: ast.stmt, statements: Sequence[str]) -> TextEdit:
    """Insert statements after another one, on lines of their own if it has its own line."""
    end_line = node.end_lineno or node.lineno
    indentation = source.text[source.line_start(node.lineno) : source.start(node)]
    trailing = source.text[source.end(node) : source.line_end(end_line)].strip()
    if indentation.strip(" \t\f") or (trailing and not trailing.startswith("#")):
        end = source.end(node)
        return TextEdit(start=end, end=end, text="".join(f"; {statement}" for statement in statements))
    end = source.line_end(end_line)
    separator = source.line_break(end_line) + indentation
    return TextEdit(start=end, end=end, text="".join(separator + statement for statement in statements))


def add_imported_name(source: PythonSource, alias: ast.alias, name: str) -> TextEdit:
    """Add a name to a ``from`` import, right after another one."""
    end = source.end(alias)
    return TextEdit(start=end, end=end, text=f", {name}")


def rename_module(source: PythonSource, alias: ast.alias, new: str) -> TextEdit:
    """Change ``import old`` to ``import new``, keeping ``as``."""
    start = source.start(alias)
    return TextEdit(start=start, end=start + len(alias.name), text=new)


# ---- which import binds a name


def from_import_of(source: PythonSource, node: ast.Name, dotted: str) -> tuple[ast.ImportFrom, int]:
    """Return the one ``from`` import that binds ``node`` to the ``dotted`` name, and the index of the name.

    :raises EditRefused: there is none, or more than one.
    """
    matching = [
        (statement, number)
        for statement in source.from_imports
        if source.can_see(node, statement)
        for number, alias in enumerate(statement.names)
        if (alias.asname or alias.name) == node.id and f"{statement.module}.{alias.name}" == dotted
    ]
    if not matching:
        raise EditRefused(f"{dotted} is not imported by name here.")
    if len(matching) > 1:
        raise EditRefused(f"{dotted} is imported in several places.")
    return matching[0]


def module_imports(source: PythonSource, node: ast.Name) -> list[ast.alias]:
    """Return the ``import module`` and ``import module as name`` that may bind ``node``."""
    return [
        alias
        for statement in source.imports
        if source.can_see(node, statement)
        for alias in statement.names
        if (alias.asname or alias.name.partition(".")[0]) == node.id
    ]
