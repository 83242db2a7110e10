"""What functions and variables are said to be: by annotations, and by what stands behind ``return``."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from pytest_py312.analysis.scanner.evaluation.conditions import condition_of
from pytest_py312.analysis.scanner.evaluation.environment_tests import asked_by
from pytest_py312.analysis.scanner.evaluation.names import dotted, named
from pytest_py312.analysis.scanner.evaluation.scan_state import UNSURE, Scan, result_of
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CONDITION,
    FOREIGN,
    ITEMS,
    NOTHING_KNOWN,
    OBJECT,
    STD,
    UNKNOWN,
    Value,
)
from pytest_py312.analysis.scanner.evaluation.version_expressions import is_of_version
from pytest_py312.analysis.scanner.facts.facts import Condition

NO_INSTANCES = frozenset({"typing", "collections.abc", "types", "abc", "numbers"})
"""Annotations with a name of these say what can be done with a value, not what it is."""
SETS = frozenset(
    {
        "set",
        "frozenset",
        "typing.Set",
        "typing.FrozenSet",
        "typing.AbstractSet",
        "typing.MutableSet",
        "collections.abc.Set",
        "collections.abc.MutableSet",
    }
)
COLLECTIONS = frozenset(
    {
        "list",
        "tuple",
        "typing.List",
        "typing.Tuple",
        "typing.Sequence",
        "typing.Iterable",
        "typing.Iterator",
        "collections.abc.Sequence",
        "collections.abc.Iterable",
        "collections.abc.Iterator",
    }
)
_NAME = re.compile(r"[A-Za-z_]")
LONGEST_ANNOTATION = 200


def is_evaluated(scan: Scan) -> bool:
    """Whether annotations are run at all."""
    return not scan.future_annotations


def annotated(scan: Scan, node: ast.expr | None) -> Value:
    """An instance of the class that an annotation names, where it names one: also ``X | None``, ``Optional[X]``."""
    if node is None:
        return UNKNOWN
    if isinstance(node, ast.Constant):
        return annotated(scan, _parsed(node.value)) if isinstance(node.value, str) else UNKNOWN
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if not _is_none(side)]
        return annotated(scan, sides[0]) if len(sides) == 1 else UNKNOWN
    if isinstance(node, ast.Subscript):
        return _parametrised(scan, node)
    value = named(scan, node)
    if value.kind is CLASS:
        return Value(OBJECT, guard=value.guard, data=value.data)
    if value.kind is STD and value.path and "()" not in value.path and value.module not in NO_INSTANCES:
        return Value(STD, value.module, f"{value.path}()", value.guard)
    if isinstance(node, ast.Name) and value.kind is NOTHING_KNOWN and node.id in ("bool", "complex", "float", "set"):
        return Value(STD, "builtins", f"{node.id}()") if scan.get(node.id) is None else UNKNOWN
    return UNKNOWN


def _parametrised(scan: Scan, node: ast.Subscript) -> Value:
    """``Optional[X]``, ``Annotated[X, ...]``, ``Union[X, None]``, ``list[X]``, ``Set[X]``"""
    outer = dotted(named(scan, node.value))
    if isinstance(node.value, ast.Name) and scan.get(node.value.id) is None:
        outer = node.value.id
    inner = node.slice
    if outer in ("typing.Optional", "typing.Final", "typing.ClassVar"):
        return annotated(scan, inner)
    if outer in ("typing.Annotated", "typing.Union") and isinstance(inner, ast.Tuple):
        known = [one for one in inner.elts if not _is_none(one)]
        return annotated(scan, known[0]) if known and (outer == "typing.Annotated" or len(known) == 1) else UNKNOWN
    if outer in SETS:
        return Value(STD, "builtins", "set()")
    if outer in COLLECTIONS:
        first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
        return Value(ITEMS, data=annotated(scan, first))
    return UNKNOWN


def _parsed(text: str) -> ast.expr | None:
    """An annotation that is written as a text."""
    if len(text) > LONGEST_ANNOTATION or not _NAME.match(text):
        return None
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if isinstance(node, ast.Constant) else node


def more_telling(said: Value, given: Value) -> Value:
    """What an annotation says, or where that is less, the thing that is given."""
    of_call = given.kind in (NOTHING_KNOWN, CONDITION) and (given.module or given.kind is CONDITION)
    return given if of_call and (said.kind is NOTHING_KNOWN or said.module == "builtins") else said


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


# ---- functions


def condition_given(scan: Scan, node: Any) -> Condition | None:
    """When a function gives something true: ``def is_old(): return sys.version_info < (3, 12)``, and nothing else."""
    only = node.body[-1]
    described = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
    if not isinstance(only, ast.Return) or only.value is None or len(node.body) > 1 + described:
        return None
    found = condition_of(scan, only.value)
    if found == UNSURE and isinstance(only.value, ast.Compare):
        parameters = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
        rest = node.args.vararg.arg if node.args.vararg else ""
        asks = asked_by(scan, only.value, parameters, rest)
        if asks is None and (parameters or rest) and scan.speaks_of_version and is_of_version(scan, only.value):
            return ("asks formula", only.value, tuple(parameters), rest)
        return asks
    return None if found == UNSURE or isinstance(only.value, ast.Constant) else found


def not_evaluated(scan: Scan, node: Any, every: list[ast.arg]) -> Iterator[ast.expr]:
    """Annotations that nobody has run: all of them, or those that are texts."""
    for annotation in (*[one.annotation for one in every], node.returns):
        if annotation is None:
            continue
        is_text = isinstance(annotation, ast.Constant) and isinstance(annotation.value, str)
        if is_text or not is_evaluated(scan):
            yield annotation


def given_by(scan: Scan, node: Any) -> Value | None:
    """What a function gives: by its annotation, or by what it says in its ``return`` statements."""
    if node.returns is None:
        return _given_by_body(scan, node)
    said = annotated(scan, node.returns)
    made = _given_by_body(scan, node) if said.is_instance else None
    return made if made is not None and made.kind is OBJECT else said  # of a class of one's own


def _given_by_body(scan: Scan, node: Any) -> Value | None:
    value = _only_returned(node.body)
    if value is None or value.__class__ not in _TELLING:
        return None
    made: dict[str, list[ast.expr]] = {}
    for one in _own_statements(node.body):
        if one.__class__ is ast.Assign and one.targets[0].__class__ is ast.Name:
            made.setdefault(one.targets[0].id, []).append(one.value)
    values = made.get(value.id, []) if isinstance(value, ast.Name) else [value]
    if len(values) != 1:
        return None
    arguments = node.args
    hidden = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    found = _result(scan, values[0], hidden | set(made))
    return None if found.kind is NOTHING_KNOWN and not found.module else found


_TELLING = frozenset({ast.Name, ast.Set, ast.SetComp, ast.Constant, ast.Call})
"""What a function has to give for anybody to know something about it."""


def _only_returned(body: list[ast.stmt]) -> ast.expr | None:
    """What stands behind the only ``return`` of a function; what may be one of several is not followed."""
    found: ast.expr | None = None
    pending: list[Any] = list(body)
    while pending:
        one = pending.pop()
        kind = one.__class__
        if kind is ast.Return:
            if one.value is not None:
                if found is not None:
                    return None
                found = one.value
        elif kind in _BLOCKS:
            for name in _BLOCKS[kind]:
                pending += getattr(one, name)
    return found


def _result(scan: Scan, node: ast.expr, hidden: set[str]) -> Value:
    if isinstance(node, ast.Set | ast.SetComp):
        return Value(STD, "builtins", "set()")
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | float):
        return Value(STD, "builtins", f"{type(node.value).__name__}()")
    if not isinstance(node, ast.Call):
        return UNKNOWN
    if isinstance(node.func, ast.Name) and node.func.id in ("bool", "float", "frozenset", "isinstance", "set"):
        return Value(STD, "builtins", f"{node.func.id}()") if scan.get(node.func.id) is None else UNKNOWN
    first: ast.expr = node.func
    while isinstance(first, ast.Attribute):
        first = first.value
    if not isinstance(first, ast.Name) or first.id in hidden:
        return UNKNOWN
    value = named(scan, node.func)
    if value.kind is CLASS:
        return Value(OBJECT, data=value.data)
    if value.kind is FOREIGN and scan.is_of_service(value.module):
        return Value(NOTHING_KNOWN, f"{value.module}()")
    return result_of(value) if value.kind is STD else UNKNOWN


_BLOCKS: dict[type[ast.AST], tuple[str, ...]] = {
    **dict.fromkeys([ast.If, ast.For, ast.AsyncFor, ast.While], ("body", "orelse")),
    **dict.fromkeys([ast.With, ast.AsyncWith, ast.ExceptHandler], ("body",)),
    **dict.fromkeys([ast.Try, getattr(ast, "TryStar", ast.Try)], ("body", "orelse", "finalbody", "handlers")),
}
"""Where statements have others inside. Those of functions and classes are not theirs."""


def _own_statements(body: list[ast.stmt]) -> Iterator[Any]:
    """Statements of a function, without those of functions and classes in it."""
    pending: list[Any] = list(body)
    while pending:
        one = pending.pop()
        yield one
        for name in _BLOCKS.get(one.__class__, ()):
            pending += getattr(one, name)
