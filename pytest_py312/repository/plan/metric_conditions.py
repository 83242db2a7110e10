"""Conditions of metrics, such as ``value < 0.01 and value >= 0``. They are parsed, never evaluated as code."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_COMPARISON = re.compile(
    r"\s*value\s*(<=|>=|==|!=|<|>)\s*([+-]?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)\s*", re.ASCII
)
_MAX_LENGTH = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricCondition:
    """Comparisons of a value with numbers, all of which have to hold."""

    comparisons: tuple[tuple[str, float], ...]

    def holds(self, value: float) -> bool:
        return all(_OPERATORS[sign](value, limit) for sign, limit in self.comparisons)

    def __str__(self) -> str:
        return " and ".join(f"value {sign} {limit:g}" for sign, limit in self.comparisons)


def parse_condition(text: str) -> MetricCondition:
    """Parse a condition.

    :raises ValueError: the text is no condition; the message is a clause such as "is no condition; ...".
    """
    matches = [_COMPARISON.fullmatch(part) for part in text[:_MAX_LENGTH].split(" and ")]
    if len(text) > _MAX_LENGTH or not all(matches):
        raise ValueError('is no condition; write one such as "value < 0.01" or "value >= 1 and value < 5"')
    return MetricCondition(comparisons=tuple((match[1], float(match[2])) for match in matches if match))
