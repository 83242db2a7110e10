"""Read names and attributes, and determine which stdlib names they refer to."""

import ast
import builtins

from pytest_py312.analysis.scanner.evaluation import exception_handlers
from pytest_py312.analysis.scanner.evaluation.dynamic_names import special_attribute
from pytest_py312.analysis.scanner.evaluation.names import join_name
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    HANDLERS,
    MAX_PATH_LENGTH,
    OwnAttribute,
    ScanState,
    reference_kind,
    stdlib_attribute,
)
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    FOREIGN,
    FUNCTION,
    MAX_CALLS,
    NONE,
    OBJECT,
    STDLIB,
    UNION,
    UNKNOWN,
    UNKNOWN_KIND,
    Arguments,
    OwnClass,
    Value,
    union_of,
)
from pytest_py312.analysis.scanner.facts.facts import Call, ReferenceKind
from pytest_py312.analysis.scanner.facts.stdlib_names import VERSION_DEPENDENT_BUILTINS
from pytest_py312.analysis.scanner.rules import attributes, classes, xml_elements

QUIET_MODULES = frozenset({"typing", "collections.abc", "__future__"})
"""A mere use of a name imported from these modules adds no information."""
COMPLEX_PATHS = frozenset({"complex", "complex()"})
"""``complex`` is the only builtin type that lost special methods."""


# ---- names


def read_name(scan: ScanState, node: ast.Name) -> Value:
    value = scan.lookup(node.id)
    if value is None:
        return read_unbound_name(scan, node)
    if scan.function is None:
        exception_handlers.note_module_level_use(scan, node, value, only_read=True)
    if value.kind is STDLIB:
        _refer_to_imported_name(scan, node, value)
    elif value.kind is FUNCTION:
        if scan.guard:
            scan.note_guarded_use(node.id, node)
    elif value.kind is UNION:
        for alternative in value.data:
            if alternative.kind is STDLIB:
                _refer_to_imported_name(scan, node, alternative)
    return value


def _refer_to_imported_name(scan: ScanState, node: ast.Name, value: Value) -> None:
    if value.path and value.path[-1] != ")" and value.module not in QUIET_MODULES:
        scan.refer(node, value, ReferenceKind.IMPORTED_NAME)


def read_unbound_name(scan: ScanState, node: ast.Name) -> Value:
    """Return the value of a name that the file does not bind: a builtin, or a name of a star import."""
    if node.id in VERSION_DEPENDENT_BUILTINS:
        value = Value(STDLIB, "builtins", node.id)
        scan.refer(node, value, ReferenceKind.NAME)
        return value
    if scan.star_imports and not scan.foreign_star_imports:
        for module in scan.star_imports:
            scan.refer(node, Value(STDLIB, module, node.id), ReferenceKind.STAR_IMPORT)
        if len(scan.star_imports) == 1:
            return Value(STDLIB, scan.star_imports[0], node.id)
    elif (
        len(scan.foreign_star_imports) == 1
        and not scan.star_imports
        and scan.is_service_module(scan.foreign_star_imports[0])
    ):
        return (
            UNKNOWN if hasattr(builtins, node.id) else Value(FOREIGN, join_name(scan.foreign_star_imports[0], node.id))
        )
    return UNKNOWN


# ---- attributes


def read_attribute(scan: ScanState, node: ast.Attribute) -> Value:
    return read_attribute_chain(scan, node, None, None)


def read_attribute_chain(
    scan: ScanState, node: ast.Attribute, call_node: ast.Call | None, arguments: Arguments | None
) -> Value:
    """Read a chain of attributes and, if ``call_node`` is given, refer to it with the arguments of that call."""
    steps = [node]
    inner: ast.expr = node.value
    while inner.__class__ is ast.Attribute:
        steps.append(inner)  # its class is tested above
        inner = inner.value
    if inner.__class__ is ast.Name:
        base = scan.lookup(inner.id)
        if base is None:
            base = read_unbound_name(scan, inner)
        elif scan.function is None:
            exception_handlers.note_module_level_use(scan, inner, base)
    else:
        base = HANDLERS[inner.__class__](scan, inner)
    if base.kind is UNKNOWN_KIND:
        if base is xml_elements.MAYBE_ELEMENT and inner.__class__ is ast.Name:
            xml_elements.note_element_use(scan, inner.id, steps[-1].attr)
        if not base.module:
            attributes.check_untyped_attribute(scan, node)
            return UNKNOWN
    return _follow_attributes(
        scan, base, steps, None if call_node is None or arguments is None else call_shape(call_node, arguments)
    )


def _follow_attributes(
    scan: ScanState, base: Value, steps: list[ast.Attribute], call: Call | None, sure: bool = True
) -> Value:
    kind = base.kind
    if kind is STDLIB:
        return _stdlib_attribute_value(scan, base, steps, call, sure)
    if kind is CLASS or kind is OBJECT:
        return _own_attribute_value(scan, base, steps, call)
    if kind is UNION:
        is_certain = all(
            alternative.kind in (STDLIB, "none") or alternative.guard != base.guard for alternative in base.data
        )
        is_certain = is_certain or sum(alternative.kind is not NONE for alternative in base.data) == 1
        return union_of(
            [_follow_attributes(scan, alternative, steps, call, sure and is_certain) for alternative in base.data]
        )
    if kind is not FOREIGN:
        attributes.check_untyped_attribute(scan, steps[0])
    if kind is not FOREIGN and not base.is_foreign_result:
        return UNKNOWN
    name = join_name(base.foreign_name, ".".join([step.attr for step in reversed(steps)]))
    use_kind = ReferenceKind.NAME if kind is FOREIGN else ReferenceKind.METHOD
    scan.refer_indirectly(scan.position(steps[0], steps[0].attr), name, use_kind, call, sure)
    if kind is FOREIGN:
        return Value(FOREIGN, name, "", base.guard)
    return Value(UNKNOWN_KIND, name) if name.count("()") < MAX_CALLS and len(name) < MAX_PATH_LENGTH else UNKNOWN


def _stdlib_attribute_value(
    scan: ScanState, base: Value, steps: list[ast.Attribute], call: Call | None, sure: bool
) -> Value:
    value = base
    for number in range(len(steps) - 1, -1, -1):
        name = steps[number].attr
        if name.startswith("__"):
            if number < len(steps) - 1:
                scan.refer(
                    steps[number + 1],
                    value,
                    reference_kind(value, ReferenceKind.MENTION),
                    sure=sure,
                    name=steps[number + 1].attr,
                )
            elif value.module == "builtins" and value.path in COMPLEX_PATHS:
                scan.refer(
                    steps[number],
                    Value(STDLIB, "builtins", f"complex.{name}"),
                    ReferenceKind.METHOD,
                    sure=sure,
                    name=name,
                )
            return special_attribute(value, name)
        value = stdlib_attribute(scan, value, name)
        if value.kind is not STDLIB:
            return UNKNOWN
    if value.path:
        node = steps[0]
        if value.module == "builtins" and "()." in value.path:
            attributes.check_builtin_attribute(scan, node, value)
        else:
            reported_steps = base.path.count(".") + 1 if base.path else 0
            scan.refer(
                node, value, reference_kind(value), call, sure=sure, name=node.attr, reported_steps=reported_steps
            )
            attributes.check_stdlib_attribute(scan, node, value)
    return value


def _own_attribute_value(scan: ScanState, base: Value, steps: list[ast.Attribute], call: Call | None) -> Value:
    owner: OwnClass = base.data
    attribute_name = steps[-1].attr
    if attribute_name.startswith("__"):
        return UNKNOWN
    definition = owner.get(attribute_name)
    if definition is None:
        scan.own_attributes.append(OwnAttribute(owner, base.kind is OBJECT, tuple(steps), call, scan.guard))
        return _inherited_attribute(owner, base.kind is OBJECT, steps)
    if scan.guard and definition.kind is FUNCTION:
        scan.note_guarded_use(attribute_name, steps[-1])
    if base.kind is CLASS and definition.kind is not FUNCTION and classes.is_enum(owner):
        definition = Value(OBJECT, guard=base.guard, data=owner)
    if (
        len(steps) == 1
        and call is not None
        and definition.kind is STDLIB
        and definition.path
        and definition.path[-1] != ")"
    ):
        scan.refer(steps[0], definition, ReferenceKind.ALIAS, call)
    if len(steps) == 1:
        return definition
    if definition.kind is not UNKNOWN_KIND or definition.module:
        return _follow_attributes(scan, definition, steps[:-1], call)
    return UNKNOWN


def _inherited_attribute(owner: OwnClass, on_instance: bool, steps: list[ast.Attribute]) -> Value:
    """Return the attribute of the base class, if the class derives from a single stdlib class."""
    bases = owner.stdlib_bases()
    if len(bases) != 1 or owner.foreign_bases() or len(steps) > 1:
        return UNKNOWN
    base = bases[0]
    return Value(STDLIB, base.module, f"{base.path}{'()' if on_instance else ''}.{steps[0].attr}", base.guard)


def call_shape(node: ast.Call, arguments: Arguments) -> Call:
    has_starred = False
    for argument in node.args:
        if argument.__class__ is ast.Starred:
            has_starred = True
    if not node.keywords:
        return Call(len(node.args) - has_starred, (), has_starred)
    names = [keyword.arg for keyword in node.keywords if keyword.arg]
    for value in arguments.double_starred:
        if value.kind is STDLIB and value.data is not None:
            names += value.data
    return Call(len(node.args) - has_starred, tuple(names), has_starred, bool(arguments.double_starred))


HANDLERS.update({ast.Attribute: read_attribute, ast.Name: read_name})
