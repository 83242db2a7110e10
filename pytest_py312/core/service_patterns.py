"""Match services by name, by path, or by a glob of either.

A pattern matches a service if it matches its whole path, the last components of its path, or its name:
``diagnostic-services/*`` matches ``services/diagnostic-services/listen-service``. ``*``, ``?`` and ``[...]`` match
within one component, ``**`` matches any number of components. Matching is case-sensitive.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache

from pytest_py312.core.errors import did_you_mean

_LONGEST_PATTERN = 1000
_WILDCARD = re.compile(r"[*?\[]")

_ComponentMatcher = Callable[[str], object] | None
"""Matches one path component; ``None`` stands for ``**``."""


def is_glob(pattern: str) -> bool:
    """Return whether ``pattern`` has wildcards and may match several services."""
    return _WILDCARD.search(pattern) is not None


def matches(pattern: str, name: str, path: str) -> bool:
    """Return whether ``pattern`` matches the service ``name`` at ``path`` (POSIX form, relative to the root)."""
    pattern = normalize_pattern(pattern)
    if not pattern:
        return False
    if not is_glob(pattern):
        return pattern in (name, path) or path.endswith("/" + pattern)
    matchers = _compile_pattern(pattern)
    return _matches_components((None, *matchers), path.split("/")) or _matches_components(matchers, name.split("/"))


def matches_test(pattern: str, test_id: str) -> bool:
    """Return whether ``pattern`` equals ``test_id`` or matches it with ``*`` and ``?``, which also match ``/`` and
    ``::``.

    Brackets are literal: they belong to the ids of parametrised tests (``test_y[3.12]``).
    """
    if pattern == test_id:
        return True
    return re.fullmatch(_escape_brackets(pattern), test_id) is not None


def normalize_pattern(pattern: str) -> str:
    """Remove what shell completion adds: ``./services/api/`` becomes ``services/api``."""
    while pattern.startswith("./") and len(pattern) > 2:
        pattern = pattern[2:]
    return pattern.rstrip("/") if len(pattern) > 1 else pattern


def glob_problem(pattern: str) -> str:
    """Return why ``pattern`` is not a valid glob below the root, as a clause for a message; ``""`` if it is valid."""
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
    components = normalize_pattern(pattern).split("/")
    if ".." in components:
        return "has .. in it; services are below the folder of the plan"
    if "" in components or ("." in components and len(components) > 1):
        return "has an empty component or a lone . between its slashes"
    if any("**" in component and component != "**" for component in components):
        return "has ** beside other text; ** must be alone between slashes"
    if any(_has_open_bracket(component) for component in components):
        return "has a [ that is not closed by a ]"
    return ""


def suggest_service(pattern: str, services: Sequence[tuple[str, str]]) -> str:
    """Return ``', perhaps you meant "user-service"'`` for a near miss of a service (name, path), else ``""``."""
    depth = normalize_pattern(pattern).count("/") + 1
    candidates = {name for name, _ in services}
    candidates.update("/".join(path.split("/")[-depth:]) for _, path in services)
    return did_you_mean(normalize_pattern(pattern), sorted(candidates))


class PatternIndex:
    """Finder of the services (name, path) that match a pattern; plain names are looked up, not compared one by one."""

    def __init__(self, services: Sequence[tuple[str, str]]) -> None:
        self._services = tuple(services)
        self._by_literal: dict[str, list[int]] = {}
        for index, (name, path) in enumerate(self._services):
            components = path.split("/")
            path_endings = {"/".join(components[start:]) for start in range(len(components))}
            for literal in path_endings | {name}:
                self._by_literal.setdefault(literal, []).append(index)

    def matching_services(self, pattern: str) -> tuple[tuple[str, str], ...]:
        """Return the matching services in their original order, the same ones as :func:`matches` accepts."""
        if is_glob(pattern):
            return tuple(service for service in self._services if matches(pattern, *service))
        return tuple(self._services[index] for index in self._by_literal.get(normalize_pattern(pattern), ()))


@lru_cache(maxsize=4096)
def _compile_pattern(pattern: str) -> tuple[_ComponentMatcher, ...]:
    return tuple(
        None if component == "**" else re.compile(translate(component)).match for component in pattern.split("/")
    )


@lru_cache(maxsize=4096)
def _escape_brackets(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))


def _matches_components(matchers: tuple[_ComponentMatcher, ...], components: Sequence[str]) -> bool:
    """Follow all possible matches of ``matchers`` at once, so that no pattern takes exponential time."""
    states = _skip_double_stars({0}, matchers)
    for component in components:
        next_states = set()
        for state in states:
            if state == len(matchers):
                continue
            matcher = matchers[state]
            if matcher is None:
                next_states.add(state)
            elif matcher(component):
                next_states.add(state + 1)
        states = _skip_double_stars(next_states, matchers)
    return len(matchers) in states


def _skip_double_stars(states: set[int], matchers: tuple[_ComponentMatcher, ...]) -> set[int]:
    """Return ``states`` and the states that follow when a ``**`` matches nothing."""
    reached = set(states)
    for state in states:
        while state < len(matchers) and matchers[state] is None:
            state += 1
            reached.add(state)
    return reached


def _has_open_bracket(component: str) -> bool:
    opening = component.find("[")
    while opening >= 0:
        first = opening + 2 if component[opening + 1 : opening + 2] == "!" else opening + 1
        closing = component.find("]", first + 1)  # a ] in first position is a member of the set
        if closing < 0:
            return True
        opening = component.find("[", closing + 1)
    return False
