"""Read functions and classes: parameters, decorators, bases, and the deferred bodies of functions."""

import ast
import builtins
from typing import Any

from pytest_py312.analysis.scanner.evaluation import guarded_functions, skip_marks
from pytest_py312.analysis.scanner.evaluation.annotations import (
    annotated_value,
    annotations_are_evaluated,
    returned_condition,
    returned_value,
    unevaluated_annotations,
)
from pytest_py312.analysis.scanner.evaluation.conditions import negated
from pytest_py312.analysis.scanner.evaluation.exception_handlers import suppressed_exceptions
from pytest_py312.analysis.scanner.evaluation.names import has_decorator, last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    HANDLERS,
    DeferredFunction,
    OwnAttribute,
    ScanState,
    read_block,
    reference_kind,
    stdlib_attribute,
    visit,
)
from pytest_py312.analysis.scanner.evaluation.skip_marks import skip_condition
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CONDITION,
    CONTEXT_MANAGER,
    FOREIGN,
    FUNCTION,
    OBJECT,
    STDLIB,
    UNION,
    UNKNOWN,
    UNKNOWN_KIND,
    OwnClass,
    OwnFunction,
    Value,
)
from pytest_py312.analysis.scanner.facts.facts import Call, ClassDefinition, InheritedAttribute, ReferenceKind
from pytest_py312.analysis.scanner.facts.stdlib_names import BUILTIN_TYPES, DISTINCTIVE_METHODS
from pytest_py312.analysis.scanner.rules import classes, newer_features

SETUP_METHODS = skip_marks.SETUP_METHODS | {"__init__", "__new__", "setup", "__post_init__"}
"""Methods that set attributes for the other methods. They are read first."""


# ---- functions


def read_function(scan: ScanState, node: Any) -> None:
    scan.defined_names.add(node.name)
    if scan.may_execute_names:
        classes.names_of_exec(scan, node)
    _bind_globals(scan, node)
    body_guard = _read_decorators(scan, node)
    arguments = node.args
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if default is not None:
            value = visit(scan, default)
            if value.kind is STDLIB and default.__class__ is ast.Attribute and _calls_default(node, default):
                scan.mark_unevaluated(default)
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if annotations_are_evaluated(scan):
        variadic = [parameter for parameter in (arguments.vararg, arguments.kwarg) if parameter is not None]
        for annotated_parameter in (*parameters, *variadic):
            if annotated_parameter.annotation is not None:
                visit(scan, annotated_parameter.annotation)
        if node.returns is not None:
            visit(scan, node.returns)
    in_class = scan.enclosing_class is not None and scan.scope is scan.enclosing_class.body
    _defer_body(scan, node, parameters, in_class, body_guard)
    scan.bind(node.name, _function_value(scan, node, parameters))


def _bind_globals(scan: ScanState, node: Any) -> None:
    """Bind names imported in a function under ``global``: ``global imp; import imp``."""
    names = {name for statement in node.body if statement.__class__ is ast.Global for name in statement.names}
    if not names:
        return
    for statement in node.body:
        for alias in statement.names if isinstance(statement, ast.Import) else ():
            bound = alias.asname or alias.name.partition(".")[0]
            if bound in names and scan.lookup(bound) is None:
                scan.module_scope[bound] = scan.module_value(alias.name if alias.asname else bound)


def _read_decorators(scan: ScanState, node: Any) -> int:
    """Read the decorators and return the guard of the body: some decorators skip it."""
    outer_guard = scan.guard
    body_guard = scan.guard_outside_try(outer_guard)
    for decorator in node.decorator_list:
        if decorator.__class__ is ast.Name:
            _read_plain_decorator(scan, decorator)
        else:
            visit(scan, decorator)
        scan.guard = body_guard
        body_guard = scan.nested_guard(negated(skip_condition(scan, decorator)))
        scan.guard = outer_guard
    return body_guard


def _read_plain_decorator(scan: ScanState, node: ast.Name) -> None:
    """Refer to ``@module_for_loader``: a decorator is called although no call is written."""
    value = visit(scan, node)
    if value.kind is FUNCTION:
        newer_features.static_method_call(scan, node, value)
    elif value.kind is STDLIB and value.path and value.path[-1] != ")":
        scan.refer(node, value, ReferenceKind.IMPORTED_NAME, Call(1))


def _function_value(scan: ScanState, node: Any, parameters: list[ast.arg]) -> Value:
    if node.decorator_list:
        names = {stdlib_name(resolve_name(scan, decorator)) for decorator in node.decorator_list}
        if "functools.cached_property" in names or has_decorator(node, "property"):
            condition = returned_condition(scan, node)
            if condition is not None and not condition[0].startswith("asks"):
                return Value(CONDITION, data=condition)
            return returned_value(scan, node) or UNKNOWN
        if names == {"contextlib.contextmanager"}:
            return Value(CONTEXT_MANAGER, data=suppressed_exceptions(scan, node))
        if not names <= {"", "functools.lru_cache", "functools.cache", "abc.abstractmethod"}:
            return UNKNOWN
    is_async = isinstance(node, ast.AsyncFunctionDef)
    own = OwnFunction(
        node.name,
        is_async=is_async,
        is_static=has_decorator(node, "staticmethod"),
        result=None if is_async else returned_value(scan, node),
        implicit_optional=classes.has_implicit_optional(scan, node),
        true_condition=returned_condition(scan, node),
        annotations=tuple(unevaluated_annotations(scan, node, parameters)),
    )
    return Value(FUNCTION, guard=scan.guard, data=own)


def _defer_body(scan: ScanState, node: Any, parameters: list[ast.arg], in_class: bool, guard: int) -> None:
    names: dict[str, Value] = {
        argument.arg: UNKNOWN if argument.annotation is None else annotated_value(scan, argument.annotation)
        for argument in parameters
    }
    if node.args.defaults and not node.args.kwonlyargs:
        for argument, default in zip(parameters[::-1], node.args.defaults[::-1], strict=False):
            is_text = isinstance(default, ast.Constant) and isinstance(default.value, str)
            if names[argument.arg].kind is not UNKNOWN_KIND:
                continue
            member = classes.enum_member(scan, default)
            if is_text:
                names[argument.arg] = visit(scan, default)
            elif member.kind is OBJECT and classes.is_enum(member.data):
                names[argument.arg] = member
            elif default.__class__ is ast.Attribute or default.__class__ is ast.Name:
                names[argument.arg] = _default_or_unknown(resolve_name(scan, default))
    for argument in (node.args.vararg, node.args.kwarg):
        if argument is not None:
            names[argument.arg] = UNKNOWN
    if in_class and scan.enclosing_class is not None and len(parameters) > 1:
        names |= classes.hook_parameters(scan.enclosing_class, node.name, parameters[1])
    if in_class and scan.enclosing_class is not None and parameters:
        decorator_names = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
        if "classmethod" in decorator_names:
            names[parameters[0].arg] = Value(CLASS, data=scan.enclosing_class)
        elif "staticmethod" not in decorator_names:
            names[parameters[0].arg] = Value(OBJECT, data=scan.enclosing_class)
    outer = (
        scan.enclosing_scopes if in_class or scan.scope is scan.module_scope else (scan.scope, *scan.enclosing_scopes)
    )
    is_async = isinstance(node, ast.AsyncFunctionDef) or scan.in_async
    outermost_function = scan.outermost_function if scan.function is not None else ""
    deferred = DeferredFunction(node, names, outer, guard, scan.enclosing_class, is_async, outermost_function)
    if in_class and node.name in SETUP_METHODS:
        scan.deferred_functions.appendleft(deferred)
    else:
        scan.deferred_functions.append(deferred)


def _calls_default(node: Any, default: ast.expr) -> bool:
    """Return whether a function calls the parameter with this default. Problems are then reported for those calls."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    defaults = zip(arguments[::-1], node.args.defaults[::-1], strict=False)
    name = next((argument.arg for argument, parameter_default in defaults if parameter_default is default), "")
    return (
        any(isinstance(call, ast.Call) and last_name(call.func) == name for call in ast.walk(node)) if name else False
    )


def _default_or_unknown(value: Value) -> Value:
    """Return the value of a parameter with this default: the default or something unknown."""
    is_stdlib_name = value.kind is STDLIB and value.path and value.path[-1] != ")"
    return Value(UNION, data=(value, UNKNOWN)) if is_stdlib_name else UNKNOWN


def read_deferred_functions(scan: ScanState) -> None:
    """Read the deferred bodies of functions in order. Nested functions come last."""
    scan.module_level_count = len(scan.references)
    while scan.deferred_functions:
        deferred = scan.deferred_functions.popleft()
        scan.scope, scan.enclosing_scopes, scan.guard = deferred.scope, deferred.enclosing_scopes, deferred.guard
        if scan.module_skip_guard:
            condition = scan.guards[scan.module_skip_guard].condition
            scan.guard = scan.nested_guard(condition)
        scan.enclosing_class, scan.in_async, scan.function = deferred.enclosing_class, deferred.in_async, deferred.node
        scan.guard = scan.nested_guard(classes.method_condition(deferred.enclosing_class, deferred.node.name))
        scan.guard = scan.nested_guard(skip_marks.test_method_condition(deferred.enclosing_class, deferred.node.name))
        scan.declared_global, scan.branch_changes = frozenset(), None
        classes.begin_function(scan, deferred.node)
        body = guarded_functions.begin_body(scan, deferred)
        read_block(scan, deferred.node.body)
        skip_marks.record_setup_skips(scan, deferred.enclosing_class, deferred.node)
        guarded_functions.end_body(scan, body)
    scan.scope, scan.enclosing_scopes, scan.guard = scan.module_scope, (), 0
    scan.enclosing_class = scan.function = None


# ---- classes


def read_class(scan: ScanState, node: ast.ClassDef) -> None:
    scan.defined_names.add(node.name)
    body_guard = _read_decorators(scan, node)
    own = OwnClass(node.name)
    for base in node.bases:
        value = visit(scan, base)
        if not (isinstance(base, ast.Name) and base.id == "object" and scan.lookup("object") is None):
            own.bases.append(_base_value(scan, base, value))
    for keyword in node.keywords:
        value = visit(scan, keyword.value)
        own.has_unknown_attributes = own.has_unknown_attributes or (
            keyword.arg == "metaclass" and value.kind is not STDLIB
        )
    names = [
        stdlib_name(resolve_name(scan, decorator.func if isinstance(decorator, ast.Call) else decorator))
        for decorator in node.decorator_list
    ]
    own.decorators = frozenset(filter(None, names))
    own.is_hashable_dataclass = classes.is_hashable_dataclass(node)
    scan.classes.append(own)
    with scan.restored(
        "scope", "enclosing_scopes", "enclosing_class", "branch_changes", "guard", "function", "declared_global"
    ):
        if scan.scope is not scan.module_scope and not (
            scan.enclosing_class is not None and scan.scope is scan.enclosing_class.body
        ):
            scan.enclosing_scopes = (scan.scope, *scan.enclosing_scopes)
        scan.scope, scan.enclosing_class, scan.branch_changes, scan.declared_global = own.body, own, None, frozenset()
        if body_guard != scan.guard_outside_try(scan.guard):
            scan.guard = body_guard
        read_block(scan, node.body)
    scan.guarded_classes.append((node, own, scan.guard))
    classes.check_class(scan, node, own)
    scan.bind(node.name, Value(CLASS, guard=scan.guard, data=own))


def _base_value(scan: ScanState, node: ast.expr, value: Value) -> Value:
    is_builtin = isinstance(node, ast.Name) and (node.id in BUILTIN_TYPES or hasattr(builtins, node.id))
    if isinstance(node, ast.Name) and is_builtin and scan.lookup(node.id) is None:
        return Value(STDLIB, "builtins", node.id)
    if (value.kind is STDLIB and value.path and value.path[-1] != ")") or value.kind in (CLASS, FOREIGN):
        return value
    return UNKNOWN


def finish_classes(scan: ScanState) -> tuple[ClassDefinition, ...]:
    """Resolve the attributes that methods use of their own class, now that the class is complete."""
    for node, own, guard in scan.guarded_classes:
        scan.guard = guard
        classes.check_hooks(scan, node, own)
    for own in scan.classes:
        scan.defined_names.update(name for name in (*own.body, *own.instance_attributes) if name in DISTINCTIVE_METHODS)
    for attribute in scan.own_attributes:
        _resolve_own_attribute(scan, attribute)
    return tuple(
        [
            _class_definition(class_info)
            for class_info in scan.classes
            if scan.module_scope.get(class_info.name) is not None
        ]
    )


def _resolve_own_attribute(scan: ScanState, attribute: OwnAttribute) -> None:
    name = attribute.steps[-1].attr
    definition = attribute.owner.get(name)
    scan.guard = attribute.guard
    if definition is not None:
        if len(attribute.steps) > 1 and definition.kind is STDLIB and definition.module != "builtins":
            value = definition
            for step in reversed(attribute.steps[:-1]):
                value = stdlib_attribute(scan, value, step.attr) if value.kind is STDLIB else value
            if value.kind is STDLIB:
                scan.refer(
                    attribute.steps[0], value, reference_kind(value), attribute.call, name=attribute.steps[0].attr
                )
        return
    if attribute.on_instance and attribute.owner.get("__getattr__") is not None:
        return
    if name in scan.assigned_methods or any(ancestor.has_unknown_attributes for ancestor in attribute.owner.own_mro()):
        return
    foreign_bases = attribute.owner.foreign_bases()
    call = attribute.call if len(attribute.steps) == 1 else None
    owner = attribute.owner.name.removeprefix("super of ")
    in_service = any(base.kind is FOREIGN and scan.is_service_module(base.module) for base in foreign_bases)
    if in_service and scan.module_scope.get(owner) is not None:
        position = scan.position(attribute.steps[-1], name)
        scan.inherited_attributes.append(
            InheritedAttribute(owner, name, attribute.on_instance, *position, attribute.guard, call)
        )
        return
    for base in attribute.owner.stdlib_bases():
        if base.module == "builtins" and name != "add_note":
            continue
        path = f"{base.path}{'()' if attribute.on_instance else ''}.{name}"
        value = Value(STDLIB, base.module, path, base.guard)
        scan.refer(attribute.steps[-1], value, ReferenceKind.METHOD, call, sure=not foreign_bases, name=name)


def _class_definition(own: OwnClass) -> ClassDefinition:
    bases = []
    for base in own.bases:
        if base.kind is STDLIB:
            bases.append((base.module, base.path))
        elif base.kind is CLASS:
            bases.append(("", f":{base.data.name}"))
        else:
            bases.append(("", base.module))
    return ClassDefinition(own.name, tuple(bases), tuple(sorted({*own.body, *own.instance_attributes})))


HANDLERS.update({ast.FunctionDef: read_function, ast.AsyncFunctionDef: read_function, ast.ClassDef: read_class})
