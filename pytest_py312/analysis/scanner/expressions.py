"""Names, attributes and calls: which name of the library each of them stands for."""

import ast
import builtins

from pytest_py312.analysis.scanner.evaluation import exception_handlers
from pytest_py312.analysis.scanner.evaluation.dynamic_names import got, read_dynamic, special_of
from pytest_py312.analysis.scanner.evaluation.exception_handlers import RAISES, exceptions
from pytest_py312.analysis.scanner.evaluation.names import dotted, joined, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    HANDLERS,
    LONGEST_PATH,
    MOST_CALLS,
    OnOwn,
    Scan,
    extended,
    kind_of,
    visit,
)
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    COROUTINE,
    FOREIGN,
    FUNCTION,
    GETTER,
    ITEMS,
    MANY,
    NONE,
    NOTHING_KNOWN,
    OBJECT,
    PARTIAL,
    STD,
    UNKNOWN,
    Given,
    OwnClass,
    Value,
    alternatives,
    either,
)
from pytest_py312.analysis.scanner.facts.facts import Call, Kind, LooseMethod
from pytest_py312.analysis.scanner.facts.stdlib_names import CHANGING_BUILTINS, LIKELY_METHODS
from pytest_py312.analysis.scanner.rules import calls, classes, newer_features, operators

QUIET = frozenset({"typing", "collections.abc", "__future__"})
"""A mere use of a name that was imported from these says nothing new."""
_BUILTINS = frozenset({
    "bool", "bytes", "classmethod", "compile", "delattr", "dict", "enumerate", "eval", "exec", "float", "format",
    "frozenset", "getattr", "hasattr", "int", "isinstance", "issubclass", "list", "map", "max", "min", "open", "pow",
    "print", "property", "range", "round", "set", "setattr", "sorted", "str", "sum", "super", "tuple", "vars", "zip",
    "any", "all", "bytearray", "callable", "chr", "complex", "len", "__import__",
})  # fmt: skip


NOTHING_GIVEN = Given()
GROWING = frozenset({"add", "append", "appendleft", "insert"})
TAKE_TEXTS = frozenset({"importlib.import_module", "builtins.open", "io.open", "codecs.open"})
"""Functions that are judged by texts alone, wherever they were handed over."""
TAKE_NOTHING = frozenset({"builtins", "typing"})
"""Modules whose bases do not say how an own class is called: ``class Options(TypedDict)`` takes its own fields."""
COMPLEX = frozenset({"complex", "complex()"})
"""The only builtin type that lost special methods."""


# ---- names


def read_name(scan: Scan, node: ast.Name) -> Value:
    value = scan.get(node.id)
    if value is None:
        return _unbound(scan, node)
    if scan.function is None:
        exception_handlers.used(scan, node, value, as_name=True)
    if value.kind is STD:
        if value.path and value.path[-1] != ")" and value.module not in QUIET:
            scan.refer(node, value, Kind.USE)
    elif value.kind is FUNCTION:
        if scan.guard:
            scan.used_behind(node.id, node)
    elif value.kind is MANY:
        for one in value.data:
            if one.kind is STD and one.path and one.path[-1] != ")" and one.module not in QUIET:
                scan.refer(node, one, Kind.USE)
    return value


def _unbound(scan: Scan, node: ast.Name) -> Value:
    """A builtin, or what a star import has brought."""
    if node.id in CHANGING_BUILTINS:
        value = Value(STD, "builtins", node.id)
        scan.refer(node, value, Kind.NAME)
        return value
    if scan.stars and not scan.foreign_stars:
        for module in scan.stars:
            scan.refer(node, Value(STD, module, node.id), Kind.STAR)
        if len(scan.stars) == 1:
            return Value(STD, scan.stars[0], node.id)
    elif len(scan.foreign_stars) == 1 and not scan.stars and scan.is_of_service(scan.foreign_stars[0]):
        return UNKNOWN if hasattr(builtins, node.id) else Value(FOREIGN, joined(scan.foreign_stars[0], node.id))
    return UNKNOWN


# ---- attributes


def read_attribute(scan: Scan, node: ast.Attribute) -> Value:
    return _attribute(scan, node, None, None)


def _attribute(scan: Scan, node: ast.Attribute, called: ast.Call | None, arguments: Given | None) -> Value:
    """An attribute, and what is ``called`` with it."""
    steps = [node]
    inner: ast.expr = node.value
    while inner.__class__ is ast.Attribute:
        steps.append(inner)  # its class was asked for
        inner = inner.value
    if inner.__class__ is ast.Name:
        base = scan.get(inner.id)
        if base is None:
            base = _unbound(scan, inner)
        elif scan.function is None:
            exception_handlers.used(scan, inner, base)
    else:
        base = HANDLERS[inner.__class__](scan, inner)
    if base.kind is NOTHING_KNOWN:
        if base is operators.FOUND and inner.__class__ is ast.Name:
            operators.used(scan, inner.id, steps[-1].attr)
        if not base.module:
            operators.attribute_of_unknown(scan, node)
            return UNKNOWN
    return _stepped(scan, base, steps, None if called is None or arguments is None else how(called, arguments))


def _stepped(scan: Scan, base: Value, steps: list[ast.Attribute], call: Call | None, sure: bool = True) -> Value:
    kind = base.kind
    if kind is STD:
        return _of_standard(scan, base, steps, call, sure)
    if kind is CLASS or kind is OBJECT:
        return _of_own(scan, base, steps, call)
    if kind is MANY:
        known = all(one.kind in (STD, "none") or one.guard != base.guard for one in base.data)
        known = known or sum(one.kind is not NONE for one in base.data) == 1
        return either([_stepped(scan, one, steps, call, sure and known) for one in base.data])
    if kind is not FOREIGN:
        operators.attribute_of_unknown(scan, steps[0])
    if kind is not FOREIGN and not base.of_other_file:
        return UNKNOWN
    name = joined(base.in_other_file, ".".join([step.attr for step in reversed(steps)]))
    way = Kind.NAME if kind is FOREIGN else Kind.METHOD
    scan.reach_through(scan.place(steps[0], steps[0].attr), name, way, call, sure)
    if kind is FOREIGN:
        return Value(FOREIGN, name, "", base.guard)
    return Value(NOTHING_KNOWN, name) if name.count("()") < MOST_CALLS and len(name) < LONGEST_PATH else UNKNOWN


def _of_standard(scan: Scan, base: Value, steps: list[ast.Attribute], call: Call | None, sure: bool) -> Value:
    value = base
    for number in range(len(steps) - 1, -1, -1):
        name = steps[number].attr
        if name.startswith("__"):
            if number < len(steps) - 1:
                scan.refer(steps[number + 1], value, kind_of(value, Kind.PART), sure=sure, name=steps[number + 1].attr)
            elif value.module == "builtins" and value.path in COMPLEX:
                scan.refer(steps[number], Value(STD, "builtins", f"complex.{name}"), Kind.METHOD, sure=sure, name=name)
            return special_of(value, name)
        value = extended(scan, value, name)
        if value.kind is not STD:
            return UNKNOWN
    if value.path:
        node = steps[0]
        if value.module == "builtins" and "()." in value.path:
            operators.attribute_of_builtin(scan, node, value)
        else:
            told = base.path.count(".") + 1 if base.path else 0
            scan.refer(node, value, kind_of(value), call, sure=sure, name=node.attr, told=told)
            operators.attribute_of_standard(scan, node, value)
    return value


def _of_own(scan: Scan, base: Value, steps: list[ast.Attribute], call: Call | None) -> Value:
    owner: OwnClass = base.data
    first = steps[-1].attr
    if first.startswith("__"):
        return UNKNOWN
    known = owner.get(first)
    if known is None:
        scan.on_own.append(OnOwn(owner, base.kind is OBJECT, tuple(steps), call, scan.guard))
        return _inherited(owner, base.kind is OBJECT, steps)
    if scan.guard and known.kind is FUNCTION:
        scan.used_behind(first, steps[-1])
    if base.kind is CLASS and known.kind is not FUNCTION and classes.is_enum(owner):
        known = Value(OBJECT, guard=base.guard, data=owner)
    if len(steps) == 1 and call is not None and known.kind is STD and known.path and known.path[-1] != ")":
        scan.refer(steps[0], known, Kind.GIVEN, call)
    if len(steps) == 1:
        return known
    if known.kind is not NOTHING_KNOWN or known.module:
        return _stepped(scan, known, steps[:-1], call)
    return UNKNOWN


def _inherited(owner: OwnClass, instance: bool, steps: list[ast.Attribute]) -> Value:
    """What it most likely is, where the class derives from one standard class."""
    bases = owner.standard_bases()
    if len(bases) != 1 or owner.foreign_bases() or len(steps) > 1:
        return UNKNOWN
    base = bases[0]
    return Value(STD, base.module, f"{base.path}{'()' if instance else ''}.{steps[0].attr}", base.guard)


# ---- calls


def read_call(scan: Scan, node: ast.Call) -> Value:
    function = node.func
    if function.__class__ is ast.Attribute and function.attr in RAISES and len(node.args) > 1:
        scan.lambda_caught = tuple(sorted(exceptions(scan, node.args[0])))
    arguments = NOTHING_GIVEN
    if node.args or node.keywords:
        arguments = Given([HANDLERS[argument.__class__](scan, argument) for argument in node.args])
        if node.keywords:
            _read_keywords(scan, node, arguments)
    scan.lambda_caught = ()
    if function.__class__ is ast.Attribute:
        value = _attribute(scan, function, node, arguments)
        if function.attr in GROWING and arguments and (value.kind is NOTHING_KNOWN or value.module == "builtins"):
            _grown(scan, function.value, arguments[-1])
        if value.kind is NOTHING_KNOWN:
            _loose(scan, function)
            if function.attr == "__init__":
                _initialised(scan, node, function, how(node, arguments))
    elif function.__class__ is ast.Name:
        if function.id == "callable" and len(node.args) == 1:
            scan.only_named(node.args[0])
        value = _called_name(scan, node, function, arguments)
    else:
        value = visit(scan, function)
        _used(scan, node, value, arguments)
    if value.kind is MANY:
        return either([_called(scan, node, one, arguments) for one in value.data])
    return _called(scan, node, value, arguments)


def _read_keywords(scan: Scan, node: ast.Call, arguments: Given) -> None:
    arguments.named, arguments.spread = named_so, spread = {}, []
    for keyword in node.keywords:
        given = HANDLERS[keyword.value.__class__](scan, keyword.value)
        if keyword.arg:
            named_so[keyword.arg] = given
        else:
            spread.append(given)


def _grown(scan: Scan, node: ast.expr, item: Value) -> None:
    """``jobs.append(work())``: what a collection holds from then on."""
    if operators.is_coroutine(item):
        after = Value(COROUTINE, data=list)
    elif item.kind is OBJECT or item.is_instance:
        after = Value(ITEMS, data=item)
    else:
        return
    before = named(scan, node)
    if before.kind is not ITEMS and dotted(before) != "builtins.set()":
        return
    if isinstance(node, ast.Name):
        scan.bind(node.id, after)
    elif isinstance(node, ast.Attribute) and named(scan, node.value).kind is OBJECT:
        named(scan, node.value).data.set_on_self[node.attr] = after


def how(node: ast.Call, arguments: Given) -> Call:
    starred = False
    for argument in node.args:
        if argument.__class__ is ast.Starred:
            starred = True
    if not node.keywords:
        return Call(len(node.args) - starred, (), starred)
    names = [keyword.arg for keyword in node.keywords if keyword.arg]
    for value in arguments.spread:
        if value.kind is STD and value.data is not None:
            names += value.data
    return Call(len(node.args) - starred, tuple(names), starred, bool(arguments.spread))


def _called_name(scan: Scan, node: ast.Call, function: ast.Name, arguments: Given) -> Value:
    value = scan.get(function.id)
    if value is None:
        if function.id in _BUILTINS:
            value = Value(STD, "builtins", function.id)
            if node.keywords:
                scan.refer(function, value, Kind.NAME, how(node, arguments))
            return value
        return _unbound(scan, function)
    if scan.function is None:
        exception_handlers.used(scan, function, value)
    if scan.guard and value.kind is FUNCTION:
        scan.used_behind(function.id, function)
    _used(scan, node, value, arguments)
    return value


def _used(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    """Notes what a call uses that is no attribute's: a name that was imported, or what an expression gives."""
    for one in alternatives(value):
        if one.kind is STD and one.path and one.path[-1] != ")":
            scan.refer(node.func, one, Kind.USE, how(node, arguments))
        elif one.kind is FOREIGN and scan.is_of_service(one.module):
            place = scan.place(node.func, last_name(node.func))
            scan.reach_through(place, one.module, Kind.USE, how(node, arguments), one is value)


def _called(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> Value:
    kind = value.kind
    if kind is STD:
        if value.path == "super" and value.module == "builtins":
            return _above(scan)
        given = read_dynamic(scan, node, dotted(value), arguments)
        if given is not None:
            return given
        calls.call_of_standard(scan, node, value, arguments)
        return calls.given_by_standard(scan, node, value, arguments)
    if kind is CLASS:
        _made(scan, node, value, arguments)
        return Value(OBJECT, guard=value.guard, data=value.data)
    if kind is PARTIAL:
        return _called_later(scan, node, value, arguments)
    if kind is GETTER:
        return got(scan, node, value, arguments)
    if kind is FUNCTION:
        if node.func.__class__ is ast.Name:
            newer_features.static_called(scan, node, value)
        if value.data.is_async:
            return Value(COROUTINE)
        return value.data.gives or UNKNOWN
    name = last_name(node.func)
    given = read_dynamic(scan, node, name, arguments, full=False)
    given = given or calls.given_by_text(scan, node, name, arguments)
    calls.call_of_unknown(scan, node, name, arguments)
    if name == "find":
        given = given or operators.found(scan, node)
    by_names = name == "entry_points" and node.keywords  # such as those of the library do not differ
    of_service = (kind is FOREIGN or value.of_other_file) and scan.is_of_service(value.module)
    if given is None and of_service and not by_names:
        return Value(NOTHING_KNOWN, f"{value.module}()", "", value.guard)  # what it is, the other file may say
    return given or UNKNOWN


def _made(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> None:
    """An instance of an own class: the standard class it derives from takes the arguments, if nothing else does."""
    own: OwnClass = value.data
    taken = own.get("__init__") or own.get("__new__") or own.decorators
    bases = own.standard_bases()
    if len(bases) == 1 and not taken and not own.foreign_bases() and bases[0].module not in TAKE_NOTHING:
        scan.refer(node.func, bases[0], Kind.USE, how(node, arguments))
        calls.made_of_standard(scan, node, bases[0])


def _initialised(scan: Scan, node: ast.Call, function: ast.Attribute, call: Call) -> None:
    """``super().__init__(...)``, ``Base.__init__(self, ...)``"""
    base = UNKNOWN
    if isinstance(function.value, ast.Call) and scan.owner is not None:
        if getattr(function.value.func, "id", "") == "super":
            own = scan.owner
            direct = [one for one in own.bases if one.kind is STD]
            base = direct[0] if len(own.bases) == len(direct) == 1 else UNKNOWN
    elif last_name(function.value) and call.positional:
        base = named(scan, function.value)
        call = call._replace(positional=call.positional - 1)
    if base.kind is STD and base.path and "()" not in base.path and base.module != "builtins":
        scan.refer(node.func, base, Kind.USE, call)


def _called_later(scan: Scan, node: ast.Call, value: Value, arguments: Given) -> Value:
    function, count, keywords, before = value.data
    call = how(node, arguments)
    names = (*keywords, *call.keywords)
    if function.kind is STD and function.path:
        scan.refer(node.func, function, Kind.USE, call._replace(positional=call.positional + count, keywords=names))
    if dotted(function) in TAKE_TEXTS:
        arguments = before.followed_by(arguments)
    return _called(scan, node, function, arguments) if function.kind is not PARTIAL else UNKNOWN


def _above(scan: Scan) -> Value:
    """What ``super()`` gives: the class without what its own body has."""
    if scan.owner is None:
        return UNKNOWN
    return Value(OBJECT, data=OwnClass(f"super of {scan.owner.name}", scan.owner.bases))


def _loose(scan: Scan, function: ast.Attribute) -> None:
    if function.attr in LIKELY_METHODS and last_name(function.value) not in scan.probed:
        line, column, end = scan.place(function, function.attr)
        scan.loose.append(LooseMethod(function.attr, line, column, end, scan.guard))


HANDLERS.update({ast.Attribute: read_attribute, ast.Call: read_call, ast.Name: read_name})
