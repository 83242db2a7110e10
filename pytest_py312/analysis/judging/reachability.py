"""Decide which guarded code an interpreter runs, and what it raises there, based on its answers.

Every decision is yes, no or unknown.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from pytest_py312.analysis.scanner.facts.facts import (
    IMPORT_ERRORS,
    SILENCED_WARNINGS,
    Condition,
    Guard,
    Reference,
    ReferenceKind,
    enclosing_guards,
    is_caught,
)
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers, StdlibAnswer, StdlibQuery

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
ATTRIBUTE_ERRORS = frozenset({"AttributeError"})
MICROS = (0, 99)
"""The lowest and highest micro release that is assumed. If they lead to different results, the result is unknown."""


class Reachability:
    """Which code of a file an interpreter runs.

    :param is_provided: returns whether a third-party top-level module can be imported in the cell; ``None`` if unknown.
    """

    def __init__(
        self,
        guards: Sequence[Guard],
        interpreter_answers: InterpreterAnswers,
        is_provided: Callable[[str], bool | None],
    ) -> None:
        self._guards = guards
        self._interpreter_answers = interpreter_answers
        self._is_provided = is_provided
        self._may_run: dict[int, bool] = {-1: True, 0: True}

    def may_run(self, *numbers: int) -> bool:
        """Return whether code inside of all these guards may run."""
        return all(self._guard_may_run(number) for number in numbers)

    def always_runs(self, number: int) -> bool:
        """Return whether code inside of this guard certainly runs."""
        guards = enclosing_guards(self._guards, number)
        return all(not guard.condition or self.evaluate(guard.condition) is True for guard in guards)

    def _guard_may_run(self, number: int) -> bool:
        if number not in self._may_run:
            guard = self._guards[number]
            condition_may_hold = not guard.condition or self.evaluate(guard.condition) is not False
            self._may_run[number] = condition_may_hold and self._guard_may_run(guard.parent)
        return self._may_run[number]

    def is_caught(self, number: int, exceptions: frozenset[str]) -> bool:
        """Return whether one of ``exceptions`` is caught if it is raised inside of this guard."""
        return is_caught(self._guards, number, exceptions)

    def is_silenced(self, number: int) -> bool:
        """Return whether warnings raised inside of this guard are suppressed."""
        return any(SILENCED_WARNINGS in guard.caught for guard in enclosing_guards(self._guards, number))

    def has(self, module: str, path: str) -> bool | None:
        answer = self._interpreter_answers.answers.get(StdlibQuery(module=module, path=path))
        return None if answer is None else answer.present

    def _accepts_call(self, module: str, path: str, positional: int, keywords: Sequence[str]) -> bool | None:
        answer = self._interpreter_answers.answers.get(StdlibQuery(module=module, path=path))
        return None if answer is None or answer.signature is None else answer.signature.accepts(positional, keywords)

    def evaluate(self, condition: Condition) -> bool | None:
        kind = condition[0]
        if kind == "version":
            return evaluate_version_test(self._interpreter_answers.version, condition[1], condition[2], condition[3])
        if kind == "has":
            return self.has(condition[1], condition[2])
        if kind == "takes":
            return self._accepts_call(condition[1], condition[2], condition[3], condition[4])
        if kind == "missing":
            # an unknown module counts as present: then its fallback does not run and is not reported
            return any(self.has(*query) is False for query in condition[1]) or any(
                self._is_provided(module) is False for module in condition[2]
            )
        return combine(condition, self.evaluate)


def combine(condition: Condition, evaluate: Callable[[Condition], bool | None]) -> bool | None:
    """Return whether a condition holds that consists of others, with their values by ``evaluate``; else ``None``."""
    kind = condition[0]
    if kind == "not":
        inner = evaluate(condition[1])
        return None if inner is None else not inner
    if kind in ("and", "or"):
        parts = [evaluate(part) for part in condition[1:]]
        decisive = kind == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    return False if kind == "false" else None


def evaluate_version_test(version: tuple[int, int], comparison: str, value: Any, part: str) -> bool | None:
    """Return whether a comparison of ``part`` of the version holds; ``None`` if micro releases differ."""
    answers = {_compare_version((*version, micro, "final", 0), comparison, value, part) for micro in MICROS}
    return answers.pop() if len(answers) == 1 else None


def _compare_version(version: tuple[Any, ...], comparison: str, value: Any, part: str) -> bool | None:
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


def missing_name_errors(reference: Reference, missing_path: str) -> frozenset[str]:
    """Return the exceptions that a missing name raises here."""
    if reference.kind in (ReferenceKind.IMPORT, ReferenceKind.STAR_IMPORT) or (
        reference.kind == ReferenceKind.DYNAMIC and not missing_path
    ):
        return IMPORT_ERRORS
    return frozenset({"ImportError"}) if reference.kind == ReferenceKind.FROM_IMPORT else ATTRIBUTE_ERRORS


def warns_at_reference(reference: Reference, answer: StdlibAnswer) -> bool:
    """Return whether the deprecation warning is raised here. Some are raised by the import, others by the call."""
    if reference.kind == ReferenceKind.STAR_IMPORT or (
        not reference.path and reference.kind not in (ReferenceKind.IMPORT, ReferenceKind.DYNAMIC)
    ):
        return False  # already reported by the import of the module
    if reference.kind == ReferenceKind.FROM_IMPORT:
        return not answer.warns_when_called and bool(reference.path)
    if reference.kind == ReferenceKind.MENTION:
        return not answer.warns_when_called
    if reference.kind in (ReferenceKind.IMPORTED_NAME, ReferenceKind.ALIAS):
        return answer.warns_when_called and reference.call is not None
    if answer.warns_when_called and reference.call is None:
        return not answer.is_class and reference.kind != ReferenceKind.DYNAMIC
    return True
