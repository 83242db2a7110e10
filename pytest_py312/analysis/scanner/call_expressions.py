"""Read calls: which stdlib callables they refer to, with what arguments, and what they return."""

import ast

from pytest_py312.analysis.scanner.evaluation import exception_handlers
from pytest_py312.analysis.scanner.evaluation.dynamic_names import call_getter, read_dynamic_call
from pytest_py312.analysis.scanner.evaluation.exception_handlers import RAISES_ASSERTIONS, exception_names
from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import HANDLERS, ScanState, visit
from pytest_py312.analysis.scanner.evaluation.values import (
    ATTRIBUTE_GETTER,
    CLASS,
    COLLECTION,
    COROUTINE,
    FOREIGN,
    FUNCTION,
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
from pytest_py312.analysis.scanner.expressions import call_shape, read_attribute_chain, read_unbound_name
from pytest_py312.analysis.scanner.facts.facts import Call, ReferenceKind, UntypedMethodUse
from pytest_py312.analysis.scanner.facts.stdlib_names import DISTINCTIVE_METHODS
from pytest_py312.analysis.scanner.rules import calls, newer_features, operators, xml_elements

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
        value = read_attribute_chain(scan, function, node, arguments)
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


def _read_called_name(scan: ScanState, node: ast.Call, function: ast.Name, arguments: Arguments) -> Value:
    value = scan.lookup(function.id)
    if value is None:
        if function.id in _CHECKED_BUILTINS:
            value = Value(STDLIB, "builtins", function.id)
            if node.keywords:
                scan.refer(function, value, ReferenceKind.NAME, call_shape(node, arguments))
            return value
        return read_unbound_name(scan, function)
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
        result = result or xml_elements.find_result(scan, node)
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


HANDLERS[ast.Call] = read_call
