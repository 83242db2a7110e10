"""Names of the library that another file sets, which has run before: a module that this one imports, the packages it
lies in, the ``conftest.py`` of a test.

Not those of the whole service: which of its programs runs what first only running shows.

Modules that are imported behind guards only: what stands round all their imports stands round all they hold.

``if sys.version_info >= (3, 12): from ._new import flag``, ``else: from ._old import flag`` says when ``_old`` runs.

The files of a service that another one of it imports, looked up once for all that ask.

Functions of which all uses in their own file are behind guards, held against the imports of the other files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_py312.analysis.scanner.facts.facts import Condition, FileFacts, Guard, ModuleImport, Patch

Find = Callable[[str, str], FileFacts | None]
"""The file of a module (leading dots count up) that is imported in the file of a path."""


class Imported(NamedTuple):
    """A module that an import may mean: ``from a import b`` is of ``a``, or of ``a.b``.

    ``taken`` is what it takes of ``module``; ``file`` is ``None`` where no file of the service is certain to be that.
    """

    statement: ModuleImport
    module: str
    taken: str
    file: FileFacts | None


def with_patches(
    files: Sequence[FileFacts], imported: Mapping[str, Sequence[Imported]], find: Find
) -> tuple[FileFacts, ...]:
    """``files`` with the patches of files that run before them.

    :param imported: what each file imports, by its path.
    """
    setting = {facts.path: facts for facts in files if facts.patches}
    if not setting:
        return tuple(files)
    before = run_before(files, setting, imported, find)
    done = []
    for facts in files:
        others = [one for one in before[facts.path] if one.path != facts.path]
        patches = [Patch(patch.module, patch.path) for one in others for patch in one.patches]
        done.append(replace(facts, patches=(*facts.patches, *dict.fromkeys(patches))) if patches else facts)
    return tuple(done)


def run_before(
    files: Sequence[FileFacts], setting: Mapping[str, FileFacts], imported: Mapping[str, Sequence[Imported]], find: Find
) -> dict[str, list[FileFacts]]:
    """Which of the files ``setting`` something have run before each file, or are that file; by its path."""
    at_once = {path: [one.file for one in of_it if _runs_at_once(one, setting)] for path, of_it in imported.items()}
    found = {}
    for facts in files:
        own = [setting[facts.path]] if facts.path in setting else []
        ones = [*own, *_run_before(facts, setting, at_once, find)]
        found[facts.path] = list({one.path: one for one in ones}.values())
    return found


def _runs_at_once(one: Imported, setting: Mapping[str, FileFacts]) -> bool:
    """Whether it sets something, as the file that imports it begins."""
    return one.statement.place == "module" and one.file is not None and one.file.path in setting


def _run_before(
    facts: FileFacts,
    setting: Mapping[str, FileFacts],
    at_once: Mapping[str, Sequence[FileFacts | None]],
    find: Find,
) -> Iterator[FileFacts]:
    yield from filter(None, at_once[facts.path])
    folders = facts.path.split("/")[:-1]
    is_test = facts.path.rpartition("/")[2].startswith(("test_", "conftest.")) or facts.path.endswith("_test.py")
    for count in range(len(folders) + 1):
        folder = "/".join(folders[:count])
        package = find(".", f"{folder}/x.py") if folder else None
        if package is not None:
            yield from (package,) if package.path in setting else ()
            yield from filter(None, at_once[package.path])
        conftest = f"{folder}/conftest.py".removeprefix("/")
        if is_test and conftest in setting:
            yield setting[conftest]


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


WHOLE = ""
"""What is taken of a module that is imported itself, with all that it has."""


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
