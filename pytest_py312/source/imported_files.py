"""The files of a service that another one of it imports, looked up once for all that ask."""

from collections.abc import Callable
from typing import NamedTuple

from pytest_py312.source.facts import FileFacts, ModuleImport

Find = Callable[[str, str], FileFacts | None]
"""The file of a module (leading dots count up) that is imported in the file of a path."""
WHOLE = ""
"""What is taken of a module that is imported itself, with all that it has."""


class Imported(NamedTuple):
    """A module that an import may mean: ``from a import b`` is of ``a``, or of ``a.b``.

    ``taken`` is what it takes of ``module``; ``file`` is ``None`` where no file of the service is certain to be that.
    """

    statement: ModuleImport
    module: str
    taken: str
    file: FileFacts | None


def imported_files(facts: FileFacts, find: Find) -> tuple[Imported, ...]:
    """All that the imports of a file may mean."""
    found = []
    for one in facts.imports:
        module = "." * one.level + one.module
        ways = [(module, one.name)]
        if one.name:
            ways.append((f"{module}{'' if module.endswith('.') else '.'}{one.name}", WHOLE))
        for name, taken in ways:
            # the package that a file lies in is imported before it in any case
            found.append(Imported(one, name, taken, find(name, facts.path) if name.strip(".") else None))
    return tuple(found)
