"""Which tests in source can be answered without running it: those of the Python version and of what the library has.

Everything else is unsure, and what depends on it is taken to run. In particular the value of a plain constant says
nothing: it is changed elsewhere.
"""

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any

from pytest_py312.analysis.scanner.evaluation.environment_tests import (
    answered,
    compared,
    constant_of,
    platform_begins,
    platform_of,
    prefixed,
)
from pytest_py312.analysis.scanner.evaluation.names import dotted, joined, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import UNSURE, Scan
from pytest_py312.analysis.scanner.evaluation.values import (
    CONDITION,
    FOREIGN,
    FUNCTION,
    MANY,
    NONE,
    NOTHING_KNOWN,
    OBJECT,
    PIECES,
    STD,
    Value,
    alternatives,
    is_unknown,
)
from pytest_py312.analysis.scanner.evaluation.version_expressions import is_of_version, worked_out
from pytest_py312.analysis.scanner.facts.facts import Condition
from pytest_py312.analysis.scanner.facts.stdlib_names import BUILTIN_TYPES

NEVER: Condition = ("false",)
ALWAYS: Condition = ("not", NEVER)

_FLAG = re.compile(r"_?(?:IS_?|USING_?|USE_?|is_?)?(?:PY|py|PYTHON_?|python_?)_?([23])K?(?:_ONLY)?")
_AT_LEAST = re.compile(
    r"_?(?:IS_?|GE_?|HAS_?)?(?:PY|PYTHON)_?(?:GE_?|GTE_?)?3_?(\d\d?)"
    r"(?:_?PLUS|_?(?:AND|OR)_(?:LATER|NEWER|GREATER|ABOVE|UP|HIGHER))?",
    re.IGNORECASE,
)
_TELLING = re.compile(r"py|vers|is_|has_|have|old|new|legacy|modern|support|[._][gl][et]", re.IGNORECASE)
"""What names of flags about the version, or about what is there, have in them."""
_BELOW = re.compile(r"_?(?:IS_?)?(?:PY|PYTHON)_?(?:LT|BEFORE|BELOW|OLDER_THAN|PRE)_?3_?(\d\d?)", re.IGNORECASE)
FINDERS = frozenset(
    {
        "importlib.util.find_spec",
        "importlib.find_loader",
        "pkgutil.find_loader",
        "importlib.machinery.PathFinder.find_spec",
    }
)


def negated(condition: Condition) -> Condition:
    if condition[0] == "unknown":
        return condition
    return condition[1] if condition[0] == "not" else ("not", condition)


def condition_of(scan: Scan, node: ast.expr) -> Condition:
    """When ``node`` is true."""
    reader = _READERS.get(node.__class__)
    if reader is None:
        return UNSURE
    found = reader(scan, node)
    if found is UNSURE and scan.speaks_of_version and node.__class__ in (ast.Compare, ast.Call):
        return (worked_out(scan, node) if is_of_version(scan, node) else None) or UNSURE
    return found


def _boolean(scan: Scan, node: ast.BoolOp) -> Condition:
    parts = tuple(condition_of(scan, value) for value in node.values)
    if all(part == UNSURE for part in parts):
        return UNSURE
    return ("and" if isinstance(node.op, ast.And) else "or", *parts)


def _not(scan: Scan, node: ast.UnaryOp) -> Condition:
    return negated(condition_of(scan, node.operand)) if isinstance(node.op, ast.Not) else UNSURE


def _name(scan: Scan, node: ast.Name) -> Condition:
    if node.id == "TYPE_CHECKING":
        return NEVER
    value = scan.get(node.id)
    if value is not None:
        if value.kind is FOREIGN:
            return _of_other_file(scan, value)
        if value.kind is CONDITION:
            return _known(value)
        if value.kind is MANY:
            return _of_fallback(value)
        if dotted(value) == "typing.TYPE_CHECKING":
            return NEVER
        if value.kind is STD:
            return _flag(node.id, None) if value.module == "builtins" else UNSURE
    return _flag(node.id, value)


def _known(value: Value) -> Condition:
    """The condition that a name stands for; a part of the version alone is none."""
    found: Condition = value.data
    return UNSURE if found[0] in PIECES else found


def _of_other_file(scan: Scan, value: Value, given: tuple[Any, ...] = ()) -> Condition:
    """A name of another file of the service: what it stands for is known once all have been read."""
    if scan.is_of_service(value.module) and _TELLING.search(value.module):
        return ("imported", value.module, given) if given else ("imported", value.module)
    if given:
        return UNSURE
    return _flag(value.module.rpartition(".")[2], None)


def _flag(name: str, value: Value | None) -> Condition:
    """Names that are known far and wide, where the file does not say itself what they are."""
    if name == "TYPE_CHECKING":
        return NEVER
    if (value is not None and value.kind is NOTHING_KNOWN) or ("3" not in name and "2" not in name):
        return UNSURE
    flag = _FLAG.fullmatch(name)
    if flag:
        return NEVER if flag[1] == "2" else ALWAYS
    below = _BELOW.fullmatch(name)
    if below:
        return ("version", "<", (3, int(below[1])), "full")
    least = _AT_LEAST.fullmatch(name)
    return ("version", ">=", (3, int(least[1])), "full") if least else UNSURE


def _of_fallback(value: Value) -> Condition:
    """``try: import x`` / ``except ImportError: x = None``: true where the module is there."""
    kinds = [one.kind for one in value.data]
    if len(kinds) != 2 or NONE not in kinds:
        return UNSURE
    found = next((one for one in value.data if one.kind is not NONE), value)
    if found.kind is FOREIGN and found.module and not found.module.startswith("."):
        return ("not", ("missing", (), (found.module,)))
    return ("has", found.module, found.path) if found.kind is STD and "()" not in found.path else UNSURE


def _attribute(scan: Scan, node: ast.Attribute) -> Condition:
    value = named(scan, node)
    if dotted(value) == "typing.TYPE_CHECKING":
        return NEVER
    if value.kind is CONDITION:
        return _known(value)
    if value.kind is FOREIGN:
        return _of_other_file(scan, value)
    return _flag(node.attr, None) if value.kind is not STD or value.module == "builtins" else UNSURE


def _compare(scan: Scan, node: ast.Compare) -> Condition:
    if len(node.ops) > 1:
        pairs = zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
        parts = [_comparison(scan, left, op, right) for left, op, right in pairs]
        return UNSURE if all(part == UNSURE for part in parts) else ("and", *parts)
    return _comparison(scan, node.left, node.ops[0], node.comparators[0])


def _comparison(scan: Scan, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
    kind = op.__class__
    if kind in (ast.Is, ast.IsNot) and isinstance(right, ast.Constant):
        return _against_constant(scan, left, kind is ast.IsNot, right.value)
    if kind in (ast.In, ast.NotIn) and isinstance(left, ast.Constant):
        found = _in_names(scan, left, right)
        return found if kind is ast.In else negated(found)
    other = _other_implementation(scan, left, right)
    if other is not None:
        return NEVER if isinstance(op, ast.Eq) is other else ALWAYS
    return compared(scan, left, op, right) or platform_of(scan, left, op, right) or UNSURE


def _other_implementation(scan: Scan, left: ast.expr, right: ast.expr) -> bool | None:
    """Whether a name that is no CPython's is compared: ``platform.python_implementation() == "PyPy"``."""
    what, name = (right, left) if isinstance(left, ast.Constant) else (left, right)
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return None
    asked = dotted(named(scan, what.func if isinstance(what, ast.Call) else what))
    if asked not in ("platform.python_implementation", "sys.implementation.name"):
        return None
    return name.value.lower() != "cpython"


def _against_constant(scan: Scan, left: ast.expr, is_not: bool, constant: object) -> Condition:
    """``x is not None``, ``x is True``."""
    if constant is None:
        found = UNSURE
        if isinstance(left, ast.Name):
            value = scan.get(left.id)
            if value is not None and value.kind is MANY:
                found = _of_fallback(value)
            elif value is not None and value.kind is CONDITION and value.data[0] in ("has", "not"):
                found = value.data
        elif left.__class__ in (ast.Call, ast.NamedExpr):
            found = condition_of(scan, left)
        return found if is_not else negated(found)
    if isinstance(constant, bool):
        found = condition_of(scan, left)
        return found if constant is not is_not else negated(found)
    return UNSURE


def _in_names(scan: Scan, left: ast.Constant, right: ast.expr) -> Condition:
    """``"name" in dir(module)``, ``"name" in vars(module)``, ``"module" in sys.modules``."""
    name = left.value
    if not isinstance(name, str):
        return UNSURE
    if isinstance(right, ast.Call) and len(right.args) == 1 and last_name(right.func) in ("dir", "vars"):
        return _has(scan, named(scan, right.args[0]), name)
    if isinstance(right, ast.Attribute):
        if right.attr in ("__dict__", "__all__"):
            return _has(scan, named(scan, right.value), name)
        if right.attr in PARAMETERS:
            asked = inspected(scan, right.value)
            return ("takes", *asked, 0, (name,)) if asked and name.isidentifier() else UNSURE
    if isinstance(right, ast.Name):
        asked = inspected(scan, right)
        return ("takes", *asked, 0, (name,)) if asked and name.isidentifier() else UNSURE
    if _names_of_modules(scan, right):
        return ("has", name, "") if scan.is_standard(name) else NEVER if name == "__pypy__" else UNSURE
    return UNSURE


PARAMETERS = frozenset({"parameters", "args", "kwonlyargs"})
"""What signatures have their parameters in."""


def inspected(scan: Scan, node: ast.expr) -> tuple[str, str] | None:
    """``inspect.signature(asyncio.Queue.__init__)``, or its parameters: module and path of what is inspected."""
    if isinstance(node, ast.Name):
        value = scan.get(node.id)
        known = value is not None and value.kind is CONDITION and value.data[0] == "inspected"
        return (value.data[1], value.data[2]) if value is not None and known else None
    if isinstance(node, ast.Attribute):
        return inspected(scan, node.value) if node.attr in PARAMETERS else None
    if not isinstance(node, ast.Call) or not node.args:
        return None
    if isinstance(node.func, ast.Name) and node.func.id in ("list", "set", "tuple", "dict"):
        return inspected(scan, node.args[0])
    if last_name(node.func) not in ("signature", "getfullargspec", "getargspec"):
        return None
    of = named(scan, node.args[0])
    path = of.path.removesuffix(".__init__").removesuffix(".__new__")
    return (
        (of.module, path) if dotted(named(scan, node.func)).startswith("inspect.") and of.kind is STD and path else None
    )


def _names_of_modules(scan: Scan, node: ast.expr) -> bool:
    """``sys.modules``, ``sys.stdlib_module_names``, ``getattr(sys, "stdlib_module_names", ())``"""
    names = ("sys.modules", "sys.stdlib_module_names", "sys.builtin_module_names")
    if isinstance(node, ast.Call) and last_name(node.func) == "getattr" and len(node.args) > 1:
        return f"{dotted(named(scan, node.args[0]))}.{getattr(node.args[1], 'value', '')}" in names
    return dotted(named(scan, node)) in names


def _has(scan: Scan, value: Value, name: str) -> Condition:
    if not name.isidentifier():
        return UNSURE
    if value.kind is MANY:
        # the library's own, or a backport of it: what is asked decides where the library's is used
        of_library = [one for one in alternatives(value) if one.kind is STD or one.of_other_file]
        return _has(scan, of_library[0], name) if len(of_library) == 1 else UNSURE
    if value.kind is OBJECT:
        bases = value.data.standard_bases()
        known = value.data.get(name) is not None or value.data.foreign_bases() or len(bases) != 1
        return UNSURE if known else ("has", bases[0].module, f"{bases[0].path}().{name}")
    if (value.kind is FOREIGN or value.of_other_file) and scan.is_of_service(value.module):
        return ("imported has", joined(value.in_other_file, name))
    if value.kind is not STD:
        return UNSURE
    return ("has", value.module, f"{value.path}.{name}" if value.path else name)


# ---- calls


def _call(scan: Scan, node: ast.Call) -> Condition:
    function = node.func
    if isinstance(function, ast.Name):
        return _named_call(scan, function.id, node)
    if isinstance(function, ast.Attribute):
        if function.attr == "startswith" and len(node.args) == 1:
            begins = prefixed(scan, function.value, node.args[0])
            return begins or platform_begins(scan, function.value, node.args[0]) or UNSURE
        value = named(scan, function)
        if dotted(value) in FINDERS:
            return _found(scan, node.args)
        return _called(scan, value, node)
    return UNSURE


def _owner(scan: Scan, node: ast.expr) -> Value:
    """What is asked for an attribute: ``hasattr(int, "bit_count")`` of a builtin type, too."""
    if isinstance(node, ast.Name) and node.id in BUILTIN_TYPES and scan.get(node.id) is None:
        return Value(STD, "builtins", node.id)
    return named(scan, node)


def _named_call(scan: Scan, name: str, node: ast.Call) -> Condition:
    arguments = node.args
    if name == "hasattr" and len(arguments) == 2 and isinstance(arguments[1], ast.Constant):
        asked = _owner(scan, arguments[0])
        if is_unknown(asked):
            scan.probed.add(last_name(arguments[0]))
        return _has(scan, asked, str(arguments[1].value))
    if name == "callable" and len(arguments) == 1 and isinstance(arguments[0], ast.Call):
        return _named_call(scan, "getattr", arguments[0])
    if name == "getattr" and len(arguments) == 3 and isinstance(arguments[1], ast.Constant):
        return _has(scan, _owner(scan, arguments[0]), str(arguments[1].value))
    if name in ("bool", "any", "all") and len(arguments) == 1:
        if name == "bool":
            return condition_of(scan, arguments[0])
        if isinstance(arguments[0], ast.List | ast.Tuple) and arguments[0].elts:
            parts = tuple(condition_of(scan, item) for item in arguments[0].elts)
            return ("or" if name == "any" else "and", *parts)
    if name == "isinstance" and len(arguments) == 2 and last_name(arguments[1]) in ("dict", "Mapping"):
        asked_of = alternatives(named(scan, arguments[0]))
        is_entries = any(dotted(one) == "importlib.metadata.entry_points()" for one in asked_of)
        return ("version", "<", (3, 12), "full") if is_entries else UNSURE
    value = scan.get(name)
    if value is not None and value.kind in (FUNCTION, FOREIGN):
        return _called(scan, value, node)
    return _found(scan, arguments) if value is not None and dotted(value) in FINDERS else UNSURE


def _worked_out_with(scan: Scan, asks: Condition, node: ast.Call) -> Condition | None:
    """What a function says of the version that compares it with its arguments in any way."""
    _, formula, parameters, rest = asks
    values = [constant_of(scan, argument) for argument in node.args]
    if None in values or node.keywords:
        return None
    given = dict(zip(parameters, values, strict=False))
    if rest:
        given[rest] = tuple(values[len(parameters) :])
    return worked_out(scan, formula, given)


def _called(scan: Scan, value: Value, node: ast.Call) -> Condition:
    """What a call of an own function says, or of one of another file."""
    if value.kind is FUNCTION and value.data.condition is not None:
        found: Condition = value.data.condition
        if found[0] == "asks formula":
            return _worked_out_with(scan, found, node) or UNSURE
        given = [constant_of(scan, argument) for argument in node.args]
        return found if found[0] != "asks" else answered(found, given) or UNSURE
    if value.kind is not FOREIGN or node.keywords:
        return UNSURE
    arguments = tuple([constant_of(scan, argument) for argument in node.args])
    return UNSURE if None in arguments else _of_other_file(scan, value, arguments)


def _found(scan: Scan, arguments: Sequence[ast.expr]) -> Condition:
    if arguments and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
        module = arguments[0].value
        if scan.is_standard(module):
            return ("has", module, "")
        if module and all(part.isidentifier() for part in module.split(".")):
            return ("not", ("missing", (), (module,)))
    return UNSURE


def _constant(_scan: Scan, node: ast.Constant) -> Condition:
    """``if False:``, ``if 0:``; of names of constants nobody knows who changes them."""
    return ALWAYS if node.value else NEVER


def _bound(scan: Scan, node: ast.NamedExpr) -> Condition:
    return condition_of(scan, node.value)


_READERS: dict[type[ast.expr], Callable[[Scan, Any], Condition]] = {
    ast.Constant: _constant,
    ast.NamedExpr: _bound,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _not,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Compare: _compare,
    ast.Call: _call,
}
