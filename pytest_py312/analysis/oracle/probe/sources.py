"""Find the functions, classes and parameters of the stdlib whose source gives deprecation warnings.

Runs inside the queried interpreter, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
Nothing is executed; only functions that mention a deprecation are parsed.
"""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

from pytest_py312.analysis.oracle.probe.layout import (
    class_body,
    class_headers,
    end_of_block,
    function_around,
    lines_containing,
    parse_block,
    parse_definition,
    setter_methods,
)
from pytest_py312.analysis.oracle.probe.warning_texts import CATEGORIES, last_name, static_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef

DEPRECATION_MARKS = (
    b"DeprecationWarning",
    b"FutureWarning",
    b"SyntaxWarning",
    b"_deprecated(",
    b"parameter was removed",
)
"""Texts that indicate a deprecation. A function without any of them is not parsed."""
WARN_FUNCTIONS = ("warn", "_warn", "_deprecated")
MAX_FILE_BYTES = 8 * 1024 * 1024

LEAF_TYPES = frozenset({int, str, type(None), ast.Load, ast.Store, ast.Name, ast.Constant})
"""Types without child nodes; they are most of a tree."""


class FunctionWarnings:
    """The warnings of one function. Texts stay expressions until the names in them can be resolved."""

    def __init__(self, node: AnyFunction) -> None:
        self.warning: ast.Call | None = None
        self.local_variables: dict[str, object] = {}
        """Local variables, as the expressions assigned to them."""
        self.deprecated: dict[str, ast.Call] = {}
        """Parameters that warn when they are passed."""
        self.refused: set[str] = set()
        """Parameters that are still declared and raise a TypeError when they are passed."""
        arguments = node.args
        named = [*getattr(arguments, "posonlyargs", []), *arguments.args, *arguments.kwonlyargs]
        self._parameter_names = {argument.arg for argument in named}
        self._keywords_parameter = arguments.kwarg.arg if arguments.kwarg else ""
        self._read(node.body, certain=True)

    def _read(self, statements: Sequence[ast.stmt], certain: bool) -> None:
        only_with: set[str] = set()
        for statement in statements:
            call = _warning_call(statement)
            if call is not None:
                for name in only_with:
                    self.deprecated.setdefault(name, call)
                if certain and not only_with and self.warning is None:
                    self.warning = call
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                self.local_variables.setdefault(statement.targets[0].id, statement.value)
            elif isinstance(statement, ast.If):
                absent = self._read_if(statement)
                if any(isinstance(inner, ast.Return) for inner in _flatten(statement.body)):
                    only_with |= absent
                    certain = certain and bool(absent)
            elif isinstance(statement, (ast.With, ast.AsyncWith, ast.Try)):
                self._read(statement.body, certain and not only_with)
                for handler in getattr(statement, "handlers", []):
                    self._read(handler.body, False)
            elif isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
                self._read(statement.body, False)
            elif isinstance(statement, (ast.Return, ast.Raise)):
                return

    def _read_if(self, statement: ast.If) -> set[str]:
        """Record what a condition on parameters guards. Return the parameters whose *absence* the body handles."""
        given, absent = self._tested_parameters(statement.test)
        for names, branch in ((given, statement.body), (absent, statement.orelse)):
            for inner in _flatten(branch) if names else ():
                call = _warning_call(inner)
                if call is not None:
                    for name in names:
                        self.deprecated.setdefault(name, call)
                elif isinstance(inner, ast.Raise) and _refuses(inner):
                    self.refused |= names
        self._read(statement.body, False)
        self._read(statement.orelse, False)
        return absent

    def _tested_parameters(self, test: ast.expr) -> tuple[set[str], set[str]]:
        """Return the parameters that are passed if ``test`` is true, and those that are passed if it is false."""
        nothing: set[str] = set()
        if isinstance(test, ast.Name) and test.id in self._parameter_names:
            return {test.id}, nothing
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            given, absent = self._tested_parameters(test.operand)
            return absent, given
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
            sides = [self._tested_parameters(value)[0] for value in test.values]
            return (set().union(*sides), nothing) if all(sides) else (nothing, nothing)
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return self._compared_parameters(test.left, test.ops[0], test.comparators[0])
        return nothing, nothing

    def _compared_parameters(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> tuple[set[str], set[str]]:
        nothing: set[str] = set()
        if isinstance(operator, ast.In) and isinstance(right, ast.Name) and right.id == self._keywords_parameter:
            return ({str(left.value)} if isinstance(left, ast.Constant) else nothing), nothing
        if not (isinstance(left, ast.Name) and left.id in self._parameter_names):
            return nothing, nothing
        if isinstance(right, ast.Constant) and right.value is not None:
            return nothing, nothing
        if isinstance(operator, ast.IsNot):
            return {left.id}, nothing
        if isinstance(operator, ast.Is):
            return nothing, {left.id}
        return nothing, nothing


class LibrarySource:
    """One source file of the library, parsed on demand."""

    def __init__(self, path: str) -> None:
        self._functions: dict[str, FunctionWarnings] = {}
        self._by_line: dict[int, FunctionWarnings] = {}
        self._unread_functions: dict[int, str] = {}
        """Functions with deprecation marks that are not parsed yet: first line, from 0, and prefix of the qualified
        name."""
        self.warning: ast.Call | None = None
        """The warning of importing the module."""
        self.tree: ast.Module | None = None
        self._classes: dict[str, dict[str, ast.ClassDef]] = {}
        """Classes by the name of their top-level class and by their qualified name."""
        self._attributes: dict[str, set[str] | None] = {}
        self._headers: dict[str, list[int]] | None = None
        self._text = _read_bytes(path)
        self._decoded: str | None = None
        self._lines: list[str] | None = None
        marked = sorted({line for mark in DEPRECATION_MARKS for line in lines_containing(mark, self._text)})
        if marked:
            self._locate_functions(self.lines_of_text(), marked)

    def lines_of_text(self) -> list[str]:
        if self._lines is None:
            self._lines = self._string().split("\n")
        return self._lines

    def _string(self) -> str:
        if self._decoded is None:
            self._decoded = self._text.decode("utf-8", "replace")
        return self._decoded

    def _locate_functions(self, lines: list[str], marked: Sequence[int]) -> None:
        for number in marked:
            if not lines[number].lstrip().startswith("#"):
                start = function_around(lines, number)
                if start is None:
                    self._read_all()
                    return
                self._unread_functions[start[0]] = start[1]

    def _read_function(self, first: int) -> None:
        tree = parse_block(self.lines_of_text(), first)
        if tree is None:
            self._read_all()
        else:
            self._collect(tree, self._unread_functions.pop(first), first - 1)

    @property
    def functions(self) -> dict[str, FunctionWarnings]:
        """The warnings of functions, by qualified name, for functions with deprecation marks."""
        while self._unread_functions:
            self._read_function(next(iter(self._unread_functions)))
        return self._functions

    def function_at(self, line: int) -> FunctionWarnings | None:
        """Return the warnings of the function that begins on a line, counted like ``co_firstlineno``."""
        candidate = max((first for first in self._unread_functions if first < line), default=None)
        if candidate is not None and (candidate == line - 1 or line <= end_of_block(self.lines_of_text(), candidate)):
            self._read_function(candidate)
        return self._by_line.get(line)

    def _read_all(self) -> None:
        """Parse the whole file, if the layout is ambiguous."""
        self._unread_functions.clear()
        tree = self._parsed()
        if tree is None:
            return
        for statement in _flatten(tree.body, conditions=False):
            self.warning = self.warning or _warning_call(statement)
        self._collect(tree, "", 0)

    def _collect(self, tree: ast.AST, prefix: str, offset: int) -> None:
        pending: list[tuple[ast.AST, str]] = [(tree, prefix)]
        while pending:
            parent, prefix = pending.pop()
            for node in _definitions(parent):
                name = f"{prefix}{node.name}"
                if isinstance(node, ast.ClassDef):
                    pending.append((node, f"{name}."))
                    continue
                facts = FunctionWarnings(node)
                self._functions[name] = facts
                line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                self._by_line[line + offset] = facts
                pending.append((node, f"{name}.<locals>."))

    def _parsed(self) -> ast.Module | None:
        if self.tree is None and self._text:
            try:
                self.tree = ast.parse(self._text)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._text = b""
        return self.tree

    def names(self) -> tuple[set[str], bool]:
        """Return the names bound at the top level of the module, and whether the list is complete."""
        tree = self._parsed()
        bound_names: set[str] = set()
        for statement in _flatten(tree.body) if tree else ():
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                bound_names.add(statement.name)
            elif isinstance(statement, (ast.Import, ast.ImportFrom)):
                bound_names |= {alias.asname or alias.name.split(".")[0] for alias in statement.names}
            else:
                bound_names |= {
                    node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _is_store(node)
                }
        return bound_names, tree is not None and not {"*", "__getattr__"} & bound_names

    def class_attributes(self, qualname: str) -> set[str] | None:
        """Return the attributes that methods of a class set on ``self``, or that it annotates; ``None`` if unknown."""
        outer = qualname.partition(".")[0]
        if outer not in self._classes:
            start = self._class_start(outer)
            class_tree = (
                None if start is None else parse_block(self.lines_of_text(), self._string().count("\n", 0, start))
            )
            self._classes[outer] = _classes_in(class_tree or self._parsed())
        node = self._classes[outer].get(qualname)
        if qualname not in self._attributes:
            self._attributes[qualname] = None if node is None else _set_attributes(node)
        return self._attributes[qualname]

    def _class_start(self, name: str) -> int | None:
        """Return the position of a top-level class in the text; ``None`` if the layout is ambiguous."""
        if self._headers is None:
            self._headers = class_headers(self._string())
        places = self._headers.get(name, [])
        return places[0] if len(places) == 1 and places[0] >= 0 else None

    def sets_attribute(self, qualname: str, name: str) -> bool | None:
        """Return whether a class annotates an attribute or sets it on ``self``; ``None`` if unknown.

        Of a top-level class only the methods that may be involved are parsed.
        """
        if qualname not in self._attributes and (start := self._class_start(qualname)) is not None:
            body = class_body(self._string(), start)
            methods = None if body is None else setter_methods(body, name)
            trees = None if methods is None else [parse_definition(method) for method in methods]
            if trees is not None and None not in trees:
                attribute_sets = [_set_attributes(tree) for tree in trees if tree is not None]
                return (
                    None
                    if None in attribute_sets
                    else any(
                        name in attribute_names for attribute_names in attribute_sets if attribute_names is not None
                    )
                )
        attributes = self.class_attributes(qualname)
        return None if attributes is None else name in attributes

    def may_set_elsewhere(self, name: str) -> bool:
        """Return whether code outside of the class may set an attribute of this name."""
        if f"'{name}'".encode() in self._text:
            return True
        dotted = f".{name}".encode()
        return dotted in self._text and re.search(re.escape(dotted) + rb"\b(?!\()", self._text) is not None


def _read_bytes(path: str) -> bytes:
    try:
        if not path.endswith(".py") or os.stat(path).st_size > MAX_FILE_BYTES:  # noqa: PTH116 - pathlib costs start-up time
            return b""
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""


def _set_attributes(node: ast.ClassDef | ast.Module) -> set[str] | None:
    names = {
        item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    pending: list[Any] = [node]
    while pending:  # for speed, as most of the time is spent here: ast.walk() gets each field by name
        inner = pending.pop()
        kind = inner.__class__
        if kind is list:
            pending += inner
        elif kind is ast.Attribute and inner.value.__class__ is ast.Name and inner.value.id == "self":
            if inner.attr == "__dict__":
                return None
            if _is_store(inner):
                names.add(inner.attr)
        elif kind not in LEAF_TYPES and isinstance(inner, ast.AST):
            if isinstance(inner, ast.Call) and _sets_dynamically(inner):
                return None
            pending += vars(inner).values()
    return names


def _sets_dynamically(call: ast.Call) -> bool:
    """Return whether a call is ``setattr(self, ...)`` or ``vars(self)``."""
    if last_name(call.func) not in ("setattr", "__setattr__", "vars"):
        return False
    return any(isinstance(argument, ast.Name) and argument.id == "self" for argument in call.args)


def _classes_in(tree: ast.Module | None) -> dict[str, ast.ClassDef]:
    """Return the classes of a module by qualified name."""
    classes: dict[str, ast.ClassDef] = {}
    pending: list[tuple[ast.AST, str]] = [(tree, "")] if tree is not None else []
    while pending:
        parent, prefix = pending.pop()
        for node in _definitions(parent):
            if isinstance(node, ast.ClassDef):
                classes[f"{prefix}{node.name}"] = node
                pending.append((node, f"{prefix}{node.name}."))
    return classes


def _is_store(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def _flatten(statements: Sequence[ast.stmt], conditions: bool = True) -> Iterator[ast.stmt]:
    """Yield statements, also those inside ``with``, ``try`` and (with ``conditions``) ``if``, ``for`` and ``while``."""
    inside: tuple[type[ast.stmt], ...] = (ast.With, ast.Try)
    if conditions:
        inside += (ast.If, ast.For, ast.While)
    for statement in statements:
        yield statement
        if isinstance(statement, inside):
            for part in ("body", "orelse", "finalbody"):
                yield from _flatten(getattr(statement, part, []), conditions)
            for handler in getattr(statement, "handlers", []) if conditions else ():
                yield from _flatten(handler.body, conditions)


def _definitions(parent: ast.AST) -> Iterator[AnyFunction | ast.ClassDef]:
    for node in _flatten(getattr(parent, "body", [])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


def _warning_call(statement: ast.stmt) -> ast.Call | None:
    """Return the call if a statement gives a deprecation warning."""
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return None
    call = statement.value
    name = last_name(call.func)
    if name not in WARN_FUNCTIONS or not call.args:
        return None
    if name == "_deprecated":
        return call
    category_arguments = [keyword.value for keyword in call.keywords if keyword.arg == "category"]
    first = call.args[0]
    category_calls = [first.func] if isinstance(first, ast.Call) else []
    return (
        call
        if any(last_name(part) in CATEGORIES for part in (*call.args[1:2], *category_arguments, *category_calls))
        else None
    )


def _refuses(statement: ast.Raise) -> bool:
    raised = statement.exc
    if not (isinstance(raised, ast.Call) and last_name(raised.func) == "TypeError" and raised.args):
        return False
    return "removed" in static_text(raised.args[0], {})
