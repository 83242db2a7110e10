"""What functions give, by typeshed: remembered, since the stubs of a version never change."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_py312.analysis.oracle import typeshed
from pytest_py312.analysis.oracle.typeshed import Absent, Undeclared, Unknown
from pytest_py312.analysis.scanner.facts.stdlib_queries import Question
from pytest_py312.analysis.scanner.gc_pause import no_collector
from pytest_py312.core.json_cache import Memory

CONCRETE = {("asyncio.events", "AbstractEventLoop"): ("asyncio", "SelectorEventLoop")}
"""What stubs say is given, and what really is: the methods of the abstract class keep parameters that are refused."""
RESULT_RELEASES = ((3, 10), (3, 13))
"""What a function gives is looked up for these, the first that knows it, whatever interpreter is asked."""


class Stubs:
    """What functions give, remembered in a folder. Threads share one: what one of them has read, no other reads."""

    def __init__(self, *, memory: Path) -> None:
        self._folder = memory
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {}

    def results(self, questions: Iterable[Question]) -> dict[Question, tuple[Question, ...]]:
        """For questions about what a *function* gives: the same about the classes of which it gives an instance.

        Questions about what nobody declares, and about instances of classes that are called by name, are left out.
        """
        wanted = [question for question in questions if "()." in question.path]
        if not wanted or not typeshed.version():
            return {}
        keys = {question: f"{question.module}:{question.path}" for question in wanted}
        with self._lock:
            if not self._known.keys() >= set(keys.values()):
                self._read(keys)
        found = {question: _pairs(self._known[key]) for question, key in keys.items()}
        return {question: pairs for question, pairs in found.items() if pairs}

    def _read(self, keys: Mapping[Question, str]) -> None:
        memory = Memory(self._folder / f"results-{typeshed.version()}.json")
        with no_collector():
            fresh = {key: _result(question) for question, key in keys.items() if memory.get(key) is None}
        memory.keep(fresh)
        self._known |= {key: memory.get(key) for key in keys.values()}


def _pairs(data: Any) -> tuple[Question, ...]:
    """Remembered pairs of module and path; empty where they are something else."""
    if not isinstance(data, list):
        return ()
    pairs = [
        item for item in data if isinstance(item, list) and len(item) == 2 and all(isinstance(p, str) for p in item)
    ]
    return tuple(Question(module=module, path=path) for module, path in pairs) if len(pairs) == len(data) else ()


def _result(question: Question) -> list[list[str]]:
    for release in RESULT_RELEASES:
        try:
            classes, rest = typeshed.stubs_of(release).instances(question)
        except Undeclared:
            return []  # another release would have to read the same stubs again, and says the same
        except (Unknown, Absent):
            continue
        if not rest:
            return []  # of a class that is called by its name every release says the same
        if classes:
            given = [CONCRETE.get((thing.module, thing.name), (thing.module, thing.name)) for thing in classes]
            found = dict.fromkeys((module, f"{name}().{rest}") for module, name in given)
            return [list(pair) for pair in found]
    return []
