"""Which guarded code an interpreter runs, by what it has answered. All answers are yes, no, or nobody knows."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from pytest_py312.analysis.scanner.facts.facts import SILENCED, Condition, Guard
from pytest_py312.analysis.scanner.facts.stdlib_queries import Question, Testimony

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, items: value in items,
    "not in": lambda value, items: value not in items,
}
CATCH_ALL = frozenset({"", "BaseException", "Exception"})
MICROS = (0, 99)
"""The least and the greatest release of a minor that is thought of: what they disagree about is not known."""


class Reach:
    """What of one file an interpreter runs. ``is_provided`` says whether a foreign top-level module can be imported
    in the cell, ``None`` where nobody knows."""

    def __init__(
        self, guards: Sequence[Guard], testimony: Testimony, is_provided: Callable[[str], bool | None]
    ) -> None:
        self._guards = guards
        self._testimony = testimony
        self._is_provided = is_provided
        self._runs: dict[int, bool] = {-1: True, 0: True}

    def runs(self, *numbers: int) -> bool:
        """Whether code behind all of these guards may run."""
        return all(self._one_runs(number) for number in numbers)

    def surely_runs(self, number: int) -> bool:
        """Whether there is no doubt that code behind this guard runs."""
        while number > 0:
            guard = self._guards[number]
            if guard.condition and self.truth(guard.condition) is not True:
                return False
            number = guard.parent
        return True

    def _one_runs(self, number: int) -> bool:
        if number not in self._runs:
            guard = self._guards[number]
            here = not guard.condition or self.truth(guard.condition) is not False
            self._runs[number] = here and self._one_runs(guard.parent)
        return self._runs[number]

    def catches(self, number: int, exceptions: frozenset[str]) -> bool:
        """Whether one of ``exceptions``, raised behind this guard, does no harm."""
        while number > 0:
            guard = self._guards[number]
            if guard.caught and not (exceptions | CATCH_ALL).isdisjoint(guard.caught):
                return True
            number = guard.parent
        return False

    def silences(self, number: int) -> bool:
        """Whether warnings given behind this guard are not shown."""
        while number > 0:
            guard = self._guards[number]
            if SILENCED in guard.caught:
                return True
            number = guard.parent
        return False

    def has(self, module: str, path: str) -> bool | None:
        answer = self._testimony.answers.get(Question(module=module, path=path))
        return None if answer is None else answer.present

    def _takes(self, module: str, path: str, positional: int, keywords: Sequence[str]) -> bool | None:
        answer = self._testimony.answers.get(Question(module=module, path=path))
        return None if answer is None or answer.signature is None else answer.signature.takes(positional, keywords)

    def truth(self, condition: Condition) -> bool | None:
        kind = condition[0]
        if kind == "version":
            return version_truth(self._testimony.version, condition[1], condition[2], condition[3])
        if kind == "has":
            return self.has(condition[1], condition[2])
        if kind == "takes":
            return self._takes(condition[1], condition[2], condition[3], condition[4])
        if kind == "missing":
            # what cannot be told is taken to be there: then a fallback is not run, and nothing is said about it
            return any(self.has(*question) is False for question in condition[1]) or any(
                self._is_provided(module) is False for module in condition[2]
            )
        if kind == "not":
            inner = self.truth(condition[1])
            return None if inner is None else not inner
        if kind in ("and", "or"):
            parts = [self.truth(part) for part in condition[1:]]
            decisive = kind == "or"
            return decisive if decisive in parts else None if None in parts else not decisive
        return False if kind == "false" else None


def version_truth(version: tuple[int, int], comparison: str, value: Any, part: str) -> bool | None:
    """Whether a comparison of ``part`` of the version holds; ``None`` where releases of one minor differ."""
    answers = {_compared((*version, micro, "final", 0), comparison, value, part) for micro in MICROS}
    return answers.pop() if len(answers) == 1 else None


def _compared(version: tuple[Any, ...], comparison: str, value: Any, part: str) -> bool | None:
    major, minor, micro = version[:3]
    text = f"{major}.{minor}.{micro}"
    if comparison == "starts":
        return any(text.startswith(prefix) or f"{text} ".startswith(prefix) for prefix in value)
    parts: dict[str, Any] = {
        "full": version,
        "one": version[:1],
        "two": version[:2],
        "two and none": (*version[:2], 0),
        "three": version[:3],
        "major": major,
        "minor": minor,
        "hex": major << 24 | minor << 16 | micro << 8 | 0xF0,
        "text": text,
        "text two": f"{major}.{minor}",
        "texts": (str(major), str(minor), str(micro)),
        "texts two": (str(major), str(minor)),
        "major text": str(major),
        "minor text": str(minor),
        "text 1": text[:1],
        "text 3": text[:3],
        "text 4": text[:4],
        "float text two": float(f"{major}.{minor}"),
        "float text 3": float(text[:3]),
        "float text 4": float(text[:4].rstrip(".")),
    }
    try:
        return _COMPARISONS[comparison](parts[part], value)
    except (KeyError, TypeError):
        return None
