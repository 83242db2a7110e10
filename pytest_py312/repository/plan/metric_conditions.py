"""``value < 0.01 and value >= 0``: the conditions of a metric. Read by a pattern, never evaluated as code."""

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
_PART = re.compile(r"\s*value\s*(<=|>=|==|!=|<|>)\s*([+-]?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)\s*", re.ASCII)
_LONGEST = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """Comparisons of a value with numbers, all of which have to hold."""

    parts: tuple[tuple[str, float], ...]

    def holds(self, value: float) -> bool:
        return all(_OPERATORS[sign](value, limit) for sign, limit in self.parts)

    def __str__(self) -> str:
        return " and ".join(f"value {sign} {limit:g}" for sign, limit in self.parts)


def parse_condition(text: str) -> Condition:
    """
    :raises ValueError: it is no such condition; the text is a clause for a message.
    """
    matches = [_PART.fullmatch(part) for part in text[:_LONGEST].split(" and ")]
    if len(text) > _LONGEST or not all(matches):
        raise ValueError('is no condition; write one such as "value < 0.01" or "value >= 1 and value < 5"')
    return Condition(parts=tuple((match[1], float(match[2])) for match in matches if match))
