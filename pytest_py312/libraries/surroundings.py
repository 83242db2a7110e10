"""What stands round the import statements of a file: the scanner keeps only conditions that it can answer. Pure."""

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """``tests`` are the texts of the conditions round an import. ``conditional``: it stands where it is not always
    run (a function, a handler, a loop, the branch of a test that is none of the version or for type checkers)."""

    tests: tuple[str, ...] = ()
    conditional: bool = False


TOP = Surroundings()
_ANSWERED = ("version_info", "TYPE_CHECKING")
"""Words of tests that the scanner has answered already."""


def tree_of(content: bytes) -> ast.Module | None:
    """The syntax tree of a Python file; ``None`` where it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a stranger's file; as errors, they would leave it without a tree
            return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def surroundings_of(content: bytes) -> Mapping[int, Surroundings]:
    """By each line of an import statement. Empty for what cannot be parsed."""
    tree = tree_of(content)
    if tree is None:
        return {}
    found: dict[int, Surroundings] = {}
    pending: list[tuple[ast.AST, Surroundings]] = [(tree, TOP)]
    while pending:
        node, here = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), here)
            continue
        pending += list(_below(node, here))
    return found


def _below(node: ast.AST, here: Surroundings) -> Iterator[tuple[ast.AST, Surroundings]]:
    """The statements directly in a node, with what stands round them."""
    inner = here
    if isinstance(node, ast.If | ast.While):
        text = _text(node.test)
        known = isinstance(node, ast.If) and any(word in text for word in _ANSWERED)
        inner = Surroundings(tests=(*here.tests, text), conditional=here.conditional or not known)
    elif isinstance(
        node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ExceptHandler | ast.For | ast.AsyncFor | ast.match_case
    ):
        inner = Surroundings(tests=here.tests, conditional=True)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child, inner


def _text(test: ast.expr) -> str:
    try:
        return ast.unparse(test)
    except RecursionError:
        return ""  # parsers follow where this does not: what it says is not known then
