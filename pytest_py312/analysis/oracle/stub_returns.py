"""Look up the classes that stdlib functions return in typeshed's stubs, and cache them per version of the stubs."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_py312.analysis.oracle import typeshed
from pytest_py312.analysis.oracle.typeshed import AbsentFromTypeshed, NotDescribed, ResultNotDeclared
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibQuery
from pytest_py312.analysis.scanner.gc_pause import gc_paused
from pytest_py312.core.json_cache import JsonCache

CONCRETE_CLASSES = {("asyncio.events", "AbstractEventLoop"): ("asyncio", "SelectorEventLoop")}
"""Declared class -> the class that is returned in fact. The methods of the abstract class keep removed parameters."""
STUB_RELEASES = ((3, 10), (3, 13))
"""Releases whose stubs are read, for any interpreter. The first that describes the function is used."""


class ReturnTypeCache:
    """Cache of the classes that functions return. Threads share one, so each stub is read once."""

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._cached: dict[str, Any] = {}

    def returned_classes(self, queries: Iterable[StdlibQuery]) -> dict[StdlibQuery, tuple[StdlibQuery, ...]]:
        """Translate queries about the *result of a function* to queries about the classes that it returns.

        Left out are functions without a declared result, and instances of classes that are called by name.
        """
        call_queries = [query for query in queries if "()." in query.path]
        if not call_queries or not typeshed.version():
            return {}
        keys = {query: f"{query.module}:{query.path}" for query in call_queries}
        with self._lock:
            if not self._cached.keys() >= set(keys.values()):
                self._read(keys)
        resolved = {query: _parse_queries(self._cached[key]) for query, key in keys.items()}
        return {query: class_queries for query, class_queries in resolved.items() if class_queries}

    def _read(self, keys: Mapping[StdlibQuery, str]) -> None:
        json_cache = JsonCache(self._folder / f"results-{typeshed.version()}.json")
        with gc_paused():
            fresh = {key: _returned_classes(query) for query, key in keys.items() if json_cache.get(key) is None}
        json_cache.put(fresh)
        self._cached |= {key: json_cache.get(key) for key in keys.values()}


def _parse_queries(data: Any) -> tuple[StdlibQuery, ...]:
    """Parse cached pairs of module and path; empty if they are malformed."""
    if not isinstance(data, list):
        return ()
    pairs = [
        item for item in data if isinstance(item, list) and len(item) == 2 and all(isinstance(p, str) for p in item)
    ]
    return tuple(StdlibQuery(module=module, path=path) for module, path in pairs) if len(pairs) == len(data) else ()


def _returned_classes(query: StdlibQuery) -> list[list[str]]:
    for release in STUB_RELEASES:
        try:
            classes, remaining_path = typeshed.stubs_for(release).returned_classes(query)
        except ResultNotDeclared:
            return []  # the stubs of another release declare the same, and reading them is slow
        except (NotDescribed, AbsentFromTypeshed):
            continue
        if not remaining_path:
            return []  # a class that is called by name needs no translation on any release
        if classes:
            class_names = [
                CONCRETE_CLASSES.get((definition.module, definition.name), (definition.module, definition.name))
                for definition in classes
            ]
            class_paths = dict.fromkeys((module, f"{name}().{remaining_path}") for module, name in class_names)
            return [list(pair) for pair in class_paths]
    return []
