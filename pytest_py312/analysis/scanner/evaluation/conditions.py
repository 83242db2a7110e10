"""Evaluate tests of the Python version, and of the names that the stdlib has, without executing them.

Every other test is undecided, and the code that depends on it is assumed to run. A plain constant is undecided as well,
because it may be reassigned elsewhere.
"""

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any

from pytest_py312.analysis.scanner.evaluation.environment_tests import (
    apply_predicate,
    constant_value,
    platform_comparison,
    platform_prefix_test,
    version_comparison,
    version_prefix_test,
)
from pytest_py312.analysis.scanner.evaluation.names import join_name, last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import UNSURE, ScanState
from pytest_py312.analysis.scanner.evaluation.values import (
    CONDITION,
    CONDITION_PARTS,
    FOREIGN,
    FUNCTION,
    NONE,
    OBJECT,
    STDLIB,
    UNION,
    UNKNOWN_KIND,
    Value,
    alternatives,
    is_unknown,
)
from pytest_py312.analysis.scanner.evaluation.version_expressions import (
    evaluate_for_releases,
    expression_mentions_version,
)
from pytest_py312.analysis.scanner.facts.facts import Condition
from pytest_py312.analysis.scanner.facts.stdlib_names import BUILTIN_TYPES

NEVER: Condition = ("false",)
ALWAYS: Condition = ("not", NEVER)

_MAJOR_VERSION_FLAG = re.compile(r"_?(?:IS_?|USING_?|USE_?|is_?)?(?:PY|py|PYTHON_?|python_?)_?([23])K?(?:_ONLY)?")
_MINIMUM_VERSION_FLAG = re.compile(
    r"_?(?:IS_?|GE_?|HAS_?)?(?:PY|PYTHON)_?(?:GE_?|GTE_?)?3_?(\d\d?)"
    r"(?:_?PLUS|_?(?:AND|OR)_(?:LATER|NEWER|GREATER|ABOVE|UP|HIGHER))?",
    re.IGNORECASE,
)
_INFORMATIVE_NAME = re.compile(r"py|vers|is_|has_|have|old|new|legacy|modern|support|[._][gl][et]", re.IGNORECASE)
"""Parts of the names of flags about the version or about available names."""
_MAXIMUM_VERSION_FLAG = re.compile(
    r"_?(?:IS_?)?(?:PY|PYTHON)_?(?:LT|BEFORE|BELOW|OLDER_THAN|PRE)_?3_?(\d\d?)", re.IGNORECASE
)
SPEC_FINDERS = frozenset({
    "importlib.util.find_spec", "importlib.find_loader", "pkgutil.find_loader",
    "importlib.machinery.PathFinder.find_spec",
})  # fmt: skip


def negated(condition: Condition) -> Condition:
    if condition[0] == "unknown":
        return condition
    return condition[1] if condition[0] == "not" else ("not", condition)


def condition_of(scan: ScanState, node: ast.expr) -> Condition:
    """Return the condition under which ``node`` is true."""
    reader = _READERS.get(node.__class__)
    if reader is None:
        return UNSURE
    condition = reader(scan, node)
    if condition is UNSURE and scan.may_mention_version and node.__class__ in (ast.Compare, ast.Call):
        return (evaluate_for_releases(scan, node) if expression_mentions_version(scan, node) else None) or UNSURE
    return condition


def _boolean(scan: ScanState, node: ast.BoolOp) -> Condition:
    parts = tuple(condition_of(scan, value) for value in node.values)
    if all(part == UNSURE for part in parts):
        return UNSURE
    return ("and" if isinstance(node.op, ast.And) else "or", *parts)


def _not(scan: ScanState, node: ast.UnaryOp) -> Condition:
    return negated(condition_of(scan, node.operand)) if isinstance(node.op, ast.Not) else UNSURE


def _name(scan: ScanState, node: ast.Name) -> Condition:
    if node.id == "TYPE_CHECKING":
        return NEVER
    value = scan.lookup(node.id)
    if value is not None:
        if value.kind is FOREIGN:
            return _imported_condition(scan, value)
        if value.kind is CONDITION:
            return _condition_value(value)
        if value.kind is UNION:
            return _fallback_condition(value)
        if stdlib_name(value) == "typing.TYPE_CHECKING":
            return NEVER
        if value.kind is STDLIB:
            return _well_known_flag(node.id, None) if value.module == "builtins" else UNSURE
    return _well_known_flag(node.id, value)


def _condition_value(value: Value) -> Condition:
    """Return the condition that a name stands for; a part of the version alone is not a condition."""
    condition: Condition = value.data
    return UNSURE if condition[0] in CONDITION_PARTS else condition


def _imported_condition(scan: ScanState, value: Value, arguments: tuple[Any, ...] = ()) -> Condition:
    """Return the condition of a name from another file of the service. It is resolved when files are linked."""
    if scan.is_service_module(value.module) and _INFORMATIVE_NAME.search(value.module):
        return ("imported", value.module, arguments) if arguments else ("imported", value.module)
    if arguments:
        return UNSURE
    return _well_known_flag(value.module.rpartition(".")[2], None)


def _well_known_flag(name: str, value: Value | None) -> Condition:
    """Return the condition of an undefined flag with a conventional name: ``PY3``, ``PY310_PLUS``."""
    if name == "TYPE_CHECKING":
        return NEVER
    if (value is not None and value.kind is UNKNOWN_KIND) or ("3" not in name and "2" not in name):
        return UNSURE
    flag = _MAJOR_VERSION_FLAG.fullmatch(name)
    if flag:
        return NEVER if flag[1] == "2" else ALWAYS
    below = _MAXIMUM_VERSION_FLAG.fullmatch(name)
    if below:
        return ("version", "<", (3, int(below[1])), "full")
    least = _MINIMUM_VERSION_FLAG.fullmatch(name)
    return ("version", ">=", (3, int(least[1])), "full") if least else UNSURE


def _fallback_condition(value: Value) -> Condition:
    """Return the condition of ``try: import x`` / ``except ImportError: x = None``: true if the module exists."""
    kinds = [alternative.kind for alternative in value.data]
    if len(kinds) != 2 or NONE not in kinds:
        return UNSURE
    imported = next((alternative for alternative in value.data if alternative.kind is not NONE), value)
    if imported.kind is FOREIGN and imported.module and not imported.module.startswith("."):
        return ("not", ("missing", (), (imported.module,)))
    return ("has", imported.module, imported.path) if imported.kind is STDLIB and "()" not in imported.path else UNSURE


def _attribute(scan: ScanState, node: ast.Attribute) -> Condition:
    value = resolve_name(scan, node)
    if stdlib_name(value) == "typing.TYPE_CHECKING":
        return NEVER
    if value.kind is CONDITION:
        return _condition_value(value)
    if value.kind is FOREIGN:
        return _imported_condition(scan, value)
    return _well_known_flag(node.attr, None) if value.kind is not STDLIB or value.module == "builtins" else UNSURE


def _compare(scan: ScanState, node: ast.Compare) -> Condition:
    if len(node.ops) > 1:
        pairs = zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
        parts = [_comparison(scan, left, op, right) for left, op, right in pairs]
        return UNSURE if all(part == UNSURE for part in parts) else ("and", *parts)
    return _comparison(scan, node.left, node.ops[0], node.comparators[0])


def _comparison(scan: ScanState, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
    kind = op.__class__
    if kind in (ast.Is, ast.IsNot) and isinstance(right, ast.Constant):
        return _compared_with_constant(scan, left, kind is ast.IsNot, right.value)
    if kind in (ast.In, ast.NotIn) and isinstance(left, ast.Constant):
        condition = _membership(scan, left, right)
        return condition if kind is ast.In else negated(condition)
    is_other_implementation = _names_other_implementation(scan, left, right)
    if is_other_implementation is not None:
        return NEVER if isinstance(op, ast.Eq) is is_other_implementation else ALWAYS
    return version_comparison(scan, left, op, right) or platform_comparison(scan, left, op, right) or UNSURE


def _names_other_implementation(scan: ScanState, left: ast.expr, right: ast.expr) -> bool | None:
    """Return whether the name of another implementation is compared: ``platform.python_implementation() == "PyPy"``.

    Return ``None`` if no implementation is compared.
    """
    subject, name = (right, left) if isinstance(left, ast.Constant) else (left, right)
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return None
    function_name = stdlib_name(resolve_name(scan, subject.func if isinstance(subject, ast.Call) else subject))
    if function_name not in ("platform.python_implementation", "sys.implementation.name"):
        return None
    return name.value.lower() != "cpython"


def _compared_with_constant(scan: ScanState, left: ast.expr, is_not: bool, constant: object) -> Condition:
    """Return the condition of ``x is not None`` or ``x is True``."""
    if constant is None:
        condition = UNSURE
        if isinstance(left, ast.Name):
            value = scan.lookup(left.id)
            if value is not None and value.kind is UNION:
                condition = _fallback_condition(value)
            elif value is not None and value.kind is CONDITION and value.data[0] in ("has", "not"):
                condition = value.data
        elif left.__class__ in (ast.Call, ast.NamedExpr):
            condition = condition_of(scan, left)
        return condition if is_not else negated(condition)
    if isinstance(constant, bool):
        condition = condition_of(scan, left)
        return condition if constant is not is_not else negated(condition)
    return UNSURE


def _membership(scan: ScanState, left: ast.Constant, right: ast.expr) -> Condition:
    """Return the condition of ``"name" in dir(module)``, ``"name" in vars(module)`` or ``"module" in sys.modules``."""
    name = left.value
    if not isinstance(name, str):
        return UNSURE
    if isinstance(right, ast.Call) and len(right.args) == 1 and last_name(right.func) in ("dir", "vars"):
        return _has_attribute(scan, resolve_name(scan, right.args[0]), name)
    if isinstance(right, ast.Attribute) and right.attr in ("__dict__", "__all__"):
        return _has_attribute(scan, resolve_name(scan, right.value), name)
    if isinstance(right, ast.Name) or (isinstance(right, ast.Attribute) and right.attr in PARAMETER_ATTRIBUTES):
        inspected_name = inspected_callable(scan, right)
        return ("takes", *inspected_name, 0, (name,)) if inspected_name and name.isidentifier() else UNSURE
    if _is_module_registry(scan, right):
        return ("has", name, "") if scan.is_stdlib_module(name) else NEVER if name == "__pypy__" else UNSURE
    return UNSURE


PARAMETER_ATTRIBUTES = frozenset({"parameters", "args", "kwonlyargs"})
"""Attributes of signatures that hold the parameters."""


def inspected_callable(scan: ScanState, node: ast.expr) -> tuple[str, str] | None:
    """Return module and path of the inspected callable: ``inspect.signature(asyncio.Queue.__init__)`` or its
    parameters.
    """
    if isinstance(node, ast.Name):
        value = scan.lookup(node.id)
        is_inspected = value is not None and value.kind is CONDITION and value.data[0] == "inspected"
        return (value.data[1], value.data[2]) if value is not None and is_inspected else None
    if isinstance(node, ast.Attribute):
        return inspected_callable(scan, node.value) if node.attr in PARAMETER_ATTRIBUTES else None
    if not isinstance(node, ast.Call) or not node.args:
        return None
    if isinstance(node.func, ast.Name) and node.func.id in ("list", "set", "tuple", "dict"):
        return inspected_callable(scan, node.args[0])
    if last_name(node.func) not in ("signature", "getfullargspec", "getargspec"):
        return None
    target = resolve_name(scan, node.args[0])
    path = target.path.removesuffix(".__init__").removesuffix(".__new__")
    return (
        (target.module, path)
        if stdlib_name(resolve_name(scan, node.func)).startswith("inspect.") and target.kind is STDLIB and path
        else None
    )


def _is_module_registry(scan: ScanState, node: ast.expr) -> bool:
    """Return whether an expression is ``sys.modules``, ``sys.stdlib_module_names`` or a ``getattr`` of one of them."""
    names = ("sys.modules", "sys.stdlib_module_names", "sys.builtin_module_names")
    if isinstance(node, ast.Call) and last_name(node.func) == "getattr" and len(node.args) > 1:
        return f"{stdlib_name(resolve_name(scan, node.args[0]))}.{getattr(node.args[1], 'value', '')}" in names
    return stdlib_name(resolve_name(scan, node)) in names


def _has_attribute(scan: ScanState, value: Value, name: str) -> Condition:
    if not name.isidentifier():
        return UNSURE
    if value.kind is UNION:
        # the stdlib's own or a backport: the condition concerns the stdlib's
        stdlib_alternatives = [
            alternative
            for alternative in alternatives(value)
            if alternative.kind is STDLIB or alternative.is_foreign_result
        ]
        return _has_attribute(scan, stdlib_alternatives[0], name) if len(stdlib_alternatives) == 1 else UNSURE
    if value.kind is OBJECT:
        bases = value.data.stdlib_bases()
        cannot_tell = value.data.get(name) is not None or value.data.foreign_bases() or len(bases) != 1
        return UNSURE if cannot_tell else ("has", bases[0].module, f"{bases[0].path}().{name}")
    if (value.kind is FOREIGN or value.is_foreign_result) and scan.is_service_module(value.module):
        return ("imported has", join_name(value.foreign_name, name))
    if value.kind is not STDLIB:
        return UNSURE
    return ("has", value.module, f"{value.path}.{name}" if value.path else name)


# ---- calls


def _call(scan: ScanState, node: ast.Call) -> Condition:
    function = node.func
    if isinstance(function, ast.Name):
        return _call_by_name(scan, function.id, node)
    if isinstance(function, ast.Attribute):
        if function.attr == "startswith" and len(node.args) == 1:
            begins = version_prefix_test(scan, function.value, node.args[0])
            return begins or platform_prefix_test(scan, function.value, node.args[0]) or UNSURE
        value = resolve_name(scan, function)
        if stdlib_name(value) in SPEC_FINDERS:
            return _finder_condition(scan, node.args)
        return _function_call(scan, value, node)
    return UNSURE


def _attribute_owner(scan: ScanState, node: ast.expr) -> Value:
    """Return the value whose attribute is tested. It may be a builtin type: ``hasattr(int, "bit_count")``."""
    if isinstance(node, ast.Name) and node.id in BUILTIN_TYPES and scan.lookup(node.id) is None:
        return Value(STDLIB, "builtins", node.id)
    return resolve_name(scan, node)


def _call_by_name(scan: ScanState, name: str, node: ast.Call) -> Condition:
    arguments = node.args
    if name == "hasattr" and len(arguments) == 2 and isinstance(arguments[1], ast.Constant):
        owner = _attribute_owner(scan, arguments[0])
        if is_unknown(owner):
            scan.hasattr_checked.add(last_name(arguments[0]))
        return _has_attribute(scan, owner, str(arguments[1].value))
    if name == "callable" and len(arguments) == 1 and isinstance(arguments[0], ast.Call):
        return _call_by_name(scan, "getattr", arguments[0])
    if name == "getattr" and len(arguments) == 3 and isinstance(arguments[1], ast.Constant):
        return _has_attribute(scan, _attribute_owner(scan, arguments[0]), str(arguments[1].value))
    if name in ("bool", "any", "all") and len(arguments) == 1:
        if name == "bool":
            return condition_of(scan, arguments[0])
        if isinstance(arguments[0], ast.List | ast.Tuple) and arguments[0].elts:
            parts = tuple(condition_of(scan, item) for item in arguments[0].elts)
            return ("or" if name == "any" else "and", *parts)
    if name == "isinstance" and len(arguments) == 2 and last_name(arguments[1]) in ("dict", "Mapping"):
        alternatives_of_argument = alternatives(resolve_name(scan, arguments[0]))
        is_entries = any(
            stdlib_name(alternative) == "importlib.metadata.entry_points()" for alternative in alternatives_of_argument
        )
        return ("version", "<", (3, 12), "full") if is_entries else UNSURE
    value = scan.lookup(name)
    if value is not None and value.kind in (FUNCTION, FOREIGN):
        return _function_call(scan, value, node)
    return _finder_condition(scan, arguments) if value is not None and stdlib_name(value) in SPEC_FINDERS else UNSURE


def _evaluate_predicate(scan: ScanState, predicate: Condition, node: ast.Call) -> Condition | None:
    """Evaluate a function that compares the version with its arguments, for the arguments of this call."""
    _, formula, parameters, rest_parameter = predicate
    values = [constant_value(scan, argument) for argument in node.args]
    if None in values or node.keywords:
        return None
    arguments = dict(zip(parameters, values, strict=False))
    if rest_parameter:
        arguments[rest_parameter] = tuple(values[len(parameters) :])
    return evaluate_for_releases(scan, formula, arguments)


def _function_call(scan: ScanState, value: Value, node: ast.Call) -> Condition:
    """Return the condition of a call of a function in this or in another file."""
    if value.kind is FUNCTION and value.data.true_condition is not None:
        condition: Condition = value.data.true_condition
        if condition[0] == "asks formula":
            return _evaluate_predicate(scan, condition, node) or UNSURE
        constants = [constant_value(scan, argument) for argument in node.args]
        return condition if condition[0] != "asks" else apply_predicate(condition, constants) or UNSURE
    if value.kind is not FOREIGN or node.keywords:
        return UNSURE
    arguments = tuple([constant_value(scan, argument) for argument in node.args])
    return UNSURE if None in arguments else _imported_condition(scan, value, arguments)


def _finder_condition(scan: ScanState, arguments: Sequence[ast.expr]) -> Condition:
    if arguments and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
        module = arguments[0].value
        if scan.is_stdlib_module(module):
            return ("has", module, "")
        if module and all(part.isidentifier() for part in module.split(".")):
            return ("not", ("missing", (), (module,)))
    return UNSURE


def _constant(_scan: ScanState, node: ast.Constant) -> Condition:
    """Return the condition of ``if False:`` or ``if 0:``. Names of constants are undecided: they may be reassigned."""
    return ALWAYS if node.value else NEVER


_READERS: dict[type[ast.expr], Callable[[ScanState, Any], Condition]] = {
    ast.Constant: _constant,
    ast.NamedExpr: lambda scan, node: condition_of(scan, node.value),
    ast.BoolOp: _boolean,
    ast.UnaryOp: _not,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Compare: _compare,
    ast.Call: _call,
}
