"""Functions and classes: what their parameters are said to be, and what they derive from."""

import ast
import builtins
from typing import Any

from pytest_py312.analysis.scanner.evaluation import guarded_functions, skip_marks
from pytest_py312.analysis.scanner.evaluation.annotations import (
    annotated,
    condition_given,
    given_by,
    is_evaluated,
    not_evaluated,
)
from pytest_py312.analysis.scanner.evaluation.conditions import negated
from pytest_py312.analysis.scanner.evaluation.exception_handlers import suppressed_by
from pytest_py312.analysis.scanner.evaluation.names import dotted, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    HANDLERS,
    Deferred,
    OnOwn,
    Scan,
    block,
    extended,
    kind_of,
    visit,
)
from pytest_py312.analysis.scanner.evaluation.skip_marks import skip_of
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CONDITION,
    FOREIGN,
    FUNCTION,
    MANAGER,
    MANY,
    NOTHING_KNOWN,
    OBJECT,
    STD,
    UNKNOWN,
    OwnClass,
    OwnFunction,
    Value,
)
from pytest_py312.analysis.scanner.facts.facts import Call, ClassFact, Inherited, Kind
from pytest_py312.analysis.scanner.facts.stdlib_names import BUILTIN_TYPES, LIKELY_METHODS
from pytest_py312.analysis.scanner.rules import classes, newer_features

FIRST = frozenset(
    {
        "__init__",
        "__new__",
        "setUp",
        "setUpClass",
        "asyncSetUp",
        "setup_method",
        "setup_class",
        "setup",
        "__post_init__",
    }
)
"""Methods that set what the others use: read before them."""


# ---- functions


def read_function(scan: Scan, node: Any) -> None:
    scan.defined.add(node.name)
    _bind_globals(scan, node)
    skipped = _read_decorators(scan, node)
    arguments = node.args
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if default is not None:
            value = visit(scan, default)
            if value.kind is STD and default.__class__ is ast.Attribute and _calls_default(node, default):
                scan.only_named(default)
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if is_evaluated(scan):
        extra = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        for argument in (*every, *extra):
            if argument.annotation is not None:
                visit(scan, argument.annotation)
        if node.returns is not None:
            visit(scan, node.returns)
    in_class = scan.owner is not None and scan.names is scan.owner.body
    _defer(scan, node, every, in_class, skipped)
    scan.bind(node.name, _function_value(scan, node, every))


def _bind_globals(scan: Scan, node: Any) -> None:
    """``global imp; import imp``: the name is one of the module as soon as somebody calls the function."""
    names = {name for one in node.body if one.__class__ is ast.Global for name in one.names}
    if not names:
        return
    for one in node.body:
        for alias in one.names if isinstance(one, ast.Import) else ():
            bound = alias.asname or alias.name.partition(".")[0]
            if bound in names and scan.get(bound) is None:
                scan.module[bound] = scan.module_value(alias.name if alias.asname else bound)


def _read_decorators(scan: Scan, node: Any) -> int:
    """Reads the decorators; the guard that those which skip put round the body."""
    before = scan.guard
    guard = scan.outside_try(before)
    for decorator in node.decorator_list:
        if decorator.__class__ is ast.Name:
            _decorates(scan, decorator)
        else:
            visit(scan, decorator)
        scan.guard = guard
        guard = scan.guarded(negated(skip_of(scan, decorator)))
        scan.guard = before
    return guard


def _decorates(scan: Scan, node: ast.Name) -> None:
    """``@module_for_loader``: a name that is called, though no call is written."""
    value = visit(scan, node)
    if value.kind is FUNCTION:
        newer_features.static_called(scan, node, value)
    elif value.kind is STD and value.path and value.path[-1] != ")":
        scan.refer(node, value, Kind.USE, Call(1))


def _function_value(scan: Scan, node: Any, every: list[ast.arg]) -> Value:
    if node.decorator_list:
        names = {dotted(named(scan, one)) for one in node.decorator_list}
        if "functools.cached_property" in names or _is_property(node):
            condition = condition_given(scan, node)
            if condition is not None and not condition[0].startswith("asks"):
                return Value(CONDITION, data=condition)
            return given_by(scan, node) or UNKNOWN
        if names == {"contextlib.contextmanager"}:
            return Value(MANAGER, data=suppressed_by(scan, node))
        if not names <= {"", "functools.lru_cache", "functools.cache", "abc.abstractmethod"}:
            return UNKNOWN
    is_async = isinstance(node, ast.AsyncFunctionDef)
    own = OwnFunction(
        node.name,
        is_async=is_async,
        is_static=any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list),
        gives=None if is_async else given_by(scan, node),
        implicit_optional=classes.has_implicit_optional(scan, node),
        condition=condition_given(scan, node),
        annotations=tuple(not_evaluated(scan, node, every)),
    )
    return Value(FUNCTION, guard=scan.guard, data=own)


def _is_property(node: Any) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list)


def _defer(scan: Scan, node: Any, every: list[ast.arg], in_class: bool, guard: int) -> None:
    names: dict[str, Value] = {
        argument.arg: UNKNOWN if argument.annotation is None else annotated(scan, argument.annotation)
        for argument in every
    }
    if node.args.defaults and not node.args.kwonlyargs:
        for argument, default in zip(every[::-1], node.args.defaults[::-1], strict=False):
            is_text = isinstance(default, ast.Constant) and isinstance(default.value, str)
            if names[argument.arg].kind is not NOTHING_KNOWN:
                continue
            member = classes.member_of(scan, default)
            if is_text:
                names[argument.arg] = visit(scan, default)
            elif member.kind is OBJECT and classes.is_enum(member.data):
                names[argument.arg] = member
            elif default.__class__ is ast.Attribute or default.__class__ is ast.Name:
                names[argument.arg] = _perhaps(named(scan, default))
    for argument in (node.args.vararg, node.args.kwarg):
        if argument is not None:
            names[argument.arg] = UNKNOWN
    if in_class and scan.owner is not None and len(every) > 1:
        names |= classes.handed_over(scan.owner, node.name, every[1])
    if in_class and scan.owner is not None and every:
        plain = {one.id for one in node.decorator_list if isinstance(one, ast.Name)} if node.decorator_list else ()
        if "classmethod" in plain:
            names[every[0].arg] = Value(CLASS, data=scan.owner)
        elif "staticmethod" not in plain:
            names[every[0].arg] = Value(OBJECT, data=scan.owner)
    outer = scan.outer if in_class or scan.names is scan.module else (scan.names, *scan.outer)
    is_async = isinstance(node, ast.AsyncFunctionDef) or scan.in_async
    inside = scan.body_name if scan.function is not None else ""
    deferred = Deferred(node, names, outer, guard, scan.owner, is_async, inside)
    if in_class and node.name in FIRST:
        scan.queue.appendleft(deferred)
    else:
        scan.queue.append(deferred)


def _calls_default(node: Any, default: ast.expr) -> bool:
    """Whether a function calls the parameter that has this default: then of these calls is told what is wrong."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    places = zip(arguments[::-1], node.args.defaults[::-1], strict=False)
    name = next((argument.arg for argument, given in places if given is default), "")
    return any(isinstance(one, ast.Call) and last_name(one.func) == name for one in ast.walk(node)) if name else False


def _perhaps(value: Value) -> Value:
    """What a parameter with this default may be: the default, or something else."""
    known = value.kind is STD and value.path and value.path[-1] != ")"
    return Value(MANY, data=(value, UNKNOWN)) if known else UNKNOWN


def run_deferred(scan: Scan) -> None:
    """Reads the bodies of functions, in their order; those they define themselves come last."""
    scan.of_module = len(scan.references)
    while scan.queue:
        deferred = scan.queue.popleft()
        scan.names, scan.outer, scan.guard = deferred.names, deferred.outer, deferred.guard
        if scan.module_skip:
            condition = scan.guards[scan.module_skip].condition
            scan.guard = scan.guarded(condition)
        scan.owner, scan.in_async, scan.function = deferred.owner, deferred.in_async, deferred.node
        scan.guard = scan.guarded(classes.is_called(deferred.owner, deferred.node.name))
        scan.guard = scan.guarded(skip_marks.round_tests(deferred.owner, deferred.node.name))
        scan.declared_global, scan.log = frozenset(), None
        classes.begin_function(scan, deferred.node)
        body = guarded_functions.begun(scan, deferred)
        block(scan, deferred.node.body)
        skip_marks.prepared(scan, deferred.owner, deferred.node)
        guarded_functions.ended(scan, body)
    scan.names, scan.outer, scan.guard, scan.owner, scan.function = scan.module, (), 0, None, None


# ---- classes


def read_class(scan: Scan, node: ast.ClassDef) -> None:
    scan.defined.add(node.name)
    skipped = _read_decorators(scan, node)
    own = OwnClass(node.name)
    for base in node.bases:
        value = visit(scan, base)
        if not (isinstance(base, ast.Name) and base.id == "object" and scan.get("object") is None):
            own.bases.append(_base(scan, base, value))
    for keyword in node.keywords:
        value = visit(scan, keyword.value)
        own.is_open = own.is_open or (keyword.arg == "metaclass" and value.kind is not STD)
    names = [dotted(named(scan, one.func if isinstance(one, ast.Call) else one)) for one in node.decorator_list]
    own.decorators = frozenset(filter(None, names))
    own.frozen_dataclass = classes.is_hashable_dataclass(node)
    scan.classes.append(own)
    before = (scan.names, scan.outer, scan.owner, scan.log, scan.guard, scan.function, scan.declared_global)
    if scan.names is not scan.module and not (scan.owner is not None and scan.names is scan.owner.body):
        scan.outer = (scan.names, *scan.outer)
    guard = scan.guard
    scan.names, scan.owner, scan.log, scan.declared_global = own.body, own, None, frozenset()
    if skipped != scan.outside_try(guard):
        scan.guard = skipped
    block(scan, node.body)
    scan.names, scan.outer, scan.owner, scan.log, scan.guard, scan.function, scan.declared_global = before
    scan.hooked.append((node, own, scan.guard))
    classes.class_done(scan, node, own)
    scan.bind(node.name, Value(CLASS, guard=scan.guard, data=own))


def _base(scan: Scan, node: ast.expr, value: Value) -> Value:
    is_builtin = isinstance(node, ast.Name) and (node.id in BUILTIN_TYPES or hasattr(builtins, node.id))
    if isinstance(node, ast.Name) and is_builtin and scan.get(node.id) is None:
        return Value(STD, "builtins", node.id)
    if (value.kind is STD and value.path and value.path[-1] != ")") or value.kind in (CLASS, FOREIGN):
        return value
    return UNKNOWN


def finish_classes(scan: Scan) -> tuple[ClassFact, ...]:
    """Looks up what methods use of their own class, now that all of it is known."""
    for node, own, guard in scan.hooked:
        scan.guard = guard
        classes.read_hooks(scan, node, own)
    for own in scan.classes:
        scan.defined.update(name for name in (*own.body, *own.set_on_self) if name in LIKELY_METHODS)
    for wanted in scan.on_own:
        _look_up(scan, wanted)
    return tuple([_class_fact(one) for one in scan.classes if scan.module.get(one.name) is not None])


def _look_up(scan: Scan, wanted: OnOwn) -> None:
    name = wanted.steps[-1].attr
    known = wanted.owner.get(name)
    scan.guard = wanted.guard
    if known is not None:
        if len(wanted.steps) > 1 and known.kind is STD and known.module != "builtins":
            value = known
            for step in reversed(wanted.steps[:-1]):
                value = extended(scan, value, step.attr) if value.kind is STD else value
            if value.kind is STD:
                scan.refer(wanted.steps[0], value, kind_of(value), wanted.call, name=wanted.steps[0].attr)
        return
    if wanted.instance and wanted.owner.get("__getattr__") is not None:
        return
    if name in scan.assigned or any(one.is_open for one in wanted.owner.family()):
        return
    foreign = wanted.owner.foreign_bases()
    call = wanted.call if len(wanted.steps) == 1 else None
    owner = wanted.owner.name.removeprefix("super of ")
    in_service = any(base.kind is FOREIGN and scan.is_of_service(base.module) for base in foreign)
    if in_service and scan.module.get(owner) is not None:
        place = scan.place(wanted.steps[-1], name)
        scan.inherited.append(Inherited(owner, name, wanted.instance, *place, wanted.guard, call))
        return
    for base in wanted.owner.standard_bases():
        if base.module == "builtins" and name != "add_note":
            continue
        path = f"{base.path}{'()' if wanted.instance else ''}.{name}"
        value = Value(STD, base.module, path, base.guard)
        scan.refer(wanted.steps[-1], value, Kind.METHOD, call, sure=not foreign, name=name)


def _class_fact(own: OwnClass) -> ClassFact:
    bases = []
    for base in own.bases:
        if base.kind is STD:
            bases.append((base.module, base.path))
        elif base.kind is CLASS:
            bases.append(("", f":{base.data.name}"))
        else:
            bases.append(("", base.module))
    return ClassFact(own.name, tuple(bases), tuple(sorted({*own.body, *own.set_on_self})))


HANDLERS.update({ast.FunctionDef: read_function, ast.AsyncFunctionDef: read_function, ast.ClassDef: read_class})
