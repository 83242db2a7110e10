"""Read assignments: which values, and which conditions on the interpreter, names have afterwards."""

import ast
from typing import Any

from pytest_py312.analysis.scanner.evaluation import keyword_arguments
from pytest_py312.analysis.scanner.evaluation.annotations import (
    annotated_value,
    annotations_are_evaluated,
    more_specific,
)
from pytest_py312.analysis.scanner.evaluation.conditions import condition_of, inspected_callable, negated
from pytest_py312.analysis.scanner.evaluation.environment_tests import constant_value, version_part
from pytest_py312.analysis.scanner.evaluation.names import resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import HANDLERS, UNSURE, ScanState, visit
from pytest_py312.analysis.scanner.evaluation.skip_marks import skip_condition
from pytest_py312.analysis.scanner.evaluation.values import (
    CONDITION,
    NONE,
    PARTIAL_TEXT,
    SKIP_MARK,
    STDLIB,
    TEXT,
    UNKNOWN,
    UNKNOWN_KIND,
    Value,
)
from pytest_py312.analysis.scanner.evaluation.version_expressions import expression_mentions_version, is_evaluable
from pytest_py312.analysis.scanner.operations import bind_target
from pytest_py312.analysis.scanner.rules import classes, operators


def read_assign(scan: ScanState, node: ast.Assign) -> None:
    value: Value = HANDLERS[node.value.__class__](scan, node.value)
    scan.mark_unevaluated(node.value)
    may_be_condition = value.kind in (UNKNOWN_KIND, PARTIAL_TEXT) or node.value.__class__ in (
        ast.GeneratorExp,
        ast.ListComp,
    )
    if may_be_condition or value.is_instance or value.path.startswith("signature()."):
        value = _condition_or_value(scan, node.value, value)
    for target in node.targets:
        if target.__class__ is ast.Name and target.id == "pytestmark" and scan.scope is scan.module_scope:
            scan.module_skip_guard = scan.nested_guard(negated(skip_condition(scan, node.value)))
        if target.__class__ is ast.Name:
            if node.value.__class__ is ast.Constant and node.value.value is False:
                scan.false_flags.add(target.id)
            elif scan.false_flags:
                scan.false_flags.discard(target.id)
        _assign(scan, target, node.value, value)


def _assign(scan: ScanState, target: Any, source: ast.expr, value: Value) -> None:
    pairs = isinstance(target, ast.Tuple) and isinstance(source, ast.Tuple) and len(target.elts) == len(source.elts)
    if pairs:
        for element, part in zip(target.elts, source.elts, strict=False):  # type: ignore[attr-defined]
            bind_target(scan, element, _condition_or_value(scan, part, resolve_name(scan, part)))
        return
    if value.kind in (STDLIB, TEXT) and not value.guard and scan.guard:
        value = Value(value.kind, value.module, value.path, scan.guard, value.data)
    bind_target(scan, target, value)


def _condition_or_value(scan: ScanState, node: ast.expr, value: Value) -> Value:
    """Return a condition or a skip mark if the expression is one, else ``value``.

    A constant is not a condition, because it may be reassigned elsewhere.
    """
    if isinstance(node, ast.Constant):
        return value
    if isinstance(node, ast.Call):
        skip = skip_condition(scan, node)
        if skip != UNSURE:
            return Value(SKIP_MARK, data=skip)
    inspected_name = inspected_callable(scan, node) if isinstance(node, ast.Call | ast.Attribute) else None
    if inspected_name is not None:
        return Value(CONDITION, data=("inspected", *inspected_name))
    condition = condition_of(scan, node)
    if condition != UNSURE:
        return Value(CONDITION, value.module if value.kind is UNKNOWN_KIND else "", data=condition)
    part = version_part(scan, node)
    if part:
        return Value(CONDITION, data=("part", part))
    return _version_operand(scan, node, value) if scan.may_mention_version else value


def _version_operand(scan: ScanState, node: ast.expr, value: Value) -> Value:
    """Return an operand of a version comparison (``(3, 12)``, or a formula of the version), else ``value``."""
    if isinstance(node, ast.Tuple):
        constant = constant_value(scan, node)
        if constant is not None and constant and constant[0] in (2, 3):
            return Value(CONDITION, data=("constant", constant))
    elif (
        node.__class__ in (ast.BinOp, ast.Subscript, ast.Call)
        and expression_mentions_version(scan, node)
        and is_evaluable(scan, node)
    ):
        return Value(CONDITION, data=("formula", node))
    return value


def read_annotated(scan: ScanState, node: ast.AnnAssign) -> None:
    in_class = scan.enclosing_class is not None and scan.scope is scan.enclosing_class.body
    if annotations_are_evaluated(scan) and (scan.function is None or in_class):
        visit(scan, node.annotation)
    value = visit(scan, node.value) if node.value is not None else UNKNOWN
    if node.value is not None and value.kind is UNKNOWN_KIND:
        value = _condition_or_value(scan, node.value, value)
    if (
        in_class
        and scan.enclosing_class is not None
        and (isinstance(node.annotation, ast.Constant) or not annotations_are_evaluated(scan))
    ):
        scan.enclosing_class.annotations.append(node.annotation)
    if node.value is not None and in_class:
        classes.note_field_default(scan, node, _field_default(scan, node.value, value))
    if value.kind in (UNKNOWN_KIND, NONE) or value.kind is CONDITION or stdlib_name(value) == "dataclasses.field()":
        value = more_specific(annotated_value(scan, node.annotation), value)
    if node.value is not None or value.kind is not UNKNOWN_KIND:
        bind_target(scan, node.target, value)


def _field_default(scan: ScanState, node: ast.expr, value: Value) -> Value:
    """Return the default of a dataclass field, also if written as ``field(default=Settings())``."""
    if isinstance(node, ast.Call) and stdlib_name(value) == "dataclasses.field()":
        return next((visit(scan, one.value) for one in node.keywords if one.arg == "default"), UNKNOWN)
    return value


def read_augmented(scan: ScanState, node: ast.AugAssign) -> None:
    added = visit(scan, node.value)
    if node.target.__class__ is ast.Name:
        visit(scan, ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
        scan.bind(node.target.id, UNKNOWN)
    else:
        visit(scan, node.target)
        operators.check_augmented_assignment(scan, node, added)


def read_delete(scan: ScanState, node: ast.Delete) -> None:
    for target in node.targets:
        if not isinstance(target, ast.Name):
            keyword_arguments.delete_item(scan, target)
        elif scan.branch_changes is None:
            scan.scope.pop(target.id, None)


HANDLERS.update(
    {
        ast.AnnAssign: read_annotated,
        ast.Assign: read_assign,
        ast.AugAssign: read_augmented,
        ast.Delete: read_delete,
    }
)
