"""The other expressions: those that decide, repeat, collect or bind; and the left side of assignments."""

import ast
import re
from collections.abc import Sequence
from typing import Any

from pytest_py312.analysis.scanner.evaluation import dynamic_names, keyword_arguments, monkeypatches
from pytest_py312.analysis.scanner.evaluation.conditions import condition_of, negated
from pytest_py312.analysis.scanner.evaluation.environment_tests import unpacked
from pytest_py312.analysis.scanner.evaluation.names import dotted, joined, named
from pytest_py312.analysis.scanner.evaluation.scan_state import HANDLERS, UNSURE, Scan, extended, visit, visit_all
from pytest_py312.analysis.scanner.evaluation.values import (
    BYTES,
    CLASS,
    COROUTINE,
    EXCEPTIONS,
    FUNCTION,
    ITEMS,
    MANY,
    NAMESPACE,
    NOTHING,
    OBJECT,
    RECORD,
    STD,
    TEMPLATE,
    TEXT,
    TEXTS,
    UNKNOWN,
    Keys,
    OwnFunction,
    Value,
    alternatives,
    either,
    texts,
)
from pytest_py312.analysis.scanner.facts.facts import ANY_NAME
from pytest_py312.analysis.scanner.facts.stdlib_names import LIKELY_METHODS
from pytest_py312.analysis.scanner.rules import classes, operators

_EXCEPTION = re.compile(r"Error$|Exception$|Warning$")
LITERALS = {
    ast.Set: "set()",
    ast.SetComp: "set()",
    ast.Dict: "dict()",
    ast.DictComp: "dict()",
    ast.JoinedStr: "str()",
}


def read_boolean(scan: Scan, node: ast.BoolOp) -> Value:
    """Each part runs only where those before it were true (``and``) or false (``or``)."""
    before = scan.guard
    found = []
    is_and = node.op.__class__ is ast.And
    doubts = scan.doubts
    for part in node.values:
        found.append(visit(scan, part))
        condition = condition_of(scan, part)
        if condition is not UNSURE:
            scan.guard = scan.guarded(condition if is_and else negated(condition))
        else:
            scan.doubts += 1
    scan.guard, scan.doubts = before, doubts
    for part, value in zip(node.values[:-1], found, strict=False):
        operators.truth_of(scan, part, value)
    return either(found)


def read_choice(scan: Scan, node: ast.IfExp) -> Value:
    operators.truth_of(scan, node.test, visit(scan, node.test))
    condition = condition_of(scan, node.test)
    before = scan.guard
    scan.doubts += condition is UNSURE
    scan.guard = scan.guarded(condition)
    body = _bound_here(scan, visit(scan, node.body), before)
    scan.guard = before
    scan.guard = scan.guarded(negated(condition))
    orelse = _bound_here(scan, visit(scan, node.orelse), before)
    scan.guard = before
    scan.doubts -= condition is UNSURE
    return either((body, orelse))


def _bound_here(scan: Scan, value: Value, before: int) -> Value:
    if scan.guard != before and value.kind in (STD, TEXT):
        return Value(value.kind, value.module, value.path, scan.guard, value.data)
    return value


def read_lambda(scan: Scan, node: ast.Lambda) -> Value:
    visit_all(scan, [*node.args.defaults, *[default for default in node.args.kw_defaults if default is not None]])
    names = [a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    names += [a.arg for a in (node.args.vararg, node.args.kwarg) if a is not None]
    guard = scan.guard
    scan.doubts += 1
    scan.guard = scan.outside_try(guard)
    if scan.lambda_caught:
        scan.guard = scan.guarded((), scan.lambda_caught)
    _inside(scan, dict.fromkeys(names, UNKNOWN), [node.body])
    scan.guard = guard
    scan.doubts -= 1
    condition = condition_of(scan, node.body)
    known = condition != UNSURE and not isinstance(node.body, ast.Constant)
    return Value(FUNCTION, data=OwnFunction("lambda", condition=condition)) if known else UNKNOWN


def _inside(scan: Scan, names: dict[str, Value], nodes: Sequence[ast.expr]) -> list[Value]:
    """Reads expressions in a small scope of their own."""
    before, outer, log = scan.names, scan.outer, scan.log
    scan.names, scan.log = names, None
    if before is not scan.module:
        scan.outer = (before, *outer)
    found = [visit(scan, node) for node in nodes]
    scan.names, scan.outer, scan.log = before, outer, log
    return found


def read_comprehension(scan: Scan, node: Any) -> Value:
    before, outer, log, guard = scan.names, scan.outer, scan.log, scan.guard
    first = visit(scan, node.generators[0].iter)
    scan.doubts += 1
    scan.names, scan.log = {}, None
    if before is not scan.module:
        scan.outer = (before, *outer)
    for number, generator in enumerate(node.generators):
        source = visit(scan, generator.iter) if number else first
        bind_target(scan, generator.target, item_of(source))
        for test in generator.ifs:
            operators.truth_of(scan, test, visit(scan, test))
            scan.guard = scan.guarded(condition_of(scan, test))
    if node.__class__ is ast.DictComp:
        visit(scan, node.key)
        value = visit(scan, node.value)
    else:
        value = visit(scan, node.elt)
    scan.names, scan.outer, scan.log, scan.guard = before, outer, log, guard
    scan.doubts -= 1
    if operators.is_coroutine(value):
        return Value(COROUTINE, data=list)
    if node.__class__ in (ast.ListComp, ast.GeneratorExp) and (value.kind is OBJECT or value.is_instance):
        return Value(ITEMS, data=value)
    literal = LITERALS.get(node.__class__)
    return Value(STD, "builtins", literal) if literal else UNKNOWN


def item_of(source: Value) -> Value:
    """What a loop over something gives."""
    if source.kind is TEXTS:
        return either([Value(TEXT, data=text) for text in source.data])
    if source.kind is CLASS and classes.is_enum(source.data):
        return Value(OBJECT, data=source.data)
    if source.kind is ITEMS:
        item: Value = source.data
        return item
    if source.kind is MANY:
        return either([item_of(one) for one in source.data])
    return operators.item_of_standard(source) if source.kind is STD else UNKNOWN


def bind_target(scan: Scan, target: Any, value: Value) -> None:
    """Gives a value to whatever stands on the left of an assignment."""
    if target.__class__ is ast.Name:
        scan.bind(target.id, value)
    elif target.__class__ is ast.Tuple or target.__class__ is ast.List:
        parts = value.data if value.kind is RECORD else unpacked(value)
        for number, item in enumerate(target.elts):
            bind_target(scan, item, parts[number] if number < len(parts) else UNKNOWN)
    elif target.__class__ is ast.Starred:
        bind_target(scan, target.value, UNKNOWN)
    else:
        _ASSIGNED[target.__class__](scan, target, value)


def _assign_attribute(scan: Scan, target: ast.Attribute, value: Value) -> None:
    base = visit(scan, target.value)
    for one in alternatives(base):
        if one.kind is STD:
            patch = extended(scan, one, target.attr)
            monkeypatches.patched(scan, patch)
            operators.assignment_to_standard(scan, target, patch, value)
        elif one.kind is OBJECT or one.kind is CLASS:
            before = one.data.set_on_self.get(target.attr)
            one.data.set_on_self[target.attr] = value if before is None else either((before, value))
        else:
            if one.module and scan.is_of_service(one.module):
                scan.replaced.add(joined(one.in_other_file, target.attr))
            if target.attr in LIKELY_METHODS:
                scan.defined.add(target.attr)
                scan.assigned.add(target.attr)


def _assign_item(scan: Scan, target: ast.Subscript, value: Value) -> None:
    owner = visit(scan, target.value)
    key = visit(scan, target.slice)
    if isinstance(target.value, ast.Call) and getattr(target.value.func, "id", "") == "globals":
        scan.module.update((name, UNKNOWN) for name in texts(key))
    if dotted(owner) == "sys.modules":
        scan.takes_own_place = scan.takes_own_place or getattr(target.slice, "id", "") == "__name__"
        monkeypatches.put_in_place(scan, texts(key))
    elif owner.data.__class__ is Keys:
        keyword_arguments.item_set(scan, target, owner, key, value)
    elif owner.kind is NAMESPACE:
        for name in list(texts(key)) or [ANY_NAME]:
            monkeypatches.patched(scan, extended(scan, owner.data, name))


_ASSIGNED: dict[type[ast.AST], Any] = {ast.Attribute: _assign_attribute, ast.Subscript: _assign_item}


def read_walrus(scan: Scan, node: ast.NamedExpr) -> Value:
    value = visit(scan, node.value)
    bind_target(scan, node.target, value)
    return value


def read_constant(scan: Scan, node: ast.Constant) -> Value:
    value = node.value
    if value is None:
        return NOTHING
    if value.__class__ is str:
        return Value(TEXT, data=value)
    if value.__class__ is bytes:
        return Value(BYTES, data=value)
    return _NUMBERS.get(value.__class__, UNKNOWN)


_NUMBERS: dict[type, Value] = {
    float: Value(STD, "builtins", "float()"),
    bool: Value(STD, "builtins", "bool()"),
}


def read_display(scan: Scan, node: ast.List | ast.Tuple) -> Value:
    found = [HANDLERS[item.__class__](scan, item) for item in node.elts]
    if found and all(one.kind is TEXT for one in found):
        return Value(TEXTS, data=tuple(one.data for one in found))
    if any(operators.is_coroutine(one) for one in found):
        return Value(COROUTINE, data=list)
    dynamic_names.command_line(scan, node, found)
    known = [one for one in found if one.kind is OBJECT or one.is_instance]
    if len(known) == len(found) or (known and _are_constants(node.elts, known, found)):
        return Value(ITEMS, data=either(known))
    if found and (rows := _rows(found)):
        return Value(ITEMS, data=rows)
    raised = [item.id for item in node.elts if isinstance(item, ast.Name) and _EXCEPTION.search(item.id)]
    return Value(EXCEPTIONS, data=tuple(raised)) if len(raised) == len(found) else UNKNOWN


def _rows(found: Sequence[Value]) -> Value | None:
    """What a row of a display of rows is: ``(("a", "b"), ("c", "d"))``, ``[(1, date.today()), (2, date.today())]``"""
    if all(one.kind is ITEMS for one in found):
        return either(found)
    if all(one.kind is TEXTS and len(one.data) == len(found[0].data) for one in found):
        columns = [dict.fromkeys(column) for column in zip(*[one.data for one in found], strict=True)]
        return Value(RECORD, data=tuple([either([Value(TEXT, data=text) for text in one]) for one in columns]))
    return None


def _are_constants(items: Sequence[ast.expr], known: Sequence[Value], found: Sequence[Value]) -> bool:
    """Whether all items are constants of which nothing is known."""
    return all(isinstance(item, ast.Constant) or one in known for item, one in zip(items, found, strict=True))


def read_set(scan: Scan, node: ast.Set) -> Value:
    found = [HANDLERS[item.__class__](scan, item) for item in node.elts]
    return (
        Value(COROUTINE, data=list)
        if any(operators.is_coroutine(one) for one in found)
        else Value(STD, "builtins", "set()")
    )


def read_dict(scan: Scan, node: ast.Dict) -> Value:
    for key in node.keys:
        if key is not None:
            HANDLERS[key.__class__](scan, key)
    found = [HANDLERS[value.__class__](scan, value) for value in node.values]
    keys = [getattr(key, "value", None) for key in node.keys]
    names = Keys([key for key in keys if isinstance(key, str)])
    if found and all(one.kind is TEXT for one in found):
        names.values = tuple([one.data for one in found])
    return Value(STD, "builtins", "dict()", data=names if len(names) == len(keys) else None)


def read_children(scan: Scan, node: Any) -> Value:
    """An expression that passes nothing on."""
    for name in node._fields:
        child = getattr(node, name)
        if child.__class__ is list:
            for item in child:
                if item is not None:
                    HANDLERS[item.__class__](scan, item)
        elif child is not None and isinstance(child, ast.expr | ast.comprehension):
            HANDLERS[child.__class__](scan, child)
    return UNKNOWN


def read_formatted(scan: Scan, node: ast.FormattedValue) -> Value:
    value = visit(scan, node.value)
    classes.formatted(scan, node.value, value, node.conversion)
    if node.format_spec is not None:
        visit(scan, node.format_spec)
    return UNKNOWN


def read_text(scan: Scan, node: ast.JoinedStr) -> Value:
    known = []
    all_known = True
    for part in node.values:
        if isinstance(part, ast.Constant):
            known.append(str(part.value))
        else:
            HANDLERS[part.__class__](scan, part)
            plain = isinstance(part, ast.FormattedValue) and part.conversion == -1 and part.format_spec is None
            value = named(scan, getattr(part, "value", None)) if plain else UNKNOWN
            known.append(value.data if value.kind is TEXT else "x")
            all_known = all_known and value.kind is TEXT
    return Value(TEXT if all_known else TEMPLATE, data="".join(known))


def read_unary(scan: Scan, node: ast.UnaryOp) -> Value:
    value = visit(scan, node.operand)
    if node.op.__class__ is ast.Not:
        operators.truth_of(scan, node.operand, value)
        return _NUMBERS[bool]
    if node.op.__class__ is ast.Invert:
        operators.inverted(scan, node, value)
        return UNKNOWN
    return value if value.kind is STD else UNKNOWN


def read_binary(scan: Scan, node: ast.BinOp) -> Value:
    left = HANDLERS[node.left.__class__](scan, node.left)
    right = HANDLERS[node.right.__class__](scan, node.right)
    return operators.operation(scan, node, left, right)


_PLAIN = frozenset({ast.Is, ast.IsNot, ast.In, ast.NotIn})
"""Comparisons that give true or false, whatever is compared."""


def read_compare(scan: Scan, node: ast.Compare) -> Value:
    found = [HANDLERS[item.__class__](scan, item) for item in (node.left, *node.comparators)]
    operators.membership(scan, node, found)
    constants = node.left.__class__ is node.comparators[0].__class__ is ast.Constant
    if (
        node.ops[0].__class__ in _PLAIN
        or constants
        or any(one.path == "len()" and one.module == "builtins" for one in found)
    ):
        return _NUMBERS[bool]
    return UNKNOWN


def _read_table(scan: Scan, node: ast.Dict, test: ast.expr) -> Value:
    """``{True: new, False: old}[sys.version_info >= (3, 12)]``"""
    condition, before = condition_of(scan, test), scan.guard
    found = []
    for key, value in zip(node.keys, node.values, strict=True):
        is_true = isinstance(key, ast.Constant) and key.value is True
        scan.guard = scan.guarded(condition if is_true else negated(condition))
        found.append(_bound_here(scan, visit(scan, value), before))
        scan.guard = before
    return either(found)


def read_item(scan: Scan, node: ast.Subscript) -> Value:
    if isinstance(node.value, ast.Dict) and all(
        isinstance(key, ast.Constant) and isinstance(key.value, bool) for key in node.value.keys
    ):
        visit(scan, node.slice)
        return _read_table(scan, node.value, node.slice)
    value = visit(scan, node.value)
    HANDLERS[node.slice.__class__](scan, node.slice)
    return operators.item_of(scan, node, value)


def nothing(_scan: Scan, _node: ast.AST) -> Value:
    return UNKNOWN


HANDLERS.update(
    {
        ast.BinOp: read_binary, ast.BoolOp: read_boolean, ast.Compare: read_compare, ast.Constant: read_constant,
        ast.DictComp: read_comprehension, ast.FormattedValue: read_formatted, ast.GeneratorExp: read_comprehension,
        ast.IfExp: read_choice, ast.JoinedStr: read_text, ast.Lambda: read_lambda, ast.List: read_display,
        ast.ListComp: read_comprehension, ast.NamedExpr: read_walrus, ast.Set: read_set,
        ast.SetComp: read_comprehension,
        ast.Subscript: read_item, ast.Tuple: read_display, ast.UnaryOp: read_unary,
        ast.Await: read_children, ast.Dict: read_dict, ast.Slice: read_children, ast.Starred: read_children,
        ast.Yield: read_children, ast.YieldFrom: read_children,
    }
)  # fmt: skip
