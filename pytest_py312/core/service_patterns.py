"""How a service is named: by its name, by its path, or by a glob of either.

A pattern fits a service when it fits its whole path, the last components of its path, or its name:
``diagnostic-services/*`` fits ``services/diagnostic-services/listen-service``. ``*``, ``?`` and ``[...]`` stay within
one component, ``**`` stands for any number of them, and case counts.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache

from pytest_py312.core.errors import perhaps

_LONGEST_PATTERN = 1000
_WILDCARD = re.compile(r"[*?\[]")

_Part = Callable[[str], object] | None
"""Whether one component fits; ``None`` stands for ``**``."""


def is_glob(pattern: str) -> bool:
    """Whether ``pattern`` has wildcards, and so may fit more than one name."""
    return _WILDCARD.search(pattern) is not None


def matches(pattern: str, name: str, path: str) -> bool:
    """Whether ``pattern`` fits the service ``name`` at ``path`` (POSIX form, relative to the root)."""
    pattern = tidy(pattern)
    if not pattern:
        return False
    if not is_glob(pattern):
        return pattern in (name, path) or path.endswith("/" + pattern)
    parts = _parts(pattern)
    return _fits((None, *parts), path.split("/")) or _fits(parts, name.split("/"))


def matches_test(pattern: str, test_id: str) -> bool:
    """Whether ``pattern`` is ``test_id`` or globs it with ``*`` and ``?``; both cross ``/`` and ``::``.

    Brackets stand for themselves: they belong to the ids of parametrised tests (``test_y[3.12]``).
    """
    if pattern == test_id:
        return True
    return re.fullmatch(_literal_brackets(pattern), test_id) is not None


def tidy(pattern: str) -> str:
    """Without what a shell's completion leaves: ``./services/api/`` is ``services/api``."""
    while pattern.startswith("./") and len(pattern) > 2:
        pattern = pattern[2:]
    return pattern.rstrip("/") if len(pattern) > 1 else pattern


def glob_problem(pattern: str) -> str:
    """What keeps ``pattern`` from being a glob below the root, as a clause for a message; ``""`` for nothing."""
    if not pattern.strip():
        return "is empty"
    if len(pattern) > _LONGEST_PATTERN:
        return f"is longer than {_LONGEST_PATTERN} characters"
    if any(ord(character) < 32 for character in pattern):
        return "has a control character in it"
    if "\\" in pattern:
        return "has a backslash in it; write paths with /"
    if pattern.startswith("/") or re.match(r"[A-Za-z]:/", pattern):
        return "is absolute; write it relative to the folder of the plan"
    components = tidy(pattern).split("/")
    if ".." in components:
        return "has .. in it; a service lies below the folder of the plan"
    if "" in components or ("." in components and len(components) > 1):
        return "has an empty component or a lone . between its slashes"
    if any("**" in component and component != "**" for component in components):
        return "has ** beside other text; ** stands alone between slashes"
    if any(_has_open_bracket(component) for component in components):
        return "has a [ that is not closed by a ]"
    return ""


def suggestion(pattern: str, services: Sequence[tuple[str, str]]) -> str:
    """``', perhaps you meant "user-service"'`` for a near miss among the services (name, path), else ``""``."""
    depth = tidy(pattern).count("/") + 1
    known = {name for name, _ in services}
    known.update("/".join(path.split("/")[-depth:]) for _, path in services)
    return perhaps(tidy(pattern), sorted(known))


class Lookup:
    """The services (name, path) that a pattern fits, found without asking each service about each plain name."""

    def __init__(self, services: Sequence[tuple[str, str]]) -> None:
        self._services = tuple(services)
        self._plain: dict[str, list[int]] = {}
        for index, (name, path) in enumerate(self._services):
            components = path.split("/")
            tails = {"/".join(components[start:]) for start in range(len(components))}
            for word in tails | {name}:
                self._plain.setdefault(word, []).append(index)

    def of(self, pattern: str) -> tuple[tuple[str, str], ...]:
        """In the order of the services; the same answer as :func:`matches` gives for each."""
        if is_glob(pattern):
            return tuple(service for service in self._services if matches(pattern, *service))
        return tuple(self._services[index] for index in self._plain.get(tidy(pattern), ()))


@lru_cache(maxsize=4096)
def _parts(pattern: str) -> tuple[_Part, ...]:
    return tuple(
        None if component == "**" else re.compile(translate(component)).match for component in pattern.split("/")
    )


@lru_cache(maxsize=4096)
def _literal_brackets(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))


def _fits(wanted: tuple[_Part, ...], components: Sequence[str]) -> bool:
    """Follow all ways through ``wanted`` at once, so that no pattern is slow."""
    reached = _past_any({0}, wanted)
    for component in components:
        onward = set()
        for state in reached:
            if state == len(wanted):
                continue
            part = wanted[state]
            if part is None:
                onward.add(state)
            elif part(component):
                onward.add(state + 1)
        reached = _past_any(onward, wanted)
    return len(wanted) in reached


def _past_any(states: set[int], wanted: tuple[_Part, ...]) -> set[int]:
    """``states`` and those behind a ``**`` that stands for nothing."""
    reached = set(states)
    for state in states:
        while state < len(wanted) and wanted[state] is None:
            state += 1
            reached.add(state)
    return reached


def _has_open_bracket(component: str) -> bool:
    at = component.find("[")
    while at >= 0:
        first = at + 2 if component[at + 1 : at + 2] == "!" else at + 1
        closing = component.find("]", first + 1)  # a ] that stands first belongs to the set
        if closing < 0:
            return True
        at = component.find("[", closing + 1)
    return False
