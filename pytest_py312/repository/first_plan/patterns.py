"""Name services in a plan: the shortest pattern that matches one service only, and globs for folders of services."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.service_patterns import PatternIndex
from pytest_py312.repository.plan.values import is_pattern
from pytest_py312.repository.services.detection.service_indicators import service_indicator
from pytest_py312.repository.tree import Tree, join_path

_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceNames:
    """The pattern of each service, by its name; groups of services that no pattern names apart; and the names of
    those that no pattern can name.
    """

    patterns: Mapping[str, str]
    inseparable: tuple[tuple[str, ...], ...]
    unnameable: tuple[str, ...]


def name_services(services: Sequence[tuple[str, str]]) -> ServiceNames:
    """Return patterns for ``services`` (name, path)."""
    lookup = PatternIndex(services)
    patterns: dict[str, str] = {}
    inseparable: list[tuple[str, ...]] = []
    unnameable: list[str] = []
    for name, path in services:
        candidates = list(filter(is_pattern, map(escape, (name, *_endings(path)))))
        if not candidates:
            unnameable.append(name)
            continue
        matching = {pattern: lookup.matching_services(pattern) for pattern in candidates}
        unique = [pattern for pattern in candidates if matching[pattern] == ((name, path),)]
        patterns[name] = unique[0] if unique else candidates[-1]
        if not unique:
            inseparable.append(tuple(other for other, _ in matching[candidates[-1]]))
    return ServiceNames(patterns=patterns, inseparable=tuple(inseparable), unnameable=tuple(unnameable))


def folder_patterns(tree: Tree, paths: Sequence[str]) -> tuple[str, ...]:
    """Return globs and folders that match exactly ``paths``: ``services/*`` where nothing else there is a service."""
    patterns: dict[str, None] = {}
    for path in sorted(paths):
        parent = path.rpartition("/")[0]
        siblings = [other for other in paths if other.rpartition("/")[0] == parent]
        is_group = bool(parent) and len(siblings) > 1 and not _has_others(tree, parent, set(siblings))
        patterns[f"{escape(parent)}/*" if is_group else escape(path)] = None
    return tuple(patterns)


def escape(path: str) -> str:
    """Return a pattern that matches ``path`` literally."""
    return _WILDCARDS.sub(lambda match: f"[{match[0]}]", path)


def _endings(path: str) -> list[str]:
    """Return the last components of a path, from one of them to all."""
    components = path.split("/")
    return ["/".join(components[-number:]) for number in range(1, len(components) + 1)]


def _has_others(tree: Tree, folder: str, services: set[str]) -> bool:
    """Return whether a glob over the folder would make a service of something that is none, or miss one."""
    inner = {join_path(folder, name) for name in tree.list_folder(folder).folders if not name.startswith(".")}
    others = inner - services
    return not services <= inner or any(service_indicator(tree, path, tree.list_folder(path)) for path in others)
