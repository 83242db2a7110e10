"""Evaluate tests of the Python version in any spelling, for each release.

``environment_tests.py`` handles the usual spellings and is fast. This module handles the rest, such as
``sys.version_info[0] * 10 + sys.version_info[1] >= 312``, if the expression depends on nothing but the version.
"""

import ast
import operator
import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from pytest_py312.analysis.scanner.evaluation.names import resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import CONDITION, Value

MAX_NUMBER = 1 << 40
NO_PARAMETERS: Mapping[str, Any] = {}
RELEASES = tuple((3, minor) for minor in range(6, 26))
MICROS = (1, 99)
"""Two micro versions of each minor release. If the results differ, the test is undecided."""
MAX_NODES = 60
MAX_STEPS = 400
_PLAIN_FORMAT = re.compile(r"[^%]{0,50}(?:%[ds][^%]{0,50}){1,5}")
MAX_LENGTH = 200
"""Limit for intermediate strings and tuples. Longer ones are not versions."""


class _VersionInfo(NamedTuple):
    major: int
    minor: int
    micro: int
    level: str = "final"
    serial: int = 0


_FromRelease = Callable[[tuple[int, ...]], Any]
_VERSION_NAMES: dict[str, _FromRelease] = {
    "sys.version_info": lambda release: _VersionInfo(release[0], release[1], release[2]),
    "sys.implementation.version": lambda release: _VersionInfo(release[0], release[1], release[2]),
    "sys.hexversion": lambda release: release[0] << 24 | release[1] << 16 | release[2] << 8 | 0xF0,
    "sys.version": lambda release: f"{_version_text(release)} (main, Jan  1 2024, 00:00:00) [GCC 12.2.0]",
    "sys.implementation.cache_tag": lambda release: f"cpython-{release[0]}{release[1]}",
}
_VERSION_CALLS: dict[str, _FromRelease] = {
    "platform.python_version": lambda release: _version_text(release),
    "platform.python_version_tuple": lambda release: tuple(_version_text(release).split(".")),
    "sysconfig.get_python_version": lambda release: f"{release[0]}.{release[1]}",
}
VERSION_SOURCES = frozenset({*_VERSION_NAMES, *_VERSION_CALLS})
_LAST_NAMES = frozenset(name.rpartition(".")[2] for name in VERSION_SOURCES)
_BUILTIN_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": int, "float": float, "str": str, "tuple": tuple, "list": list, "len": len, "round": round,
    "bool": bool, "map": lambda function, *arguments: tuple(map(function, *arguments)), "max": max, "min": min,
    "any": any, "all": all,
}  # fmt: skip
_OPERATOR_FUNCTIONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "not_"})
_TEXT_METHODS = frozenset({"split", "partition", "rpartition", "startswith", "join", "strip", "index"})
_BINARY_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.RShift: operator.rshift, ast.BitAnd: operator.and_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda item, items: item in items, ast.NotIn: lambda item, items: item not in items,
}  # fmt: skip


class NotAVersionExpression(Exception):
    """The expression depends on something other than the version."""


_EVALUATION_ERRORS = (
    NotAVersionExpression, ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError,
)  # fmt: skip


class _ReleaseEvaluation:
    """The evaluation of an expression for one release, with the number of steps that remain."""

    def __init__(self, *numbers: int, parameters: Mapping[str, Any] = NO_PARAMETERS) -> None:
        self.numbers = numbers
        self.parameters = parameters
        self.remaining_steps = MAX_STEPS


def _version_text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def expression_mentions_version(scan: ScanState, node: ast.expr) -> bool:
    """Return whether an expression mentions the version at all."""
    for number, inner in enumerate(ast.walk(node)):
        if number > MAX_NODES:
            return False
        if inner.__class__ is ast.Attribute and inner.attr in _LAST_NAMES:
            return True
        if inner.__class__ is ast.Name:
            value = scan.lookup(inner.id)
            if value is not None and (_is_version_part(value) or stdlib_name(value) in VERSION_SOURCES):
                return True
    return False


def _is_version_part(value: Value) -> bool:
    return value.kind is CONDITION and value.data[0] in ("part", "formula")


def evaluate_for_releases(
    scan: ScanState, node: ast.expr, parameters: Mapping[str, Any] = NO_PARAMETERS
) -> tuple[Any, ...] | None:
    """Return the condition under which a test is true; ``None`` if it depends on more than the version.

    ``parameters`` are the values of the parameters of the function that contains the test.
    """
    true_releases = []
    for release in RELEASES:
        answer = _evaluate_for_minor(scan, node, release, parameters)
        if not isinstance(answer, bool):
            return None
        if answer:
            true_releases.append(release)
    return ("version", "in", tuple(true_releases), "two")


def values_by_release(scan: ScanState, node: ast.expr) -> dict[tuple[int, int], Hashable]:
    """Return the values of an expression in the minor releases in which it depends on nothing but these."""
    values = {release: _evaluate_for_minor(scan, node, release, NO_PARAMETERS) for release in RELEASES}
    return {release: value for release, value in values.items() if value is not None and isinstance(value, Hashable)}


def is_evaluable(scan: ScanState, node: ast.expr) -> bool:
    """Return whether an expression can be evaluated for each release."""
    try:
        return _evaluate(scan, node, _ReleaseEvaluation(*RELEASES[0], 0)) is not None
    except _EVALUATION_ERRORS:
        return False


def _evaluate_for_minor(
    scan: ScanState, node: ast.expr, release: tuple[int, ...], parameters: Mapping[str, Any]
) -> Any:
    """Return the value of an expression in one minor release; ``None`` if it is undecided or differs between micro
    releases.
    """
    try:
        answers = [
            _evaluate(scan, node, _ReleaseEvaluation(*release, micro, parameters=parameters)) for micro in MICROS
        ]
    except _EVALUATION_ERRORS:
        return None
    return answers[0] if answers[0] == answers[1] else None


def _evaluate(scan: ScanState, node: ast.expr, release: _ReleaseEvaluation) -> Any:
    reader = _READERS.get(node.__class__)
    release.remaining_steps -= 1
    if reader is None or release.remaining_steps < 0:
        raise NotAVersionExpression
    value = reader(scan, node, release)
    if isinstance(value, str | tuple | list) and len(value) > MAX_LENGTH:
        raise NotAVersionExpression
    return value


def _constant(_scan: ScanState, node: ast.Constant, _release: _ReleaseEvaluation) -> Any:
    return node.value


def _name(scan: ScanState, node: ast.Name | ast.Attribute, release: _ReleaseEvaluation) -> Any:
    if isinstance(node, ast.Name) and node.id in release.parameters:
        return release.parameters[node.id]
    value = resolve_name(scan, node)
    if stdlib_name(value) in _VERSION_NAMES:
        return _VERSION_NAMES[stdlib_name(value)](release.numbers)
    if value.kind is CONDITION:
        kind, data = value.data[0], value.data[-1]
        if kind == "constant":
            return data
        if kind == "formula":
            return _evaluate(scan, data, release)
        if kind == "part" and data in _VERSION_PARTS:
            return _VERSION_PARTS[data](release.numbers)
    if isinstance(node, ast.Attribute):
        inner = _evaluate(scan, node.value, release)
        if isinstance(inner, _VersionInfo) and not node.attr.startswith("_"):
            return getattr(inner, node.attr)
    raise NotAVersionExpression


_VERSION_PARTS: dict[str, _FromRelease] = {
    "full": _VERSION_NAMES["sys.version_info"],
    "hex": _VERSION_NAMES["sys.hexversion"],
    "long text": _VERSION_NAMES["sys.version"],
    "one": lambda release: release[:1],
    "two": lambda release: release[:2],
    "three": lambda release: release[:3],
    "major": lambda release: release[0],
    "minor": lambda release: release[1],
    "text": _version_text,
    "text two": lambda release: _version_text(release[:2]),
    "texts": lambda release: tuple(map(str, release[:3])),
    "texts two": lambda release: tuple(map(str, release[:2])),
    "major text": lambda release: str(release[0]),
    "minor text": lambda release: str(release[1]),
}


def _binary_operation(scan: ScanState, node: ast.BinOp, release: _ReleaseEvaluation) -> Any:
    function = _BINARY_OPERATORS.get(node.op.__class__)
    left, right = _evaluate(scan, node.left, release), _evaluate(scan, node.right, release)
    if isinstance(left, str) and isinstance(node.op, ast.Mod) and _PLAIN_FORMAT.fullmatch(left):
        return left % right
    small = all(isinstance(operand, int | float) and abs(operand) < MAX_NUMBER for operand in (left, right))
    if function is None or not (small or isinstance(node.op, ast.Add)):
        raise NotAVersionExpression
    return function(left, right)


def _formatted_text(scan: ScanState, node: ast.JoinedStr, release: _ReleaseEvaluation) -> str:
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None or part.conversion != -1:
                raise NotAVersionExpression
            parts.append(str(_evaluate(scan, part.value, release)))
        else:
            parts.append(str(_evaluate(scan, part, release)))
    return "".join(parts)


def _comparison(scan: ScanState, node: ast.Compare, release: _ReleaseEvaluation) -> bool:
    values = [_evaluate(scan, operand, release) for operand in (node.left, *node.comparators)]
    for number, sign in enumerate(node.ops):
        function = _BINARY_OPERATORS.get(sign.__class__)
        if function is None:
            raise NotAVersionExpression
        if not function(values[number], values[number + 1]):
            return False
    return True


def _boolean_operation(scan: ScanState, node: ast.BoolOp, release: _ReleaseEvaluation) -> Any:
    values = [_evaluate(scan, operand, release) for operand in node.values]
    return all(values) if isinstance(node.op, ast.And) else any(values)


def _unary_operation(scan: ScanState, node: ast.UnaryOp, release: _ReleaseEvaluation) -> Any:
    if not isinstance(node.op, ast.Not | ast.USub):
        raise NotAVersionExpression
    value = _evaluate(scan, node.operand, release)
    return not value if isinstance(node.op, ast.Not) else -value


def _item(scan: ScanState, node: ast.Subscript, release: _ReleaseEvaluation) -> Any:
    value = _evaluate(scan, node.value, release)
    if not isinstance(node.slice, ast.Slice):
        return value[_evaluate(scan, node.slice, release)]
    ends = [node.slice.lower, node.slice.upper, node.slice.step]
    return value[slice(*[None if end is None else _evaluate(scan, end, release) for end in ends])]


def _display(scan: ScanState, node: ast.Tuple | ast.List | ast.Set, release: _ReleaseEvaluation) -> Any:
    return tuple([_evaluate(scan, item, release) for item in node.elts])


def _call(scan: ScanState, node: ast.Call, release: _ReleaseEvaluation) -> Any:
    function = node.func
    if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        raise NotAVersionExpression
    name = stdlib_name(resolve_name(scan, function))
    if name in _VERSION_CALLS:
        return _VERSION_CALLS[name](release.numbers)
    if name.startswith("operator.") and name[9:] in _OPERATOR_FUNCTIONS:
        return getattr(operator, name[9:])(*[_evaluate(scan, argument, release) for argument in node.args])
    if isinstance(function, ast.Name) and scan.lookup(function.id) is None and function.id in _BUILTIN_FUNCTIONS:
        arguments = [_call_argument(scan, argument, release) for argument in node.args]
        return _BUILTIN_FUNCTIONS[function.id](*arguments)
    if isinstance(function, ast.Attribute) and function.attr in _TEXT_METHODS:
        owner = _evaluate(scan, function.value, release)
        if isinstance(owner, str):
            return getattr(owner, function.attr)(*[_evaluate(scan, argument, release) for argument in node.args])
    raise NotAVersionExpression


def _call_argument(scan: ScanState, node: ast.expr, release: _ReleaseEvaluation) -> Any:
    """Return the value of an argument, which may be a builtin function: ``map(int, ...)``."""
    if isinstance(node, ast.Name) and scan.lookup(node.id) is None and node.id in _BUILTIN_FUNCTIONS:
        return _BUILTIN_FUNCTIONS[node.id]
    return _evaluate(scan, node, release)


_READERS: dict[type[ast.expr], Any] = {
    ast.Attribute: _name, ast.BinOp: _binary_operation, ast.BoolOp: _boolean_operation, ast.Call: _call,
    ast.Compare: _comparison, ast.Constant: _constant, ast.JoinedStr: _formatted_text, ast.List: _display,
    ast.Name: _name, ast.Set: _display, ast.Subscript: _item, ast.Tuple: _display, ast.UnaryOp: _unary_operation,
}  # fmt: skip
