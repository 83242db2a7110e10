"""What the source of a standard library says of itself: which functions, classes and parameters warn when used.

Runs inside the interpreter that is asked, beside ``oracle_probe.py``: standard library only, for Python 3.8 and later.
Nothing is executed, sources are parsed, and of them only the functions that mention a deprecation.
"""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

from pytest_py312.source.oracle_texts import CATEGORIES, last_name, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef

MARKS = (b"DeprecationWarning", b"FutureWarning", b"SyntaxWarning", b"_deprecated(", b"parameter was removed")
"""A function without one of these has nothing to say about deprecations, and is not parsed for them."""
HEADER = re.compile(r"(async\s+def|def|class)\s+(\w+)")

CLASS = re.compile(rb"^([ \t]*)class[ \t]+(\w+)", re.MULTILINE)

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
        self.functions: dict[str, Facts] = {}
        self.lines: dict[int, Facts] = {}
        """By the line on which a function begins, decorators included, as in ``co_firstlineno``."""
        self.warning: ast.Call | None = None
        """The warning that importing it gives."""
        self.tree: ast.Module | None = None
        self._classes: dict[str, dict[str, ast.ClassDef]] = {}
        """Those in a class at the top, by its name and theirs."""
        self._attributes: dict[str, set[str] | None] = {}
        self._headers: dict[str, list[int]] | None = None
        self._text = _bytes(path)
        self._lines: list[str] | None = None
        marked = sorted({line for mark in MARKS for line in _lines_with(mark, self._text)})
        if marked:
            self._read(self.lines_of_text(), marked)

    def lines_of_text(self) -> list[str]:
        if self._lines is None:
            self._lines = self._text.decode("utf-8", "replace").split("\n")
        return self._lines

    def _read(self, lines: list[str], marked: Sequence[int]) -> None:
        starts: dict[tuple[int, str] | None, None] = {}
        for number in marked:
            if not lines[number].lstrip().startswith("#"):
                starts[function_around(lines, number)] = None
        trees = [(start, _block(lines, *start)) for start in starts if start is not None]
        if None in starts or any(tree is None for _, tree in trees):
            self._read_all()
            return
        for (first, prefix), tree in trees:
            if tree is not None:
                self._take(tree, prefix, first - 1)

    def _read_all(self) -> None:
        """Where the layout of the lines says too little."""
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
                self.functions[name] = facts
                line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                self.lines[line + offset] = facts
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
            self._classes[outer] = _classes_in(self._class(outer) or self._parsed())
        node = self._classes[outer].get(qualname)
        if qualname not in self._attributes:
            self._attributes[qualname] = None if node is None else _attributes(node)
        return self._attributes[qualname]

    def _class(self, name: str) -> ast.Module | None:
        """A class at the top of the module, parsed alone; ``None`` where the layout does not tell which lines it is."""
        if self._headers is None:
            self._headers = _class_headers(self._text)
        places = self._headers.get(name, [])
        return _block(self.lines_of_text(), places[0], "") if len(places) == 1 and places[0] >= 0 else None

    def may_set(self, name: str) -> bool:
        """Whether anything in the file could set an attribute of this name from outside of the class."""
        return f".{name}".encode() in self._text or f"'{name}'".encode() in self._text


def _lines_with(mark: bytes, text: bytes) -> Iterator[int]:
    """The numbers, from 0, of the lines in which ``mark`` stands."""
    line = before = 0
    place = text.find(mark)
    while place >= 0:
        line += text.count(b"\n", before, place)
        yield line
        before, place = place, text.find(mark, place + 1)


def _class_headers(text: bytes) -> dict[str, list[int]]:
    """The lines, from 0, on which what looks like a class begins, by its name; -1 for one that is indented."""
    found: dict[str, list[int]] = {}
    line = before = 0
    for match in CLASS.finditer(text):
        line += text.count(b"\n", before, match.start())
        before = match.start()
        found.setdefault(match[2].decode("ascii"), []).append(-1 if match[1] else line)
    return found


def function_around(lines: Sequence[str], number: int) -> tuple[int, str] | None:
    """The first line (from 0, decorators included) of the function or method that line ``number`` is in, and what
    stands before its name in a qualified name (``TestCase.``). ``None`` where the layout does not tell.
    """
    indent = _indent(lines[number])
    chain: list[tuple[int, str, str]] = []
    for place in range(number - 1, -1, -1):
        line = lines[place].lstrip()
        if indent and line and not line.startswith("#") and _indent(lines[place]) < indent:
            indent = _indent(lines[place])
            header = HEADER.match(line)
            if header:
                chain.insert(0, (place, header.group(1), header.group(2)))
    classes: list[str] = []
    for place, kind, name in chain:
        if kind == "class":
            classes.append(f"{name}.")
            continue
        first = place
        while (
            first and lines[first - 1].lstrip().startswith("@") and _indent(lines[first - 1]) == _indent(lines[place])
        ):
            first -= 1
        above = lines[first - 1].rstrip() if first else ""
        return None if above.endswith(")") else (first, "".join(classes))  # perhaps a decorator of several lines
    return None


def _block(lines: Sequence[str], first: int, _: str) -> ast.Module | None:
    """A function parsed by itself, below a line of its own; ``None`` where that fails."""
    indent = _indent(lines[first])
    last = next(place for place in range(first, len(lines)) if HEADER.match(lines[place].lstrip())) + 1
    while last < len(lines):
        line = lines[last].lstrip()
        if line and line[0] not in "#)" and _indent(lines[last]) <= indent:
            break
        last += 1
    try:
        return ast.parse("if 1:\n" + "\n".join(lines[first:last]) if indent else "\n" + "\n".join(lines[first:last]))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _bytes(path: str) -> bytes:
    try:
        if not path.endswith(".py") or os.stat(path).st_size > LARGEST:  # noqa: PTH116 - pathlib costs start-up time
            return b""
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""


def _attributes(node: ast.ClassDef) -> set[str] | None:
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
