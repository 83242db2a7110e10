"""Modules that are imported behind guards only: what stands round all their imports stands round all they hold.

``if sys.version_info >= (3, 12): from ._new import flag``, ``else: from ._old import flag`` says when ``_old`` runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_py312.source.facts import Condition, FileFacts, Guard
from pytest_py312.source.imported_files import Imported

_HOLDING = ("references", "imports", "rules", "loose", "patches", "inherited", "through")
"""What facts hold with the guard round it."""
_RUN_BY_OTHERS = ("__init__.py", "__main__.py", "conftest.py", "setup.py", "manage.py", "wsgi.py", "asgi.py")


def with_guards_of_imports(
    files: Sequence[FileFacts], imported: Mapping[str, Sequence[Imported]]
) -> tuple[FileFacts, ...]:
    """``files`` with the guards round all imports of a module round what it holds.

    :param imported: what each file imports, by its path.
    """
    ways: dict[str, set[Condition]] = {}
    doubtful: set[str] = set()
    for facts in files:
        for one in imported[facts.path]:
            if one.file is None:
                doubtful.add(one.module.rpartition(".")[2])
            elif one.file.path != facts.path:
                of_types = one.statement.place == "type checking"  # says nothing about who runs the module
                condition = ("and",) if of_types else ("and", *_conditions(facts, one.statement.guard))
                ways.setdefault(one.file.path, set()).add(condition)
    return tuple([_behind(facts, ways.get(facts.path, set()), doubtful) for facts in files])


def _conditions(facts: FileFacts, number: int) -> Iterator[Condition]:
    while number > 0:
        guard = facts.guards[number]
        # whether another module fails when it is imported shows only when it is run
        if guard.condition and "missing" not in repr(guard.condition):
            yield guard.condition
        number = guard.parent


def _behind(facts: FileFacts, ways: set[Condition], doubtful: set[str]) -> FileFacts:
    name = facts.path.rpartition("/")[2]
    may_run_alone = name in _RUN_BY_OTHERS or name.startswith("test_") or name.removesuffix(".py") in doubtful
    if not ways or ("and",) in ways or may_run_alone:
        return facts
    round_all = len(facts.guards)
    guards = [guard._replace(parent=round_all) if guard.parent == 0 else guard for guard in facts.guards]
    guards.append(Guard(0, ("or", *sorted(ways, key=repr))))
    moved: dict[str, Any] = {
        what: tuple([one if one.guard else one._replace(guard=round_all) for one in getattr(facts, what)])
        for what in _HOLDING
    }
    return replace(facts, guards=tuple(guards), **moved)
