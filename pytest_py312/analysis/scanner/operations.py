"""Read all other expressions (boolean operations, comprehensions, displays, lookups) and bind assignment targets."""

import ast
import re
from collections.abc import Sequence
from typing import Any

from pytest_py312.analysis.scanner.evaluation import dynamic_names, keyword_arguments, monkeypatches
from pytest_py312.analysis.scanner.evaluation.conditions import condition_of, negated
from pytest_py312.analysis.scanner.evaluation.environment_tests import unpacked_version
from pytest_py312.analysis.scanner.evaluation.names import join_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    HANDLERS,
    UNSURE,
    ScanState,
    stdlib_attribute,
    visit,
    visit_all,
)
from pytest_py312.analysis.scanner.evaluation.values import (
    BYTES,
    CLASS,
    COLLECTION,
    COROUTINE,
    EXCEPTIONS,
    FUNCTION,
    NAMESPACE,
    NONE_VALUE,
    OBJECT,
    PARTIAL_TEXT,
    STDLIB,
    TEXT,
    TEXTS,
    TUPLE,
    UNION,
    UNKNOWN,
    DictKeys,
    OwnFunction,
    Value,
    alternatives,
    possible_texts,
    union_of,
)
from pytest_py312.analysis.scanner.facts.facts import ANY_NAME
from pytest_py312.analysis.scanner.facts.stdlib_names import DISTINCTIVE_METHODS
from pytest_py312.analysis.scanner.rules import classes, operators, version_tables

_EXCEPTION = re.compile(r"Error$|Exception$|Warning$")
LITERAL_TYPES = {ast.SetComp: "set()", ast.DictComp: "dict()"}


def read_boolean(scan: ScanState, node: ast.BoolOp) -> Value:
    """Read a boolean operation. An operand runs only if those before it were true (``and``) or false (``or``)."""
    outer_guard = scan.guard
    values = []
    is_and = node.op.__class__ is ast.And
    outer_undecided = scan.undecided_tests
    for part in node.values:
        values.append(visit(scan, part))
        condition = condition_of(scan, part)
        if condition is not UNSURE:
            scan.guard = scan.nested_guard(condition if is_and else negated(condition))
        else:
            scan.undecided_tests += 1
    scan.guard, scan.undecided_tests = outer_guard, outer_undecided
    for part, value in zip(node.values[:-1], values, strict=False):
        operators.check_truth(scan, part, value)
    return union_of(values)


def read_conditional(scan: ScanState, node: ast.IfExp) -> Value:
    operators.check_truth(scan, node.test, visit(scan, node.test))
    condition = condition_of(scan, node.test)
    outer_guard = scan.guard
    scan.undecided_tests += condition is UNSURE
    scan.guard = scan.nested_guard(condition)
    body = _with_current_guard(scan, visit(scan, node.body), outer_guard)
    scan.guard = outer_guard
    scan.guard = scan.nested_guard(negated(condition))
    orelse = _with_current_guard(scan, visit(scan, node.orelse), outer_guard)
    scan.guard = outer_guard
    scan.undecided_tests -= condition is UNSURE
    return union_of((body, orelse))


def _with_current_guard(scan: ScanState, value: Value, outer_guard: int) -> Value:
    if scan.guard != outer_guard and value.kind in (STDLIB, TEXT):
        return Value(value.kind, value.module, value.path, scan.guard, value.data)
    return value


def read_lambda(scan: ScanState, node: ast.Lambda) -> Value:
    visit_all(scan, [*node.args.defaults, *[default for default in node.args.kw_defaults if default is not None]])
    names = [a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    names += [a.arg for a in (node.args.vararg, node.args.kwarg) if a is not None]
    outer_guard = scan.guard
    scan.undecided_tests += 1
    scan.guard = scan.guard_outside_try(outer_guard)
    if scan.lambda_caught:
        scan.guard = scan.nested_guard((), scan.lambda_caught)
    _read_in_scope(scan, dict.fromkeys(names, UNKNOWN), [node.body])
    scan.guard = outer_guard
    scan.undecided_tests -= 1
    condition = condition_of(scan, node.body)
    is_predicate = condition != UNSURE and not isinstance(node.body, ast.Constant)
    return Value(FUNCTION, data=OwnFunction("lambda", true_condition=condition)) if is_predicate else UNKNOWN


def _read_in_scope(scan: ScanState, names: dict[str, Value], nodes: Sequence[ast.expr]) -> list[Value]:
    """Read expressions in a nested scope."""
    with scan.restored("scope", "enclosing_scopes", "branch_changes"):
        if scan.scope is not scan.module_scope:
            scan.enclosing_scopes = (scan.scope, *scan.enclosing_scopes)
        scan.scope, scan.branch_changes = names, None
        return [visit(scan, node) for node in nodes]


def read_comprehension(scan: ScanState, node: Any) -> Value:
    first_source = visit(scan, node.generators[0].iter)
    with scan.restored("scope", "enclosing_scopes", "branch_changes", "guard", "undecided_tests"):
        if scan.scope is not scan.module_scope:
            scan.enclosing_scopes = (scan.scope, *scan.enclosing_scopes)
        scan.scope, scan.branch_changes = {}, None
        scan.undecided_tests += 1
        for number, generator in enumerate(node.generators):
            source = visit(scan, generator.iter) if number else first_source
            bind_target(scan, generator.target, iteration_item(source))
            for test in generator.ifs:
                operators.check_truth(scan, test, visit(scan, test))
                scan.guard = scan.nested_guard(condition_of(scan, test))
        if node.__class__ is ast.DictComp:
            visit(scan, node.key)
        value = visit(scan, node.value if node.__class__ is ast.DictComp else node.elt)
    if operators.is_coroutine(value):
        return Value(COROUTINE, data=list)
    if node.__class__ in (ast.ListComp, ast.GeneratorExp) and (value.kind is OBJECT or value.is_instance):
        return Value(COLLECTION, data=value)
    literal = LITERAL_TYPES.get(node.__class__)
    return Value(STDLIB, "builtins", literal) if literal else UNKNOWN


def iteration_item(source: Value) -> Value:
    """Return the value of the loop variable when iterating over ``source``."""
    if source.kind is TEXTS:
        return union_of([Value(TEXT, data=text) for text in source.data])
    if source.kind is CLASS and classes.is_enum(source.data):
        return Value(OBJECT, data=source.data)
    if source.kind is COLLECTION:
        item: Value = source.data
        return item
    if source.kind is UNION:
        return union_of([iteration_item(alternative) for alternative in source.data])
    return operators.stdlib_iteration_item(source) if source.kind is STDLIB else UNKNOWN


def bind_target(scan: ScanState, target: Any, value: Value) -> None:
    """Bind an assignment target to a value."""
    if target.__class__ is ast.Name:
        scan.bind(target.id, value)
    elif target.__class__ is ast.Tuple or target.__class__ is ast.List:
        parts = value.data if value.kind is TUPLE else unpacked_version(value)
        for number, item in enumerate(target.elts):
            bind_target(scan, item, parts[number] if number < len(parts) else UNKNOWN)
    elif target.__class__ is ast.Starred:
        bind_target(scan, target.value, UNKNOWN)
    else:
        _ASSIGNED[target.__class__](scan, target, value)


def _assign_attribute(scan: ScanState, target: ast.Attribute, value: Value) -> None:
    base = visit(scan, target.value)
    for owner in alternatives(base):
        if owner.kind is STDLIB:
            patched_name = stdlib_attribute(scan, owner, target.attr)
            monkeypatches.add_monkeypatch(scan, patched_name)
            operators.check_stdlib_assignment(scan, target, patched_name, value)
        elif owner.kind is OBJECT or owner.kind is CLASS:
            previous = owner.data.instance_attributes.get(target.attr)
            owner.data.instance_attributes[target.attr] = value if previous is None else union_of((previous, value))
        else:
            if owner.module and scan.is_service_module(owner.module):
                scan.overwritten_names.add(join_name(owner.foreign_name, target.attr))
            if target.attr in DISTINCTIVE_METHODS:
                scan.defined_names.add(target.attr)
                scan.assigned_methods.add(target.attr)


def _assign_item(scan: ScanState, target: ast.Subscript, value: Value) -> None:
    owner = visit(scan, target.value)
    key = visit(scan, target.slice)
    if isinstance(target.value, ast.Call) and getattr(target.value.func, "id", "") == "globals":
        scan.module_scope.update((name, UNKNOWN) for name in possible_texts(key))
    if stdlib_name(owner) == "sys.modules":
        scan.replaces_itself = scan.replaces_itself or getattr(target.slice, "id", "") == "__name__"
        monkeypatches.patch_modules(scan, possible_texts(key))
    elif owner.data.__class__ is DictKeys:
        keyword_arguments.set_item(scan, target, owner, key, value)
    elif owner.kind is NAMESPACE:
        for name in list(possible_texts(key)) or [ANY_NAME]:
            monkeypatches.add_monkeypatch(scan, stdlib_attribute(scan, owner.data, name))


_ASSIGNED: dict[type[ast.AST], Any] = {ast.Attribute: _assign_attribute, ast.Subscript: _assign_item}


def read_walrus(scan: ScanState, node: ast.NamedExpr) -> Value:
    value = visit(scan, node.value)
    bind_target(scan, node.target, value)
    return value


def read_constant(scan: ScanState, node: ast.Constant) -> Value:
    value = node.value
    if value is None:
        return NONE_VALUE
    if value.__class__ is str:
        return Value(TEXT, data=value)
    if value.__class__ is bytes:
        return Value(BYTES, data=value)
    return _NUMBERS.get(value.__class__, UNKNOWN)


_NUMBERS: dict[type, Value] = {
    float: Value(STDLIB, "builtins", "float()"),
    bool: Value(STDLIB, "builtins", "bool()"),
}


def read_display(scan: ScanState, node: ast.List | ast.Tuple) -> Value:
    elements = [HANDLERS[item.__class__](scan, item) for item in node.elts]
    dynamic_names.read_command_line(scan, node, elements)
    if elements and all(element.kind is TEXT for element in elements):
        return Value(TEXTS, data=tuple(element.data for element in elements))
    if any(operators.is_coroutine(element) for element in elements):
        return Value(COROUTINE, data=list)
    typed = [element for element in elements if element.kind is OBJECT or element.is_instance]
    if len(typed) == len(elements) or (typed and _are_constants(node.elts, typed, elements)):
        return Value(COLLECTION, data=union_of(typed))
    if elements and (rows := _row_value(elements)):
        return Value(COLLECTION, data=rows)
    exception_names = [item.id for item in node.elts if isinstance(item, ast.Name) and _EXCEPTION.search(item.id)]
    return Value(EXCEPTIONS, data=tuple(exception_names)) if len(exception_names) == len(elements) else UNKNOWN


def _row_value(elements: Sequence[Value]) -> Value | None:
    """Return the value of a row of a nested display.

    Examples: ``(("a", "b"), ("c", "d"))``, ``[(1, date.today()), (2, date.today())]``.
    """
    if all(row.kind is COLLECTION for row in elements):
        return union_of(elements)
    if all(row.kind is TEXTS and len(row.data) == len(elements[0].data) for row in elements):
        columns = [dict.fromkeys(column) for column in zip(*[row.data for row in elements], strict=True)]
        return Value(TUPLE, data=tuple([union_of([Value(TEXT, data=text) for text in column]) for column in columns]))
    return None


def _are_constants(items: Sequence[ast.expr], typed: Sequence[Value], elements: Sequence[Value]) -> bool:
    """Return whether all other elements are constants."""
    return all(
        isinstance(item, ast.Constant) or element in typed for item, element in zip(items, elements, strict=True)
    )


def read_set(scan: ScanState, node: ast.Set) -> Value:
    elements = [HANDLERS[item.__class__](scan, item) for item in node.elts]
    return (
        Value(COROUTINE, data=list)
        if any(operators.is_coroutine(element) for element in elements)
        else Value(STDLIB, "builtins", "set()")
    )


def read_dict(scan: ScanState, node: ast.Dict) -> Value:
    for key in node.keys:
        if key is not None:
            HANDLERS[key.__class__](scan, key)
    values = [HANDLERS[value.__class__](scan, value) for value in node.values]
    keys = [getattr(key, "value", None) for key in node.keys]
    names = DictKeys([key for key in keys if isinstance(key, str)])
    if values and all(entry.kind is TEXT for entry in values):
        names.values = tuple([entry.data for entry in values])
    return Value(STDLIB, "builtins", "dict()", data=names if len(names) == len(keys) else None)


def read_children(scan: ScanState, node: Any) -> Value:
    """Read the children of an expression whose own value is unknown."""
    for name in node._fields:
        child = getattr(node, name)
        if child.__class__ is list:
            for item in child:
                if item is not None:
                    HANDLERS[item.__class__](scan, item)
        elif child is not None and isinstance(child, ast.expr | ast.comprehension):
            HANDLERS[child.__class__](scan, child)
    return UNKNOWN


def read_formatted(scan: ScanState, node: ast.FormattedValue) -> Value:
    value = visit(scan, node.value)
    classes.check_formatted_value(scan, node.value, value, node.conversion)
    if node.format_spec is not None:
        visit(scan, node.format_spec)
    return UNKNOWN


def read_text(scan: ScanState, node: ast.JoinedStr) -> Value:
    pieces = []
    is_constant = True
    for part in node.values:
        if isinstance(part, ast.Constant):
            pieces.append(str(part.value))
        else:
            HANDLERS[part.__class__](scan, part)
            plain = isinstance(part, ast.FormattedValue) and part.conversion == -1 and part.format_spec is None
            value = resolve_name(scan, getattr(part, "value", None)) if plain else UNKNOWN
            pieces.append(value.data if value.kind is TEXT else "x")
            is_constant = is_constant and value.kind is TEXT
    return Value(TEXT if is_constant else PARTIAL_TEXT, data="".join(pieces))


def read_unary(scan: ScanState, node: ast.UnaryOp) -> Value:
    value = visit(scan, node.operand)
    if node.op.__class__ is ast.Not:
        operators.check_truth(scan, node.operand, value)
        return _NUMBERS[bool]
    if node.op.__class__ is ast.Invert:
        operators.check_inversion(scan, node, value)
        return UNKNOWN
    return value if value.kind is STDLIB else UNKNOWN


def read_binary(scan: ScanState, node: ast.BinOp) -> Value:
    left = HANDLERS[node.left.__class__](scan, node.left)
    right = HANDLERS[node.right.__class__](scan, node.right)
    return operators.binary_operation_result(scan, node, left, right)


_PLAIN = frozenset({ast.Is, ast.IsNot, ast.In, ast.NotIn})
"""Comparisons that return a bool for operands of any type."""


def read_compare(scan: ScanState, node: ast.Compare) -> Value:
    operands = [HANDLERS[item.__class__](scan, item) for item in (node.left, *node.comparators)]
    operators.check_membership(scan, node, operands)
    operators.check_version_order(scan, node)
    constants = node.left.__class__ is node.comparators[0].__class__ is ast.Constant
    if (
        node.ops[0].__class__ in _PLAIN
        or constants
        or any(operand.path == "len()" and operand.module == "builtins" for operand in operands)
    ):
        return _NUMBERS[bool]
    return UNKNOWN


def _read_table(scan: ScanState, node: ast.Dict, test: ast.expr) -> Value:
    """Read ``{True: new, False: old}[sys.version_info >= (3, 12)]``."""
    condition, outer_guard = condition_of(scan, test), scan.guard
    values = []
    for key, value in zip(node.keys, node.values, strict=True):
        is_true = isinstance(key, ast.Constant) and key.value is True
        scan.guard = scan.nested_guard(condition if is_true else negated(condition))
        values.append(_with_current_guard(scan, visit(scan, value), outer_guard))
        scan.guard = outer_guard
    return union_of(values)


def read_item(scan: ScanState, node: ast.Subscript) -> Value:
    operators.check_version_cut(scan, node)
    version_tables.check_version_table(scan, node)
    if isinstance(node.value, ast.Dict) and all(
        isinstance(key, ast.Constant) and isinstance(key.value, bool) for key in node.value.keys
    ):
        visit(scan, node.slice)
        return _read_table(scan, node.value, node.slice)
    value = visit(scan, node.value)
    HANDLERS[node.slice.__class__](scan, node.slice)
    return operators.subscript_result(scan, node, value)


def read_nothing(_scan: ScanState, _node: ast.AST) -> Value:
    return UNKNOWN


HANDLERS.update(
    {
        ast.BinOp: read_binary, ast.BoolOp: read_boolean, ast.Compare: read_compare, ast.Constant: read_constant,
        ast.DictComp: read_comprehension, ast.FormattedValue: read_formatted, ast.GeneratorExp: read_comprehension,
        ast.IfExp: read_conditional, ast.JoinedStr: read_text, ast.Lambda: read_lambda, ast.List: read_display,
        ast.ListComp: read_comprehension, ast.NamedExpr: read_walrus, ast.Set: read_set,
        ast.SetComp: read_comprehension,
        ast.Subscript: read_item, ast.Tuple: read_display, ast.UnaryOp: read_unary,
        ast.Await: read_children, ast.Dict: read_dict, ast.Slice: read_children, ast.Starred: read_children,
        ast.Yield: read_children, ast.YieldFrom: read_children,
    }
)  # fmt: skip
