"""Read names, attributes and calls, and determine which stdlib names they refer to."""

import ast
import builtins

from pytest_py312.analysis.scanner.evaluation import exception_handlers
from pytest_py312.analysis.scanner.evaluation.dynamic_names import call_getter, read_dynamic_call, special_attribute
from pytest_py312.analysis.scanner.evaluation.exception_handlers import RAISES_ASSERTIONS, exception_names
from pytest_py312.analysis.scanner.evaluation.names import join_name, last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    HANDLERS,
    MAX_CALLS,
    MAX_PATH_LENGTH,
    OwnAttribute,
    ScanState,
    reference_kind,
    stdlib_attribute,
    visit,
)
from pytest_py312.analysis.scanner.evaluation.values import (
    ATTRIBUTE_GETTER,
    CLASS,
    COLLECTION,
    COROUTINE,
    FOREIGN,
    FUNCTION,
    NONE,
    OBJECT,
    PARTIAL,
    STDLIB,
    UNION,
    UNKNOWN,
    UNKNOWN_KIND,
    Arguments,
    OwnClass,
    Value,
    alternatives,
    union_of,
)
from pytest_py312.analysis.scanner.facts.facts import Call, ReferenceKind, UntypedMethodUse
from pytest_py312.analysis.scanner.facts.stdlib_names import DISTINCTIVE_METHODS, VERSION_DEPENDENT_BUILTINS
from pytest_py312.analysis.scanner.rules import calls, classes, newer_features, operators

QUIET_MODULES = frozenset({"typing", "collections.abc", "__future__"})
"""A mere use of a name imported from these modules adds no information."""
_CHECKED_BUILTINS = frozenset({
    "bool", "bytes", "classmethod", "compile", "delattr", "dict", "enumerate", "eval", "exec", "float", "format",
    "frozenset", "getattr", "hasattr", "int", "isinstance", "issubclass", "list", "map", "max", "min", "open", "pow",
    "print", "property", "range", "round", "set", "setattr", "sorted", "str", "sum", "super", "tuple", "vars", "zip",
    "any", "all", "bytearray", "callable", "chr", "complex", "len", "__import__",
})  # fmt: skip


NO_ARGUMENTS = Arguments()
APPENDING_METHODS = frozenset({"add", "append", "appendleft", "insert"})
TEXT_FUNCTIONS = frozenset({"importlib.import_module", "builtins.open", "io.open", "codecs.open"})
"""Functions whose text arguments matter, also if they were passed to ``functools.partial``."""
NON_CONSTRUCTOR_MODULES = frozenset({"builtins", "typing"})
"""Modules whose classes do not determine the constructor of a derived class: ``class Options(TypedDict)`` takes its own
fields."""
COMPLEX_PATHS = frozenset({"complex", "complex()"})
"""``complex`` is the only builtin type that lost special methods."""


# ---- names


def read_name(scan: ScanState, node: ast.Name) -> Value:
    value = scan.lookup(node.id)
    if value is None:
        return _read_unbound_name(scan, node)
    if scan.function is None:
        exception_handlers.note_module_level_use(scan, node, value, only_read=True)
    if value.kind is STDLIB:
        if value.path and value.path[-1] != ")" and value.module not in QUIET_MODULES:
            scan.refer(node, value, ReferenceKind.IMPORTED_NAME)
    elif value.kind is FUNCTION:
        if scan.guard:
            scan.note_guarded_use(node.id, node)
    elif value.kind is UNION:
        for alternative in value.data:
            if (
                alternative.kind is STDLIB
                and alternative.path
                and alternative.path[-1] != ")"
                and alternative.module not in QUIET_MODULES
            ):
                scan.refer(node, alternative, ReferenceKind.IMPORTED_NAME)
    return value


def _read_unbound_name(scan: ScanState, node: ast.Name) -> Value:
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
    return _read_attribute_chain(scan, node, None, None)


def _read_attribute_chain(
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
            base = _read_unbound_name(scan, inner)
        elif scan.function is None:
            exception_handlers.note_module_level_use(scan, inner, base)
    else:
        base = HANDLERS[inner.__class__](scan, inner)
    if base.kind is UNKNOWN_KIND:
        if base is operators.MAYBE_ELEMENT and inner.__class__ is ast.Name:
            operators.note_element_use(scan, inner.id, steps[-1].attr)
        if not base.module:
            operators.check_untyped_attribute(scan, node)
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
        operators.check_untyped_attribute(scan, steps[0])
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
            operators.check_builtin_attribute(scan, node, value)
        else:
            reported_steps = base.path.count(".") + 1 if base.path else 0
            scan.refer(
                node, value, reference_kind(value), call, sure=sure, name=node.attr, reported_steps=reported_steps
            )
            operators.check_stdlib_attribute(scan, node, value)
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


# ---- calls


def read_call(scan: ScanState, node: ast.Call) -> Value:
    function = node.func
    if function.__class__ is ast.Attribute and function.attr in RAISES_ASSERTIONS and len(node.args) > 1:
        scan.lambda_caught = tuple(sorted(exception_names(scan, node.args[0])))
    arguments = NO_ARGUMENTS
    if node.args or node.keywords:
        arguments = Arguments([HANDLERS[argument.__class__](scan, argument) for argument in node.args])
        if node.keywords:
            _read_keywords(scan, node, arguments)
    scan.lambda_caught = ()
    if function.__class__ is ast.Attribute:
        value = _read_attribute_chain(scan, function, node, arguments)
        if (
            function.attr in APPENDING_METHODS
            and arguments
            and (value.kind is UNKNOWN_KIND or value.module == "builtins")
        ):
            _note_appended(scan, function.value, arguments[-1])
        if value.kind is UNKNOWN_KIND:
            _note_untyped_method(scan, function)
            if function.attr == "__init__":
                _refer_to_base_init(scan, node, function, call_shape(node, arguments))
    elif function.__class__ is ast.Name:
        if function.id == "callable" and len(node.args) == 1:
            scan.mark_unevaluated(node.args[0])
        value = _read_called_name(scan, node, function, arguments)
    else:
        value = visit(scan, function)
        _refer_to_callee(scan, node, value, arguments)
    if value.kind is UNION:
        return union_of([_call_result(scan, node, alternative, arguments) for alternative in value.data])
    return _call_result(scan, node, value, arguments)


def _read_keywords(scan: ScanState, node: ast.Call, arguments: Arguments) -> None:
    arguments.keywords, arguments.double_starred = keywords, spread = {}, []
    for keyword in node.keywords:
        argument = HANDLERS[keyword.value.__class__](scan, keyword.value)
        if keyword.arg:
            keywords[keyword.arg] = argument
        else:
            spread.append(argument)


def _note_appended(scan: ScanState, node: ast.expr, item: Value) -> None:
    """Update what a collection contains after ``jobs.append(work())``."""
    if operators.is_coroutine(item):
        collection = Value(COROUTINE, data=list)
    elif item.kind is OBJECT or item.is_instance:
        collection = Value(COLLECTION, data=item)
    else:
        return
    previous = resolve_name(scan, node)
    if previous.kind is not COLLECTION and stdlib_name(previous) != "builtins.set()":
        return
    if isinstance(node, ast.Name):
        scan.bind(node.id, collection)
    elif isinstance(node, ast.Attribute) and resolve_name(scan, node.value).kind is OBJECT:
        resolve_name(scan, node.value).data.instance_attributes[node.attr] = collection


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


def _read_called_name(scan: ScanState, node: ast.Call, function: ast.Name, arguments: Arguments) -> Value:
    value = scan.lookup(function.id)
    if value is None:
        if function.id in _CHECKED_BUILTINS:
            value = Value(STDLIB, "builtins", function.id)
            if node.keywords:
                scan.refer(function, value, ReferenceKind.NAME, call_shape(node, arguments))
            return value
        return _read_unbound_name(scan, function)
    if scan.function is None:
        exception_handlers.note_module_level_use(scan, function, value)
    if scan.guard and value.kind is FUNCTION:
        scan.note_guarded_use(function.id, function)
    _refer_to_callee(scan, node, value, arguments)
    return value


def _refer_to_callee(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    """Refer to a callee that is not an attribute: an imported name, or the result of an expression."""
    for alternative in alternatives(value):
        if alternative.kind is STDLIB and alternative.path and alternative.path[-1] != ")":
            scan.refer(node.func, alternative, ReferenceKind.IMPORTED_NAME, call_shape(node, arguments))
        elif alternative.kind is FOREIGN and scan.is_service_module(alternative.module):
            position = scan.position(node.func, last_name(node.func))
            scan.refer_indirectly(
                position,
                alternative.module,
                ReferenceKind.IMPORTED_NAME,
                call_shape(node, arguments),
                alternative is value,
            )


def _call_result(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> Value:
    kind = value.kind
    if kind is STDLIB:
        if value.path == "super" and value.module == "builtins":
            return _super_value(scan)
        result = read_dynamic_call(scan, node, stdlib_name(value), arguments)
        if result is not None:
            return result
        calls.check_stdlib_call(scan, node, value, arguments)
        return calls.stdlib_call_result(scan, node, value, arguments)
    if kind is CLASS:
        _refer_to_constructor(scan, node, value, arguments)
        return Value(OBJECT, guard=value.guard, data=value.data)
    if kind is PARTIAL:
        return _partial_call_result(scan, node, value, arguments)
    if kind is ATTRIBUTE_GETTER:
        return call_getter(scan, node, value, arguments)
    if kind is FUNCTION:
        if node.func.__class__ is ast.Name:
            newer_features.static_method_call(scan, node, value)
        if value.data.is_async:
            return Value(COROUTINE)
        return value.data.result or UNKNOWN
    name = last_name(node.func)
    result = read_dynamic_call(scan, node, name, arguments, is_full_name=False)
    result = result or calls.text_method_result(scan, node, name, arguments)
    calls.check_untyped_call(scan, node, name, arguments)
    if name == "find":
        result = result or operators.find_result(scan, node)
    selects_by_keywords = name == "entry_points" and node.keywords  # the stdlib's own behaves the same on all releases
    of_service = (kind is FOREIGN or value.is_foreign_result) and scan.is_service_module(value.module)
    if result is None and of_service and not selects_by_keywords:
        return Value(UNKNOWN_KIND, f"{value.module}()", "", value.guard)  # the other file may show what it is
    return result or UNKNOWN


def _refer_to_constructor(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    """Refer to the stdlib base class whose constructor an instantiation calls."""
    own: OwnClass = value.data
    custom_constructor = own.get("__init__") or own.get("__new__") or own.decorators
    bases = own.stdlib_bases()
    if (
        len(bases) == 1
        and not custom_constructor
        and not own.foreign_bases()
        and bases[0].module not in NON_CONSTRUCTOR_MODULES
    ):
        scan.refer(node.func, bases[0], ReferenceKind.IMPORTED_NAME, call_shape(node, arguments))
        calls.check_instantiation(scan, node, bases[0])


def _refer_to_base_init(scan: ScanState, node: ast.Call, function: ast.Attribute, call: Call) -> None:
    """Refer to the base class of ``super().__init__(...)`` or ``Base.__init__(self, ...)``."""
    base = UNKNOWN
    if isinstance(function.value, ast.Call) and scan.enclosing_class is not None:
        if getattr(function.value.func, "id", "") == "super":
            own = scan.enclosing_class
            direct = [base_class for base_class in own.bases if base_class.kind is STDLIB]
            base = direct[0] if len(own.bases) == len(direct) == 1 else UNKNOWN
    elif last_name(function.value) and call.positional:
        base = resolve_name(scan, function.value)
        call = call._replace(positional=call.positional - 1)
    if base.kind is STDLIB and base.path and "()" not in base.path and base.module != "builtins":
        scan.refer(node.func, base, ReferenceKind.IMPORTED_NAME, call)


def _partial_call_result(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> Value:
    function, count, keywords, bound_arguments = value.data
    call = call_shape(node, arguments)
    names = (*keywords, *call.keywords)
    if function.kind is STDLIB and function.path:
        scan.refer(
            node.func,
            function,
            ReferenceKind.IMPORTED_NAME,
            call._replace(positional=call.positional + count, keywords=names),
        )
    if stdlib_name(function) in TEXT_FUNCTIONS:
        arguments = bound_arguments.followed_by(arguments)
    return _call_result(scan, node, function, arguments) if function.kind is not PARTIAL else UNKNOWN


def _super_value(scan: ScanState) -> Value:
    """Return the value of ``super()``: the class without the names of its own body."""
    if scan.enclosing_class is None:
        return UNKNOWN
    return Value(OBJECT, data=OwnClass(f"super of {scan.enclosing_class.name}", scan.enclosing_class.bases))


def _note_untyped_method(scan: ScanState, function: ast.Attribute) -> None:
    if function.attr in DISTINCTIVE_METHODS and last_name(function.value) not in scan.hasattr_checked:
        line, column, end_column = scan.position(function, function.attr)
        scan.untyped_methods.append(UntypedMethodUse(function.attr, line, column, end_column, scan.guard))


HANDLERS.update({ast.Attribute: read_attribute, ast.Call: read_call, ast.Name: read_name})
