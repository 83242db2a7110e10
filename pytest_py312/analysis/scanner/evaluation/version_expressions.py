"""Tests of the Python version in whatever spelling: worked out for each release, if they hang on nothing else.

``environment_tests.py`` knows the usual spellings and is quick; this is asked about the rest, such as
``sys.version_info[0] * 10 + sys.version_info[1] >= 312``.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pytest_py312.analysis.scanner.evaluation.names import dotted, named
from pytest_py312.analysis.scanner.evaluation.scan_state import Scan
from pytest_py312.analysis.scanner.evaluation.values import CONDITION, Value

LARGEST = 1 << 40
NONE_GIVEN: Mapping[str, Any] = {}
RELEASES = tuple((3, minor) for minor in range(6, 26))
MICROS = (1, 99)
"""Two releases of each minor: where they disagree, nothing is said."""
MOST_NODES = 60
MOST_STEPS = 400
LONGEST = 200
"""Of a text or a tuple on the way: what is longer is no version."""


class _VersionInfo(NamedTuple):
    major: int
    minor: int
    micro: int
    level: str = "final"
    serial: int = 0


_Made = Callable[[tuple[int, ...]], Any]
_NAMES: dict[str, _Made] = {
    "sys.version_info": lambda one: _VersionInfo(one[0], one[1], one[2]),
    "sys.implementation.version": lambda one: _VersionInfo(one[0], one[1], one[2]),
    "sys.hexversion": lambda one: one[0] << 24 | one[1] << 16 | one[2] << 8 | 0xF0,
    "sys.version": lambda one: f"{_text(one)} (main, Jan  1 2024, 00:00:00) [GCC 12.2.0]",
    "sys.implementation.cache_tag": lambda one: f"cpython-{one[0]}{one[1]}",
}
_CALLS: dict[str, _Made] = {
    "platform.python_version": lambda one: _text(one),
    "platform.python_version_tuple": lambda one: tuple(_text(one).split(".")),
    "sysconfig.get_python_version": lambda one: f"{one[0]}.{one[1]}",
}
LEAVES = frozenset({*_NAMES, *_CALLS})
_LAST_NAMES = frozenset(name.rpartition(".")[2] for name in LEAVES)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": int, "float": float, "str": str, "tuple": tuple, "list": list, "len": len, "round": round, "bool": bool,
    "map": lambda function, *given: tuple(map(function, *given)), "max": max, "min": min, "any": any, "all": all,
}  # fmt: skip
_OF_OPERATOR = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "not_"})
_METHODS = frozenset({"split", "partition", "rpartition", "startswith", "join", "strip", "index"})
_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.RShift: operator.rshift, ast.BitAnd: operator.and_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda one, many: one in many, ast.NotIn: lambda one, many: one not in many,
}  # fmt: skip


class Unknown(Exception):
    """The expression hangs on something else."""


_UNKNOWN = (Unknown, ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError)


class _Release:
    """One release, and how many steps may still be made to work an expression out for it."""

    def __init__(self, *numbers: int, given: Mapping[str, Any] = NONE_GIVEN) -> None:
        self.numbers = numbers
        self.given = given
        self.steps = MOST_STEPS


def _text(one: tuple[int, ...]) -> str:
    return ".".join(map(str, one))


def is_of_version(scan: Scan, node: ast.expr) -> bool:
    """Whether an expression speaks of the version at all."""
    for number, inner in enumerate(ast.walk(node)):
        if number > MOST_NODES:
            return False
        if inner.__class__ is ast.Attribute and inner.attr in _LAST_NAMES:
            return True
        if inner.__class__ is ast.Name:
            value = scan.get(inner.id)
            if value is not None and (_is_piece(value) or dotted(value) in LEAVES):
                return True
    return False


def _is_piece(value: Value) -> bool:
    return value.kind is CONDITION and value.data[0] in ("part", "formula")


def worked_out(scan: Scan, node: ast.expr, given: Mapping[str, Any] = NONE_GIVEN) -> tuple[Any, ...] | None:
    """When a test is true, as a condition; ``None`` where it is no test, or not one of the version alone.

    ``given`` are the values of parameters.
    """
    true = []
    for release in RELEASES:
        answer = _of_release(scan, node, release, given)
        if not isinstance(answer, bool):
            return None
        if answer:
            true.append(release)
    return ("version", "in", tuple(true), "two")


def is_formula(scan: Scan, node: ast.expr) -> bool:
    """Whether an expression can be worked out for each release."""
    try:
        return _evaluated(scan, node, _Release(*RELEASES[0], 0)) is not None
    except _UNKNOWN:
        return False


def _of_release(scan: Scan, node: ast.expr, release: tuple[int, ...], given: Mapping[str, Any]) -> Any:
    """What an expression is in one minor release; ``None`` where nobody knows, or its micro releases differ."""
    try:
        answers = [_evaluated(scan, node, _Release(*release, micro, given=given)) for micro in MICROS]
    except _UNKNOWN:
        return None
    return answers[0] if answers[0] == answers[1] else None


def _evaluated(scan: Scan, node: ast.expr, release: _Release) -> Any:
    reader = _READERS.get(node.__class__)
    release.steps -= 1
    if reader is None or release.steps < 0:
        raise Unknown
    value = reader(scan, node, release)
    if isinstance(value, str | tuple | list) and len(value) > LONGEST:
        raise Unknown
    return value


def _constant(_scan: Scan, node: ast.Constant, _release: _Release) -> Any:
    return node.value


def _name(scan: Scan, node: ast.Name | ast.Attribute, release: _Release) -> Any:
    if isinstance(node, ast.Name) and node.id in release.given:
        return release.given[node.id]
    value = named(scan, node)
    if dotted(value) in _NAMES:
        return _NAMES[dotted(value)](release.numbers)
    if value.kind is CONDITION:
        kind, data = value.data[0], value.data[-1]
        if kind == "constant":
            return data
        if kind == "formula":
            return _evaluated(scan, data, release)
        if kind == "part" and data in _PARTS:
            return _PARTS[data](release.numbers)
    if isinstance(node, ast.Attribute):
        inner = _evaluated(scan, node.value, release)
        if isinstance(inner, _VersionInfo) and not node.attr.startswith("_"):
            return getattr(inner, node.attr)
    raise Unknown


_PARTS: dict[str, _Made] = {
    "full": _NAMES["sys.version_info"],
    "hex": _NAMES["sys.hexversion"],
    "long text": _NAMES["sys.version"],
    "one": lambda one: one[:1],
    "two": lambda one: one[:2],
    "three": lambda one: one[:3],
    "major": lambda one: one[0],
    "minor": lambda one: one[1],
    "text": _text,
    "text two": lambda one: _text(one[:2]),
    "texts": lambda one: tuple(map(str, one[:3])),
    "texts two": lambda one: tuple(map(str, one[:2])),
    "major text": lambda one: str(one[0]),
    "minor text": lambda one: str(one[1]),
}


def _operation(scan: Scan, node: ast.BinOp, release: _Release) -> Any:
    work = _BINARY.get(node.op.__class__)
    left, right = _evaluated(scan, node.left, release), _evaluated(scan, node.right, release)
    small = all(isinstance(one, int | float) and abs(one) < LARGEST for one in (left, right))
    if work is None or not (small or isinstance(node.op, ast.Add)):
        raise Unknown
    return work(left, right)


def _compared(scan: Scan, node: ast.Compare, release: _Release) -> bool:
    values = [_evaluated(scan, one, release) for one in (node.left, *node.comparators)]
    for number, sign in enumerate(node.ops):
        work = _BINARY.get(sign.__class__)
        if work is None:
            raise Unknown
        if not work(values[number], values[number + 1]):
            return False
    return True


def _both(scan: Scan, node: ast.BoolOp, release: _Release) -> Any:
    values = [_evaluated(scan, one, release) for one in node.values]
    return all(values) if isinstance(node.op, ast.And) else any(values)


def _turned(scan: Scan, node: ast.UnaryOp, release: _Release) -> Any:
    if not isinstance(node.op, ast.Not | ast.USub):
        raise Unknown
    value = _evaluated(scan, node.operand, release)
    return not value if isinstance(node.op, ast.Not) else -value


def _item(scan: Scan, node: ast.Subscript, release: _Release) -> Any:
    value = _evaluated(scan, node.value, release)
    if not isinstance(node.slice, ast.Slice):
        return value[_evaluated(scan, node.slice, release)]
    ends = [node.slice.lower, node.slice.upper, node.slice.step]
    return value[slice(*[None if end is None else _evaluated(scan, end, release) for end in ends])]


def _display(scan: Scan, node: ast.Tuple | ast.List | ast.Set, release: _Release) -> Any:
    return tuple([_evaluated(scan, item, release) for item in node.elts])


def _called(scan: Scan, node: ast.Call, release: _Release) -> Any:
    function = node.func
    if node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
        raise Unknown
    name = dotted(named(scan, function))
    if name in _CALLS:
        return _CALLS[name](release.numbers)
    if name.startswith("operator.") and name[9:] in _OF_OPERATOR:
        return getattr(operator, name[9:])(*[_evaluated(scan, one, release) for one in node.args])
    if isinstance(function, ast.Name) and scan.get(function.id) is None and function.id in _FUNCTIONS:
        given = [_given(scan, one, release) for one in node.args]
        return _FUNCTIONS[function.id](*given)
    if isinstance(function, ast.Attribute) and function.attr in _METHODS:
        owner = _evaluated(scan, function.value, release)
        if isinstance(owner, str):
            return getattr(owner, function.attr)(*[_evaluated(scan, one, release) for one in node.args])
    raise Unknown


def _given(scan: Scan, node: ast.expr, release: _Release) -> Any:
    """An argument; a builtin function may be one: ``map(int, ...)``."""
    if isinstance(node, ast.Name) and scan.get(node.id) is None and node.id in _FUNCTIONS:
        return _FUNCTIONS[node.id]
    return _evaluated(scan, node, release)


_READERS: dict[type[ast.expr], Any] = {
    ast.Attribute: _name, ast.BinOp: _operation, ast.BoolOp: _both, ast.Call: _called, ast.Compare: _compared,
    ast.Constant: _constant, ast.List: _display, ast.Name: _name, ast.Set: _display, ast.Subscript: _item,
    ast.Tuple: _display, ast.UnaryOp: _turned,
}  # fmt: skip
