"""Convert literal floats that are passed as integers: ``random.randint(1e9, 2e9)``, which was a warning before."""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_py312.core.text_edits import EditRefused, TextEdit
from pytest_py312.repository.edits.python.syntax import PythonSource

MARK = "(float)"
"""The end of the old name of such a change."""
_LONGEST_POWER = 400
"""No float has more digits."""
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip


def whole_number_edits(source: PythonSource, line: int, column: int, name: str) -> list[TextEdit]:
    """Return the edits that convert the float arguments of the call of ``name`` at a position.

    :raises EditRefused: an argument is not a literal with a whole value.
    """
    calls = [
        call
        for node in source.nodes_at(line, column)
        if isinstance(call := source.parent(node), ast.Call) and call.func is node and _last_name(node) == name
    ]
    if len(calls) != 1:
        raise EditRefused(f"{name} is not called here exactly once.")
    arguments = [*calls[0].args, *(keyword.value for keyword in calls[0].keywords)]
    floats = [argument for argument in arguments if _may_be_float(argument)]
    if any(not isinstance(value := _constant(argument), float) or not value.is_integer() for argument in floats):
        raise EditRefused("It is not clear that the float is a whole number.")
    if not floats and not any(
        isinstance(argument, ast.Call) and _last_name(argument.func) == "int" for argument in arguments
    ):
        raise EditRefused("None of the arguments is a literal float.")
    return list(_conversions(source, floats))


def _conversions(source: PythonSource, floats: list[ast.expr]) -> Iterator[TextEdit]:
    for argument in floats:
        yield TextEdit(start=source.start(argument), end=source.start(argument), text="int(")
        yield TextEdit(start=source.end(argument), end=source.end(argument), text=")")


def _last_name(node: Any) -> str:
    return str(getattr(node, "attr", "") or getattr(node, "id", ""))


def _may_be_float(node: ast.expr) -> bool:
    """Return whether a float is computed from literals: a variable or a length is not."""
    if isinstance(_constant(node), int) or (isinstance(node, ast.Call) and _last_name(node.func) in ("int", "round")):
        return False
    return any(
        isinstance(part, ast.Div) or (isinstance(part, ast.Constant) and isinstance(part.value, float))
        for part in ast.walk(node)
    )


def _constant(node: ast.expr) -> int | float | None:
    """Return the value of an expression of literal numbers; ``None`` for all else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int | float) and not isinstance(node.value, bool) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _constant(node.operand)
        return value if value is None or isinstance(node.op, ast.UAdd) else -value
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _constant(node.left), _constant(node.right)
    return None if left is None or right is None else _computed(node.op, left, right)


def _computed(operation: ast.operator, left: int | float, right: int | float) -> int | float | None:
    compute = _OPERATIONS.get(type(operation))
    is_power = isinstance(operation, ast.Pow)
    if compute is None or (is_power and max(abs(left), abs(right)) > _LONGEST_POWER):
        return None
    try:
        value = compute(left, right)
    except (ArithmeticError, ValueError):
        return None
    return value if isinstance(value, int | float) else None
