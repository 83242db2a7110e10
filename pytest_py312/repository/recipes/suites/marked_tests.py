"""Find the test files that a run of pytest leaves out by its markers: ``pytest -m "not integration"``.

https://docs.pytest.org/en/stable/example/markers.html
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain

from pytest_py312.repository.formats.setuptools import parse_module
from pytest_py312.repository.recipes.commands.command_walk import CommandRun
from pytest_py312.repository.recipes.suites.pytest_settings import TEST_FILE
from pytest_py312.repository.recipes.suites.suite_commands import is_test_run, pytest_options, runs_pytest, values_of
from pytest_py312.repository.tree import Tree, join_path

DEPTH = 6
"""Levels of folders in which test files are looked for."""
FILE_LIMIT = 500

_EXPRESSION = re.compile(r"[\w\s()]{1,200}", re.ASCII)
_NEEDS_SYSTEM = re.compile(
    r"(?:.*_)?(?:e2e|end_?to_?end|integration|acceptance|functional|smoke|system|live|contract)s?(?:_.*)?"
)
"""Names of markers of tests that need a running system."""


def deselected_tests(tree: Tree, runs: Iterable[CommandRun], service_path: str) -> tuple[str, ...]:
    """Return the test files, relative to the service, of which no run of tests of a job selects anything by markers.

    What needs a running system fails on every Python, and the job that runs it is another one.
    """
    expressions = [marker_expression(run.words) for run in runs if runs_pytest(run.words) and is_test_run(run)]
    if not expressions or not all(expressions):
        return ()
    files = tree.scan_folder(service_path, depth=DEPTH).files
    tests = [path for path in files if TEST_FILE.fullmatch(path.rpartition("/")[2])][:FILE_LIMIT]
    texts = {path: tree.read_or_none(join_path(service_path, path)) or "" for path in tests}
    for expression in expressions:
        left_out = set(deselected_files(expression, texts))
        texts = {path: text for path, text in texts.items() if path in left_out}
    return tuple(texts)


def marker_expression(words: Sequence[str]) -> str:
    """Return the last value of pytest's ``-m`` in a command; sessions of nox write ``"-m unit"`` as one word."""
    options = pytest_options(words)
    as_one_word = [word.removeprefix("-m").strip() for word in options if word.startswith("-m ")]
    return next(reversed([*as_one_word, *values_of(options, ("-m",))]), "")


def deselected_files(expression: str, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the files of which an expression of markers selects no test, if all of them need a running system.

    By their markers, that is: a file with any other test is none.

    :param texts: the texts of test files by path.
    """
    condition = _parse(expression)
    for path, text in texts.items() if condition is not None else ():
        marks = list(_marks_of_tests(text))
        if marks and all(any(map(_NEEDS_SYSTEM.fullmatch, each)) and not _selects(condition, each) for each in marks):
            yield path


def _parse(expression: str) -> ast.expr | None:
    """Return an expression of names, ``and``, ``or``, ``not`` and parentheses; ``None`` for any other."""
    text = expression.strip()
    if not _EXPRESSION.fullmatch(text):
        return None
    try:
        condition = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    allowed = (ast.Name, ast.BoolOp, ast.UnaryOp, ast.And, ast.Or, ast.Not, ast.Load)
    return condition if all(isinstance(node, allowed) for node in ast.walk(condition)) else None


def _selects(condition: ast.expr | None, marks: Set[str]) -> bool:
    if isinstance(condition, ast.BoolOp):
        values = [_selects(value, marks) for value in condition.values]
        return all(values) if isinstance(condition.op, ast.And) else any(values)
    if isinstance(condition, ast.UnaryOp):
        return not _selects(condition.operand, marks)
    return isinstance(condition, ast.Name) and condition.id in marks


def _marks_of_tests(text: str) -> Iterator[frozenset[str]]:
    """Yield the names of the markers of each test of a file; none for what may be one, in code that is not followed."""
    module = parse_module(text) if "mark" in text else None
    if module is None:
        return
    of_module = frozenset(chain.from_iterable(map(_assigned_marks, module.body)))
    for node in module.body:
        if isinstance(node, ast.ClassDef) and (node.bases or node.name.startswith("Test")):
            of_class = of_module | _decorators(node) | frozenset(chain.from_iterable(map(_assigned_marks, node.body)))
            yield from (of_class | _decorators(method) for method in node.body if _is_test(method))
            if node.bases:  # it may inherit some
                yield of_class
        elif _is_test(node):
            yield of_module | _decorators(node)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from (of_module for inner in ast.walk(node) if isinstance(inner, ast.ClassDef) or _is_test(inner))


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")


def _decorators(node: ast.stmt) -> frozenset[str]:
    return frozenset(_marks_in(getattr(node, "decorator_list", ())))


def _assigned_marks(node: ast.stmt) -> Iterator[str]:
    """Yield the markers of ``pytestmark = pytest.mark.integration``, or of a list of them."""
    if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["pytestmark"]:
        value = node.value
        yield from _marks_in(value.elts if isinstance(value, ast.List | ast.Tuple) else [value])


def _marks_in(nodes: Sequence[ast.expr]) -> Iterator[str]:
    for node in nodes:
        mark = node.func if isinstance(node, ast.Call) else node
        if isinstance(mark, ast.Attribute) and isinstance(mark.value, ast.Attribute) and mark.value.attr == "mark":
            yield mark.attr
