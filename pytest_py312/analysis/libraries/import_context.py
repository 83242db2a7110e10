"""What stands round the import statements of a file: the scanner keeps only conditions that it can answer. Pure.

How sure it is that an import runs, from what stands round it. Nobody is asked: the version alone decides.
"""

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.analysis.judging.reachability import version_truth
from pytest_py312.analysis.libraries.summary import How
from pytest_py312.analysis.scanner.facts.facts import Condition, Guard, ModuleImport


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


def how_run(one: ModuleImport, guards: Sequence[Guard], version: tuple[int, int]) -> int | None:
    """How an import runs on ``version`` of Python (:class:`How`); ``None`` where it does not."""
    how = How.WHEN_CALLED if one.place == "function" else How.AT_IMPORT
    number = one.guard
    while number > 0:
        guard = guards[number]
        holds = truth(guard.condition, version) if guard.condition else True
        if holds is False:
            return None
        if holds is None or guard.caught:
            how = min(how, How.PERHAPS)
        number = guard.parent
    return how


def truth(condition: Condition, version: tuple[int, int]) -> bool | None:
    """Whether a condition holds on ``version``; ``None`` where that hangs on more than the version."""
    kind = condition[0]
    if kind == "version":
        return version_truth(version, condition[1], condition[2], condition[3])
    if kind == "not":
        inner = truth(condition[1], version)
        return None if inner is None else not inner
    if kind in ("and", "or"):
        parts = [truth(part, version) for part in condition[1:]]
        decisive = kind == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    return False if kind == "false" else None
