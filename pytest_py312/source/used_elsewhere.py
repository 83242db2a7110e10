"""Functions of which all uses in their own file are behind guards, held against the imports of the other files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_py312.source.facts import FileFacts, Guard
from pytest_py312.source.imported_files import WHOLE, Imported


def without_guesses(files: Sequence[FileFacts], imported: Mapping[str, Sequence[Imported]]) -> tuple[FileFacts, ...]:
    """``files`` with no guard round the body of a function that another file can use as well.

    :param imported: what each file imports, by its path.
    """
    asked = {facts.path for facts in files if facts.behind}
    if not asked:
        return tuple(files)
    taken: dict[str, set[str]] = {}
    for facts in files:
        for one in imported[facts.path]:
            if one.file is not None and one.file.path in asked and one.file.path != facts.path:
                taken.setdefault(one.file.path, set()).add(WHOLE if one.taken == "*" else one.taken)
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
