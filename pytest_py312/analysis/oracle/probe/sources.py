"""What the source of a standard library says of itself: which functions, classes and parameters warn when used.

Runs inside the interpreter that is asked, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
Nothing is executed, sources are parsed, and of them only the functions that mention a deprecation.
"""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

from pytest_py312.analysis.oracle.probe.layout import (
    block,
    class_body,
    class_headers,
    end_of_block,
    function_around,
    lines_with,
    methods_that_set,
    parsed,
)
from pytest_py312.analysis.oracle.probe.warning_texts import CATEGORIES, last_name, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef

MARKS = (b"DeprecationWarning", b"FutureWarning", b"SyntaxWarning", b"_deprecated(", b"parameter was removed")
"""A function without one of these has nothing to say about deprecations, and is not parsed for them."""
WARNERS = ("warn", "_warn", "_deprecated")
LARGEST = 8 * 1024 * 1024

LEAVES = frozenset({int, str, type(None), ast.Load, ast.Store, ast.Name, ast.Constant})
"""What has nothing inside, and is most of what a tree consists of."""


class Facts:
    """What one function does with warnings. Texts stay expressions until somebody knows the names in them."""

    def __init__(self, node: AnyFunction) -> None:
        self.warning: ast.Call | None = None
        self.local: dict[str, object] = {}
        """Local variables, as the expressions they are."""
        self.deprecated: dict[str, ast.Call] = {}
        """Parameters that warn when they are given."""
        self.refused: set[str] = set()
        """Parameters that are still named and raise a TypeError when they are given."""
        arguments = node.args
        named = [*getattr(arguments, "posonlyargs", []), *arguments.args, *arguments.kwonlyargs]
        self._names = {argument.arg for argument in named}
        self._rest = arguments.kwarg.arg if arguments.kwarg else ""
        self._read(node.body, certain=True)

    def _read(self, statements: Sequence[ast.stmt], certain: bool) -> None:
        only_with: set[str] = set()
        for statement in statements:
            call = _warning(statement)
            if call is not None:
                for name in only_with:
                    self.deprecated.setdefault(name, call)
                if certain and not only_with and self.warning is None:
                    self.warning = call
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                self.local.setdefault(statement.targets[0].id, statement.value)
            elif isinstance(statement, ast.If):
                absent = self._read_if(statement)
                if any(isinstance(inner, ast.Return) for inner in _flat(statement.body)):
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
        """Take what a condition on parameters guards; returns those whose *absence* is what the body is about."""
        given, absent = self._tested(statement.test)
        for names, branch in ((given, statement.body), (absent, statement.orelse)):
            for inner in _flat(branch) if names else ():
                call = _warning(inner)
                if call is not None:
                    for name in names:
                        self.deprecated.setdefault(name, call)
                elif isinstance(inner, ast.Raise) and _refuses(inner):
                    self.refused |= names
        self._read(statement.body, False)
        self._read(statement.orelse, False)
        return absent

    def _tested(self, test: ast.expr) -> tuple[set[str], set[str]]:
        """Parameters that are given where ``test`` holds, and parameters that are given where it does not."""
        nothing: set[str] = set()
        if isinstance(test, ast.Name) and test.id in self._names:
            return {test.id}, nothing
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            given, absent = self._tested(test.operand)
            return absent, given
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
            sides = [self._tested(value)[0] for value in test.values]
            return (set().union(*sides), nothing) if all(sides) else (nothing, nothing)
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return self._compared(test.left, test.ops[0], test.comparators[0])
        return nothing, nothing

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> tuple[set[str], set[str]]:
        nothing: set[str] = set()
        if isinstance(operator, ast.In) and isinstance(right, ast.Name) and right.id == self._rest:
            return ({str(left.value)} if isinstance(left, ast.Constant) else nothing), nothing
        if not (isinstance(left, ast.Name) and left.id in self._names):
            return nothing, nothing
        if isinstance(right, ast.Constant) and right.value is not None:
            return nothing, nothing
        if isinstance(operator, ast.IsNot):
            return {left.id}, nothing
        if isinstance(operator, ast.Is):
            return nothing, {left.id}
        return nothing, nothing


class Source:
    """One file of the library, parsed when something in it is asked for."""

    def __init__(self, path: str) -> None:
        self._functions: dict[str, Facts] = {}
        self._by_line: dict[int, Facts] = {}
        self._unread: dict[int, str] = {}
        """Functions that have something to say and were not asked for: their first lines, from 0, and what stands
        before their names in qualified ones."""
        self.warning: ast.Call | None = None
        """The warning that importing it gives."""
        self.tree: ast.Module | None = None
        self._classes: dict[str, dict[str, ast.ClassDef]] = {}
        """Those in a class at the top, by its name and theirs."""
        self._attributes: dict[str, set[str] | None] = {}
        self._headers: dict[str, list[int]] | None = None
        self._text = _bytes(path)
        self._decoded: str | None = None
        self._lines: list[str] | None = None
        marked = sorted({line for mark in MARKS for line in lines_with(mark, self._text)})
        if marked:
            self._look(self.lines_of_text(), marked)

    def lines_of_text(self) -> list[str]:
        if self._lines is None:
            self._lines = self._string().split("\n")
        return self._lines

    def _string(self) -> str:
        if self._decoded is None:
            self._decoded = self._text.decode("utf-8", "replace")
        return self._decoded

    def _look(self, lines: list[str], marked: Sequence[int]) -> None:
        for number in marked:
            if not lines[number].lstrip().startswith("#"):
                start = function_around(lines, number)
                if start is None:
                    self._read_all()
                    return
                self._unread[start[0]] = start[1]

    def _read(self, first: int) -> None:
        tree = block(self.lines_of_text(), first)
        if tree is None:
            self._read_all()
        else:
            self._take(tree, self._unread.pop(first), first - 1)

    @property
    def functions(self) -> dict[str, Facts]:
        """What functions do with warnings, by their qualified names: of those that mention any."""
        while self._unread:
            self._read(next(iter(self._unread)))
        return self._functions

    def begins_at(self, line: int) -> Facts | None:
        """The same of the function that begins on a line, decorators included, as in ``co_firstlineno``."""
        before = max((first for first in self._unread if first < line), default=None)
        if before is not None and (before == line - 1 or line <= end_of_block(self.lines_of_text(), before)):
            self._read(before)
        return self._by_line.get(line)

    def _read_all(self) -> None:
        """Where the layout of the lines says too little."""
        self._unread.clear()
        tree = self._parsed()
        if tree is None:
            return
        for statement in _flat(tree.body, conditions=False):
            self.warning = self.warning or _warning(statement)
        self._take(tree, "", 0)

    def _take(self, tree: ast.AST, prefix: str, offset: int) -> None:
        pending: list[tuple[ast.AST, str]] = [(tree, prefix)]
        while pending:
            parent, prefix = pending.pop()
            for node in _definitions(parent):
                name = f"{prefix}{node.name}"
                if isinstance(node, ast.ClassDef):
                    pending.append((node, f"{name}."))
                    continue
                facts = Facts(node)
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
        """The names bound at the top of the module, and whether that is all of them."""
        tree = self._parsed()
        found: set[str] = set()
        for statement in _flat(tree.body) if tree else ():
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(statement.name)
            elif isinstance(statement, (ast.Import, ast.ImportFrom)):
                found |= {alias.asname or alias.name.split(".")[0] for alias in statement.names}
            else:
                found |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _stored(node)}
        return found, tree is not None and not {"*", "__getattr__"} & found

    def class_attributes(self, qualname: str) -> set[str] | None:
        """What methods of a class set on ``self``, with the names it only annotates; ``None`` where nobody can tell."""
        outer = qualname.partition(".")[0]
        if outer not in self._classes:
            start = self._class(outer)
            alone = None if start is None else block(self.lines_of_text(), self._string().count("\n", 0, start))
            self._classes[outer] = _classes_in(alone or self._parsed())
        node = self._classes[outer].get(qualname)
        if qualname not in self._attributes:
            self._attributes[qualname] = None if node is None else _attributes(node)
        return self._attributes[qualname]

    def _class(self, name: str) -> int | None:
        """Where in the text a class at the top of the module begins; ``None`` where the layout does not tell."""
        if self._headers is None:
            self._headers = class_headers(self._string())
        places = self._headers.get(name, [])
        return places[0] if len(places) == 1 and places[0] >= 0 else None

    def sets(self, qualname: str, name: str) -> bool | None:
        """Whether a class annotates an attribute, or its methods set it on ``self``; ``None`` where nobody can tell.

        Of a class at the top only the methods that may have to do with it are parsed.
        """
        if qualname not in self._attributes and (start := self._class(qualname)) is not None:
            body = class_body(self._string(), start)
            methods = None if body is None else methods_that_set(body, name)
            trees = None if methods is None else [parsed(method) for method in methods]
            if trees is not None and None not in trees:
                found = [_attributes(tree) for tree in trees if tree is not None]
                return None if None in found else any(name in one for one in found if one is not None)
        attributes = self.class_attributes(qualname)
        return None if attributes is None else name in attributes

    def may_set(self, name: str) -> bool:
        """Whether anything in the file could set an attribute of this name from outside of the class."""
        if f"'{name}'".encode() in self._text:
            return True
        dotted = f".{name}".encode()
        return dotted in self._text and re.search(re.escape(dotted) + rb"\b(?!\()", self._text) is not None


def _bytes(path: str) -> bytes:
    try:
        if not path.endswith(".py") or os.stat(path).st_size > LARGEST:  # noqa: PTH116 - pathlib costs start-up time
            return b""
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""


def _attributes(node: ast.ClassDef | ast.Module) -> set[str] | None:
    found = {
        item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    pending: list[Any] = [node]
    while pending:  # by hand, for here most of the time goes: ast.walk() asks each node for each field by its name
        inner = pending.pop()
        kind = inner.__class__
        if kind is list:
            pending += inner
        elif kind is ast.Attribute and inner.value.__class__ is ast.Name and inner.value.id == "self":
            if inner.attr == "__dict__":
                return None
            if _stored(inner):
                found.add(inner.attr)
        elif kind not in LEAVES and isinstance(inner, ast.AST):
            if isinstance(inner, ast.Call) and _may_set_any(inner):
                return None
            pending += vars(inner).values()
    return found


def _may_set_any(call: ast.Call) -> bool:
    """``setattr(self, ...)``, ``vars(self)``"""
    if last_name(call.func) not in ("setattr", "__setattr__", "vars"):
        return False
    return any(isinstance(argument, ast.Name) and argument.id == "self" for argument in call.args)


def _classes_in(tree: ast.Module | None) -> dict[str, ast.ClassDef]:
    """The classes of a module by their qualified names."""
    found: dict[str, ast.ClassDef] = {}
    pending: list[tuple[ast.AST, str]] = [(tree, "")] if tree is not None else []
    while pending:
        parent, prefix = pending.pop()
        for node in _definitions(parent):
            if isinstance(node, ast.ClassDef):
                found[f"{prefix}{node.name}"] = node
                pending.append((node, f"{prefix}{node.name}."))
    return found


def _stored(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def _flat(statements: Sequence[ast.stmt], conditions: bool = True) -> Iterator[ast.stmt]:
    """The statements, also those inside ``with``, ``try`` and (with ``conditions``) ``if``, ``for`` and ``while``."""
    inside: tuple[type[ast.stmt], ...] = (ast.With, ast.Try)
    if conditions:
        inside += (ast.If, ast.For, ast.While)
    for statement in statements:
        yield statement
        if isinstance(statement, inside):
            for part in ("body", "orelse", "finalbody"):
                yield from _flat(getattr(statement, part, []), conditions)
            for handler in getattr(statement, "handlers", []) if conditions else ():
                yield from _flat(handler.body, conditions)


def _definitions(parent: ast.AST) -> Iterator[AnyFunction | ast.ClassDef]:
    for node in _flat(getattr(parent, "body", [])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


def _warning(statement: ast.stmt) -> ast.Call | None:
    """The call, where a statement is one that gives a deprecation warning."""
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return None
    call = statement.value
    name = last_name(call.func)
    if name not in WARNERS or not call.args:
        return None
    if name == "_deprecated":
        return call
    named = [keyword.value for keyword in call.keywords if keyword.arg == "category"]
    first = call.args[0]
    made = [first.func] if isinstance(first, ast.Call) else []
    return call if any(last_name(part) in CATEGORIES for part in (*call.args[1:2], *named, *made)) else None


def _refuses(statement: ast.Raise) -> bool:
    raised = statement.exc
    if not (isinstance(raised, ast.Call) and last_name(raised.func) == "TypeError" and raised.args):
        return False
    return "removed" in text_of(raised.args[0], {})
