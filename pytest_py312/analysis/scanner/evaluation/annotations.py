"""Infer values of parameters, variables and results from annotations and ``return`` statements."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from pytest_py312.analysis.scanner.evaluation.conditions import condition_of
from pytest_py312.analysis.scanner.evaluation.environment_tests import version_predicate
from pytest_py312.analysis.scanner.evaluation.names import resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import UNSURE, ScanState
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    COLLECTION,
    CONDITION,
    FOREIGN,
    OBJECT,
    STDLIB,
    UNKNOWN,
    UNKNOWN_KIND,
    Value,
    stdlib_result,
)
from pytest_py312.analysis.scanner.evaluation.version_expressions import expression_mentions_version
from pytest_py312.analysis.scanner.facts.facts import Condition

ABSTRACT_TYPE_MODULES = frozenset({"typing", "collections.abc", "types", "abc", "numbers"})
"""Types of these modules describe an interface; they do not name the class of a value."""
SET_TYPES = frozenset({
    "set", "frozenset", "typing.Set", "typing.FrozenSet", "typing.AbstractSet", "typing.MutableSet",
    "collections.abc.Set", "collections.abc.MutableSet",
})  # fmt: skip
COLLECTION_TYPES = frozenset({
    "list", "tuple", "typing.List", "typing.Tuple", "typing.Sequence", "typing.Iterable", "typing.Iterator",
    "collections.abc.Sequence", "collections.abc.Iterable", "collections.abc.Iterator",
})  # fmt: skip
_NAME = re.compile(r"[A-Za-z_]")
MAX_ANNOTATION_LENGTH = 200


def annotations_are_evaluated(scan: ScanState) -> bool:
    """Return whether annotations are evaluated when the file is run."""
    return not scan.future_annotations


def annotated_value(scan: ScanState, node: ast.expr | None) -> Value:
    """Return an instance of the class that an annotation names, also for ``X | None`` and ``Optional[X]``."""
    if node is None:
        return UNKNOWN
    if isinstance(node, ast.Constant):
        return annotated_value(scan, _parse_annotation(node.value)) if isinstance(node.value, str) else UNKNOWN
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if not _is_none(side)]
        return annotated_value(scan, sides[0]) if len(sides) == 1 else UNKNOWN
    if isinstance(node, ast.Subscript):
        return _parametrized_value(scan, node)
    value = resolve_name(scan, node)
    if value.kind is CLASS:
        return Value(OBJECT, guard=value.guard, data=value.data)
    if value.kind is STDLIB and value.path and "()" not in value.path and value.module not in ABSTRACT_TYPE_MODULES:
        return Value(STDLIB, value.module, f"{value.path}()", value.guard)
    if isinstance(node, ast.Name) and value.kind is UNKNOWN_KIND and node.id in ("bool", "complex", "float", "set"):
        return Value(STDLIB, "builtins", f"{node.id}()") if scan.lookup(node.id) is None else UNKNOWN
    return UNKNOWN


def _parametrized_value(scan: ScanState, node: ast.Subscript) -> Value:
    """Return the value for ``Optional[X]``, ``Annotated[X, ...]``, ``Union[X, None]``, ``list[X]`` or ``Set[X]``."""
    outer = stdlib_name(resolve_name(scan, node.value))
    if isinstance(node.value, ast.Name) and scan.lookup(node.value.id) is None:
        outer = node.value.id
    inner = node.slice
    if outer in ("typing.Optional", "typing.Final", "typing.ClassVar"):
        return annotated_value(scan, inner)
    if outer in ("typing.Annotated", "typing.Union") and isinstance(inner, ast.Tuple):
        members = [member for member in inner.elts if not _is_none(member)]
        return (
            annotated_value(scan, members[0])
            if members and (outer == "typing.Annotated" or len(members) == 1)
            else UNKNOWN
        )
    if outer in SET_TYPES:
        return Value(STDLIB, "builtins", "set()")
    if outer in COLLECTION_TYPES:
        first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
        return Value(COLLECTION, data=annotated_value(scan, first))
    return UNKNOWN


def _parse_annotation(text: str) -> ast.expr | None:
    """Parse an annotation that is written as a string."""
    if len(text) > MAX_ANNOTATION_LENGTH or not _NAME.match(text):
        return None
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if isinstance(node, ast.Constant) else node


def more_specific(declared: Value, assigned: Value) -> Value:
    """Return the declared value, or the assigned one if that is more specific."""
    of_call = assigned.kind in (UNKNOWN_KIND, CONDITION) and (assigned.module or assigned.kind is CONDITION)
    return assigned if of_call and (declared.kind is UNKNOWN_KIND or declared.module == "builtins") else declared


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


# ---- functions


def returned_condition(scan: ScanState, node: Any) -> Condition | None:
    """Return the condition under which a function is true, if returning it is all the function does.

    Example: ``def is_old(): return sys.version_info < (3, 12)``.
    """
    statement = node.body[-1]
    has_docstring = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
    if not isinstance(statement, ast.Return) or statement.value is None or len(node.body) > 1 + has_docstring:
        return None
    condition = condition_of(scan, statement.value)
    if condition == UNSURE and isinstance(statement.value, ast.Compare):
        parameters = [parameter.arg for parameter in (*node.args.posonlyargs, *node.args.args)]
        rest_parameter = node.args.vararg.arg if node.args.vararg else ""
        predicate = version_predicate(scan, statement.value, parameters, rest_parameter)
        if (
            predicate is None
            and (parameters or rest_parameter)
            and scan.may_mention_version
            and expression_mentions_version(scan, statement.value)
        ):
            return ("asks formula", statement.value, tuple(parameters), rest_parameter)
        return predicate
    return None if condition == UNSURE or isinstance(statement.value, ast.Constant) else condition


def unevaluated_annotations(scan: ScanState, node: Any, parameters: list[ast.arg]) -> Iterator[ast.expr]:
    """Yield the annotations that are not evaluated: all of them, or those that are strings."""
    for annotation in (*[parameter.annotation for parameter in parameters], node.returns):
        if annotation is None:
            continue
        is_text = isinstance(annotation, ast.Constant) and isinstance(annotation.value, str)
        if is_text or not annotations_are_evaluated(scan):
            yield annotation


def returned_value(scan: ScanState, node: Any) -> Value | None:
    """Return the value of a call of a function, from its annotation or its ``return`` statements."""
    if node.returns is None:
        return _value_returned_by_body(scan, node)
    declared = annotated_value(scan, node.returns)
    inferred = _value_returned_by_body(scan, node) if declared.is_instance else None
    # a class of this file is more specific than the declared one
    return inferred if inferred is not None and inferred.kind is OBJECT else declared


def _value_returned_by_body(scan: ScanState, node: Any) -> Value | None:
    value = _only_return_value(node.body)
    if value is None or value.__class__ not in _INFORMATIVE_NODES:
        return None
    assignments: dict[str, list[ast.expr]] = {}
    for statement in _own_statements(node.body):
        if statement.__class__ is ast.Assign and statement.targets[0].__class__ is ast.Name:
            assignments.setdefault(statement.targets[0].id, []).append(statement.value)
    values = assignments.get(value.id, []) if isinstance(value, ast.Name) else [value]
    if len(values) != 1:
        return None
    arguments = node.args
    parameter_names = {parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    result = _result_value(scan, values[0], parameter_names | set(assignments))
    return None if result.kind is UNKNOWN_KIND and not result.module else result


_INFORMATIVE_NODES = frozenset({ast.Name, ast.Set, ast.SetComp, ast.Constant, ast.Call})
"""Return expressions from which a value can be inferred."""


def _only_return_value(body: list[ast.stmt]) -> ast.expr | None:
    """Return the expression of the only ``return`` statement; ``None`` if there are several."""
    returned: ast.expr | None = None
    pending: list[Any] = list(body)
    while pending:
        statement = pending.pop()
        kind = statement.__class__
        if kind is ast.Return:
            if statement.value is not None:
                if returned is not None:
                    return None
                returned = statement.value
        elif kind in _NESTED_BLOCKS:
            for name in _NESTED_BLOCKS[kind]:
                pending += getattr(statement, name)
    return returned


def _result_value(scan: ScanState, node: ast.expr, local_names: set[str]) -> Value:
    if isinstance(node, ast.Set | ast.SetComp):
        return Value(STDLIB, "builtins", "set()")
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | float):
        return Value(STDLIB, "builtins", f"{type(node.value).__name__}()")
    if not isinstance(node, ast.Call):
        return UNKNOWN
    if isinstance(node.func, ast.Name) and node.func.id in ("bool", "float", "frozenset", "isinstance", "set"):
        return Value(STDLIB, "builtins", f"{node.func.id}()") if scan.lookup(node.func.id) is None else UNKNOWN
    first: ast.expr = node.func
    while isinstance(first, ast.Attribute):
        first = first.value
    if not isinstance(first, ast.Name) or first.id in local_names:
        return UNKNOWN
    value = resolve_name(scan, node.func)
    if value.kind is CLASS:
        return Value(OBJECT, data=value.data)
    if value.kind is FOREIGN and scan.is_service_module(value.module):
        return Value(UNKNOWN_KIND, f"{value.module}()")
    return stdlib_result(value) if value.kind is STDLIB else UNKNOWN


_NESTED_BLOCKS: dict[type[ast.AST], tuple[str, ...]] = {
    **dict.fromkeys([ast.If, ast.For, ast.AsyncFor, ast.While], ("body", "orelse")),
    **dict.fromkeys([ast.With, ast.AsyncWith, ast.ExceptHandler], ("body",)),
    **dict.fromkeys([ast.Try, getattr(ast, "TryStar", ast.Try)], ("body", "orelse", "finalbody", "handlers")),
}
"""Statement types -> their fields with nested blocks. Functions and classes are left out."""


def _own_statements(body: list[ast.stmt]) -> Iterator[Any]:
    """Yield the statements of a function without those of nested functions and classes."""
    pending: list[Any] = list(body)
    while pending:
        statement = pending.pop()
        yield statement
        for name in _NESTED_BLOCKS.get(statement.__class__, ()):
            pending += getattr(statement, name)
