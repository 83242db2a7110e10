"""Python source as text and as a syntax tree, with the position of the nodes in the text.

It is parsed by the running interpreter. Columns of nodes are bytes of UTF-8; offsets here are characters, and line ends
stay as they are.
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


class PythonSource:
    """The source of one file.

    :raises EditRefused: this interpreter cannot parse it.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.normalized = normalize_line_ends(text)
        self.tree = parse_source(self.normalized)
        self._lines = self.normalized.split("\n")
        self._starts = [match.start() for match in _LINE.finditer(text)][: len(self._lines)]
        self._parents: dict[ast.AST, ast.AST] = {}
        self._nodes_by_position: dict[tuple[int, int], list[Any]] = {}
        self._bindings: dict[str, list[ast.AST]] = {}
        self.reads: dict[str, list[ast.Name]] = {}
        """Name -> the nodes that read it."""
        self.imports: list[ast.Import] = []
        self.from_imports: list[ast.ImportFrom] = []
        for node in ast.walk(self.tree):
            self._index_node(node)

    def _index_node(self, node: Any) -> None:
        for child in ast.iter_child_nodes(node):
            self._parents[child] = node
        if isinstance(node, ast.Import):
            self.imports.append(node)
        elif isinstance(node, ast.ImportFrom):
            self.from_imports.append(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self.reads.setdefault(node.id, []).append(node)
        for name in _names_bound_by(node):
            self._bindings.setdefault(name or "", []).append(node)
        if isinstance(node, ast.Attribute) and node.lineno != node.end_lineno:
            last = self.end(node) - len(node.attr)
            self._nodes_by_position.setdefault((node.end_lineno or 0, last), []).append(node)
        elif isinstance(node, ast.Name | ast.Attribute | ast.alias):
            self._nodes_by_position.setdefault((node.lineno, self.start(node)), []).append(node)

    # ---- places

    def offset(self, line: int, column: int) -> int:
        """Convert a node's line (from 1) and column (bytes, from 0) to an offset."""
        row = self._lines[line - 1]
        characters = column if row.isascii() else len(row.encode()[:column].decode(errors="ignore"))
        return self._starts[line - 1] + characters

    def offset_of_token(self, position: tuple[int, int]) -> int:
        """Convert a token's line (from 1) and column (characters, from 0) to an offset."""
        return self._starts[position[0] - 1] + position[1]

    def start(self, node: Any) -> int:
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: Any) -> int:
        return self.offset(node.end_lineno, node.end_col_offset)

    def segment(self, node: Any) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line_start(self, line: int) -> int:
        return self._starts[line - 1]

    def line_end(self, line: int) -> int:
        """Return the offset at which the line ends, before its line break."""
        return self._starts[line - 1] + len(self._lines[line - 1])

    def line_break(self, line: int) -> str:
        """Return the line break of the line; at the end of the file, that of another line."""
        match = _LINE_BREAK.match(self.text, self.line_end(line)) or _LINE_BREAK.search(self.text)
        return match[0] if match else "\n"

    def nodes_at(self, line: int, column: int) -> list[Any]:
        """Return the names, attributes and imported names at a position (both from 1, column in characters).

        An attribute is found where it starts; one that spans several lines, where its last name starts.
        """
        if not 0 < line <= len(self._lines):
            return []
        return self._nodes_by_position.get((line, self._starts[line - 1] + column - 1), [])

    # ---- relations

    def parent(self, node: ast.AST) -> Any:
        return self._parents.get(node)

    def scopes(self, node: ast.AST) -> list[ast.AST]:
        """Return the functions, classes and module around a node, innermost first."""
        enclosing: list[ast.AST] = []
        ancestor = self._parents.get(node)
        while ancestor is not None:
            if isinstance(ancestor, SCOPES):
                enclosing.append(ancestor)
            ancestor = self._parents.get(ancestor)
        return enclosing

    def can_see(self, node: ast.AST, binding: ast.AST) -> bool:
        """Return whether ``node`` can read a name that ``binding`` (an import) sets."""
        scope = self.scopes(binding)[0]
        enclosing = self.scopes(node)
        return scope in enclosing and (scope is enclosing[0] or not isinstance(scope, ast.ClassDef))

    def bindings(self, name: str) -> list[ast.AST]:
        """Return everything that binds ``name`` in the file; imported names are ``ast.alias``."""
        return self._bindings.get(name, [])


def _names_bound_by(node: ast.AST) -> tuple[str | None, ...]:
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


def decode_source(data: bytes) -> tuple[str, Callable[[str], bytes]]:
    """Decode Python source in its declared encoding (PEP 263), without byte order mark; also return its encoder.

    :raises EditRefused: it cannot be decoded, or its bytes would not survive.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        is_lossless = text.encode(encoding) == data
    except (SyntaxError, UnicodeError, LookupError, ValueError) as error:
        raise EditRefused(f"The file cannot be decoded: {error}") from None
    if not is_lossless:
        raise EditRefused("The file's encoding would not survive an edit.")
    return text, lambda edited: edited.encode(encoding)


def normalize_line_ends(text: str) -> str:
    r"""Return ``text`` with ``\\n`` line ends, to which the positions of nodes and tokens refer."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_source(text: str) -> ast.Module:
    """Parse Python source.

    :raises EditRefused: this interpreter cannot parse it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's file
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise EditRefused(f"The file cannot be parsed: {error}") from None
