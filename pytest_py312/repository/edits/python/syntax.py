"""Python source as text and as a tree, and where the nodes of the tree stand in the text.

Parsed by the interpreter that this runs in. Columns of nodes are bytes of UTF-8, offsets here are characters, and the
line ends are left as they are.
"""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Callable
from typing import Any

from pytest_py312.core.text_edits import EditRefused

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Module)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


class PythonText:
    """One file.

    :raises EditRefused: it cannot be parsed here.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.normal = normal(text)
        self.tree = parsed(self.normal)
        self._lines = self.normal.split("\n")
        self._starts = [match.start() for match in _LINE.finditer(text)][: len(self._lines)]
        self._parents: dict[ast.AST, ast.AST] = {}
        self._places: dict[tuple[int, int], list[Any]] = {}
        self._bindings: dict[str, list[ast.AST]] = {}
        self.reads: dict[str, list[ast.Name]] = {}
        """The names that are read, by what they are."""
        self.imports: list[ast.Import] = []
        self.from_imports: list[ast.ImportFrom] = []
        for node in ast.walk(self.tree):
            self._note(node)

    def _note(self, node: Any) -> None:
        for child in ast.iter_child_nodes(node):
            self._parents[child] = node
        if isinstance(node, ast.Import):
            self.imports.append(node)
        elif isinstance(node, ast.ImportFrom):
            self.from_imports.append(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self.reads.setdefault(node.id, []).append(node)
        for name in _bound_by(node):
            self._bindings.setdefault(name or "", []).append(node)
        if isinstance(node, ast.Attribute) and node.lineno != node.end_lineno:
            last = self.end(node) - len(node.attr)
            self._places.setdefault((node.end_lineno or 0, last), []).append(node)
        elif isinstance(node, ast.Name | ast.Attribute | ast.alias):
            self._places.setdefault((node.lineno, self.start(node)), []).append(node)

    # ---- places

    def offset(self, line: int, column: int) -> int:
        """Of a node's line (from 1) and column (bytes, from 0)."""
        row = self._lines[line - 1]
        characters = column if row.isascii() else len(row.encode()[:column].decode(errors="ignore"))
        return self._starts[line - 1] + characters

    def offset_of_token(self, place: tuple[int, int]) -> int:
        """Of a token's line (from 1) and column (characters, from 0)."""
        return self._starts[place[0] - 1] + place[1]

    def start(self, node: Any) -> int:
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: Any) -> int:
        return self.offset(node.end_lineno, node.end_col_offset)

    def segment(self, node: Any) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line_start(self, line: int) -> int:
        return self._starts[line - 1]

    def line_end(self, line: int) -> int:
        """Before the line's end."""
        return self._starts[line - 1] + len(self._lines[line - 1])

    def line_break(self, line: int) -> str:
        """What ends the line, or any other line where the file ends in it."""
        found = _LINE_BREAK.match(self.text, self.line_end(line)) or _LINE_BREAK.search(self.text)
        return found[0] if found else "\n"

    def at(self, line: int, column: int) -> list[Any]:
        """The names, attributes and imported names that are at a place (both from 1, column in characters).

        An attribute is where it begins; one that goes over several lines where its last name is.
        """
        if not 0 < line <= len(self._lines):
            return []
        return self._places.get((line, self._starts[line - 1] + column - 1), [])

    # ---- relations

    def parent(self, node: ast.AST) -> Any:
        return self._parents.get(node)

    def scopes(self, node: ast.AST) -> list[ast.AST]:
        """The functions, classes and module round a node, innermost first."""
        found: list[ast.AST] = []
        above = self._parents.get(node)
        while above is not None:
            if isinstance(above, SCOPES):
                found.append(above)
            above = self._parents.get(above)
        return found

    def sees(self, node: ast.AST, binding: ast.AST) -> bool:
        """Whether a name that ``binding`` (an import) sets can be the one that ``node`` reads."""
        scope = self.scopes(binding)[0]
        around = self.scopes(node)
        return scope in around and (scope is around[0] or not isinstance(scope, ast.ClassDef))

    def bindings(self, name: str) -> list[ast.AST]:
        """All that gives ``name`` a meaning somewhere in the file; imported names are ``ast.alias``."""
        return self._bindings.get(name, [])


def _bound_by(node: ast.AST) -> tuple[str | None, ...]:
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, ast.alias):
        return (node.asname or node.name.partition(".")[0],)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler):
        return (node.name,)
    if isinstance(node, ast.MatchAs | ast.MatchStar):
        return (node.name,)
    if isinstance(node, ast.MatchMapping):
        return (node.rest,)
    if isinstance(node, ast.Global | ast.Nonlocal):
        return tuple(node.names)
    return (node.arg,) if isinstance(node, ast.arg) else ()


def decoded(data: bytes) -> tuple[str, Callable[[str], bytes]]:
    """The text, in the encoding that it declares (PEP 263) and without a byte order mark, and the way back to bytes.

    :raises EditRefused: it is no text, or would not be the same bytes again.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        same = text.encode(encoding) == data
    except (SyntaxError, UnicodeError, LookupError, ValueError) as error:
        raise EditRefused(f"The file cannot be decoded: {error}") from None
    if not same:
        raise EditRefused("The file's encoding would not survive an edit.")
    return text, lambda edited: edited.encode(encoding)


def normal(text: str) -> str:
    """``text`` with one kind of line ends, as its tree and its tokens are counted by."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(text: str) -> ast.Module:
    """:raises EditRefused: the interpreter that this runs in cannot parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a stranger's file
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise EditRefused(f"The file cannot be parsed: {error}") from None
