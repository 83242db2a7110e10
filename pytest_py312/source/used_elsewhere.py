"""Functions of which all uses in their own file are behind guards, held against the imports of the other files."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_py312.source.facts import FileFacts, Guard

Find = Callable[[str, str], FileFacts | None]
WHOLE = ""
"""The name that stands for the module itself, which has all of its functions."""


def without_guesses(files: Sequence[FileFacts], find: Find) -> tuple[FileFacts, ...]:
    """``files`` with no guard round the body of a function that another file can use as well."""
    asked = {facts.path for facts in files if facts.behind}
    if not asked:
        return tuple(files)
    taken: dict[str, set[str]] = {}
    for facts in files:
        for one in facts.imports:
            module = "." * one.level + one.module
            inner = f"{module}{'' if module.endswith('.') else '.'}{one.name}" if one.name else ""
            for name, what in ((module, one.name), (inner, WHOLE)):
                file = find(name, facts.path) if name.strip(".") else None
                if file is not None and file.path in asked and file.path != facts.path:
                    taken.setdefault(file.path, set()).add(WHOLE if what == "*" else what)
    return tuple([_freed(facts, taken.get(facts.path, set())) for facts in files])


def _freed(facts: FileFacts, taken: set[str]) -> FileFacts:
    every = WHOLE in taken or any(one.name in taken for one in facts.classes)  # with a class come its methods
    numbers = [number for name, number in facts.behind if every or name in taken]
    if not numbers:
        return facts
    guards = list(facts.guards)
    for number in numbers:
        guards[number] = Guard(guards[number].parent)
    return replace(facts, guards=tuple(guards))
