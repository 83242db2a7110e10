"""Imports of Python source, changed so that they bring another thing under the name that the file knows it by.

What is imported besides stays, as do comments. Nothing is imported at another place than before.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from pytest_py312.core.text_edits import EditRefused, Splice
from pytest_py312.repository.edits.python.syntax import PythonText


def moved_names(source: PythonText, node: ast.ImportFrom, moved: Mapping[int, str]) -> list[Splice]:
    """A ``from`` import whose names (by their number) become those in ``moved`` (dotted: module and name).

    What stays in the module is written ``new as old``, so that no use of it changes. What comes from another module
    is imported from there by a statement of its own, unless all of the names do.

    :raises EditRefused: a comment stands between the names.
    """
    homes = {number: new.rpartition(".")[0] for number, new in moved.items()}
    elsewhere = {number: home for number, home in homes.items() if home != node.module}
    renamed = [
        splice
        for number in moved.keys() - elsewhere.keys()
        for splice in _renamed(source, node.names[number], moved[number])
    ]
    if not elsewhere:
        return renamed
    if len(elsewhere) == len(node.names) and len(set(homes.values())) == 1:
        start, end = _module_span(source, node)
        names = [splice for number in moved for splice in _renamed(source, node.names[number], moved[number])]
        return [Splice(start=start, end=end, text=next(iter(homes.values()))), *names]
    if len(elsewhere) == len(node.names):
        raise EditRefused("All of its names move, to several modules.")
    added = [
        f"from {home} import {', '.join(_written(node.names[number], moved[number]) for number in numbers)}"
        for home, numbers in _by_home(elsewhere)
    ]
    return [*renamed, *_without(source, node, sorted(elsewhere)), _added_after(source, node, added)]


def _by_home(homes: Mapping[int, str]) -> Iterator[tuple[str, list[int]]]:
    ordered = sorted(homes, key=lambda number: (homes[number], number))
    for home, numbers in groupby(ordered, key=homes.__getitem__):
        yield home, list(numbers)


def _written(alias: ast.alias, new: str) -> str:
    name = new.rpartition(".")[2]
    known_as = alias.asname or alias.name
    return name if name == known_as else f"{name} as {known_as}"


def _renamed(source: PythonText, alias: ast.alias, new: str) -> list[Splice]:
    name = new.rpartition(".")[2]
    if name == alias.name:
        return []
    start = source.start(alias)
    text = name if alias.asname else f"{name} as {alias.name}"
    return [Splice(start=start, end=start + len(alias.name), text=text)]


def _module_span(source: PythonText, node: ast.ImportFrom) -> tuple[int, int]:
    start = source.start(node)
    text = source.segment(node)
    found = text.find(node.module or "", len("from"))
    if found < 0 or "import" in text[:found]:
        raise EditRefused("The name of the module is not written in one piece.")
    return start + found, start + found + len(node.module or "")


def _without(source: PythonText, node: ast.ImportFrom, numbers: Sequence[int]) -> Iterator[Splice]:
    """The list of names without some of them, each with the comma that goes with it."""
    last = len(node.names) - 1
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        gone = [number for _, number in run]
        if gone[-1] < last:
            start, end = source.start(node.names[gone[0]]), source.start(node.names[gone[-1] + 1])
        else:
            start, end = source.end(node.names[gone[0] - 1]), source.end(node.names[last])
        if "#" in source.text[start:end] or "\\" in source.text[start:end]:
            raise EditRefused("A comment or a continued line stands between the names: split the import by hand.")
        yield Splice(start=start, end=end, text="")


def _added_after(source: PythonText, node: ast.stmt, statements: Sequence[str]) -> Splice:
    """Further statements after one, on lines of their own where it has its own as well."""
    end_line = node.end_lineno or node.lineno
    before = source.text[source.line_start(node.lineno) : source.start(node)]
    after = source.text[source.end(node) : source.line_end(end_line)].strip()
    if before.strip(" \t\f") or (after and not after.startswith("#")):
        end = source.end(node)
        return Splice(start=end, end=end, text="".join(f"; {statement}" for statement in statements))
    end = source.line_end(end_line)
    separator = source.line_break(end_line) + before
    return Splice(start=end, end=end, text="".join(separator + statement for statement in statements))


def added_name(source: PythonText, alias: ast.alias, name: str) -> Splice:
    """One more name in a ``from`` import, right after another."""
    end = source.end(alias)
    return Splice(start=end, end=end, text=f", {name}")


def module_renamed(source: PythonText, alias: ast.alias, new: str) -> Splice:
    """``import old`` -> ``import new``, an ``as`` kept."""
    start = source.start(alias)
    return Splice(start=start, end=start + len(alias.name), text=new)


# ---- which import brings a name


def from_import_of(source: PythonText, node: ast.Name, dotted: str) -> tuple[ast.ImportFrom, int]:
    """The one ``from`` import that brings ``node`` as the ``dotted`` name, and its number there.

    :raises EditRefused: there is none, or more than one.
    """
    found = [
        (statement, number)
        for statement in source.from_imports
        if source.sees(node, statement)
        for number, alias in enumerate(statement.names)
        if (alias.asname or alias.name) == node.id and f"{statement.module}.{alias.name}" == dotted
    ]
    if not found:
        raise EditRefused(f"{dotted} is not written out here.")
    if len(found) > 1:
        raise EditRefused(f"{dotted} is imported at several places.")
    return found[0]


def module_imports(source: PythonText, node: ast.Name) -> list[ast.alias]:
    """The ``import module`` and ``import module as name`` that may bring ``node``."""
    return [
        alias
        for statement in source.imports
        if source.sees(node, statement)
        for alias in statement.names
        if (alias.asname or alias.name.partition(".")[0]) == node.id
    ]
