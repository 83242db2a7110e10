"""Effects of imports between the files of a service: monkeypatches, guards around imports, and shared functions.

Patches: a file sees the patches of files that run before it: modules that it imports, the packages that contain it, and
the ``conftest.py`` of a test. Other files of the service do not count, since their order is known only at run time.

Guards: a module that is imported only inside of guards runs only where these hold. For example, ``if sys.version_info
>= (3, 12): from ._new import flag``, ``else: from ._old import flag`` determines when ``_old`` runs.

Functions: a function that its own file uses only inside of guards keeps them unless another file imports it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_py312.analysis.scanner.facts.facts import (
    Condition,
    FileFacts,
    Guard,
    ModuleImport,
    Monkeypatch,
    enclosing_guards,
)

FindModule = Callable[[str, str], FileFacts | None]
"""Returns the file of a module (with leading dots) that is imported in the file of a path."""


class ImportTarget(NamedTuple):
    """A module that an import may refer to: ``from a import b`` refers to ``a`` or to ``a.b``.

    ``member`` is what it takes of ``module``. ``file`` is ``None`` if no file of the service certainly is that module.
    """

    statement: ModuleImport
    module: str
    member: str
    file: FileFacts | None


def add_earlier_patches(
    files: Sequence[FileFacts], imported: Mapping[str, Sequence[ImportTarget]], find: FindModule
) -> tuple[FileFacts, ...]:
    """Return ``files`` with the patches of files that run before them.

    :param imported: the imports of each file, by path.
    """
    patching = {facts.path: facts for facts in files if facts.monkeypatches}
    if not patching:
        return tuple(files)
    earlier_files = files_run_before(files, patching, imported, find)
    patched = []
    for facts in files:
        other_files = [earlier_file for earlier_file in earlier_files[facts.path] if earlier_file.path != facts.path]
        patches = [
            Monkeypatch(patch.module, patch.path)
            for earlier_file in other_files
            for patch in earlier_file.monkeypatches
        ]
        patched.append(
            replace(facts, monkeypatches=(*facts.monkeypatches, *dict.fromkeys(patches))) if patches else facts
        )
    return tuple(patched)


def files_run_before(
    files: Sequence[FileFacts],
    setters: Mapping[str, FileFacts],
    imported: Mapping[str, Sequence[ImportTarget]],
    find: FindModule,
) -> dict[str, list[FileFacts]]:
    """Return, by path, which of the files ``setters`` run before each file, including the file itself."""
    imported_setters = {
        path: [target.file for target in targets if _runs_at_import(target, setters)]
        for path, targets in imported.items()
    }
    earlier_files = {}
    for facts in files:
        own_setter = [setters[facts.path]] if facts.path in setters else []
        run_files = [*own_setter, *_setters_run_before(facts, setters, imported_setters, find)]
        earlier_files[facts.path] = list({file.path: file for file in run_files}.values())
    return earlier_files


def _runs_at_import(target: ImportTarget, setters: Mapping[str, FileFacts]) -> bool:
    """Return whether the imported file is one of ``setters`` and is imported when the importing file starts."""
    return target.statement.scope == "module" and target.file is not None and target.file.path in setters


def _setters_run_before(
    facts: FileFacts,
    setters: Mapping[str, FileFacts],
    imported_setters: Mapping[str, Sequence[FileFacts | None]],
    find: FindModule,
) -> Iterator[FileFacts]:
    yield from filter(None, imported_setters[facts.path])
    folders = facts.path.split("/")[:-1]
    is_test = facts.path.rpartition("/")[2].startswith(("test_", "conftest.")) or facts.path.endswith("_test.py")
    for count in range(len(folders) + 1):
        folder = "/".join(folders[:count])
        package = find(".", f"{folder}/x.py") if folder else None
        if package is not None:
            yield from (package,) if package.path in setters else ()
            yield from filter(None, imported_setters[package.path])
        conftest = f"{folder}/conftest.py".removeprefix("/")
        if is_test and conftest in setters:
            yield setters[conftest]


_GUARDED_FIELDS = (
    "references", "imports", "rule_matches", "untyped_methods", "monkeypatches", "inherited_attributes",
    "indirect_references",
)  # fmt: skip
"""Fields of the facts whose entries have a guard."""
_ENTRY_POINT_FILES = ("__init__.py", "__main__.py", "conftest.py", "setup.py", "manage.py", "wsgi.py", "asgi.py")


def apply_import_guards(
    files: Sequence[FileFacts], imported: Mapping[str, Sequence[ImportTarget]]
) -> tuple[FileFacts, ...]:
    """Return ``files`` with the guards around all imports of a module applied to the contents of the module.

    :param imported: the imports of each file, by path.
    """
    import_conditions: dict[str, set[Condition]] = {}
    unresolved_names: set[str] = set()
    for facts in files:
        for target in imported[facts.path]:
            if target.file is None:
                unresolved_names.add(target.module.rpartition(".")[2])
            elif target.file.path != facts.path:
                for_type_checking = target.statement.scope == "type checking"  # does not run the module
                condition = (
                    ("and",) if for_type_checking else ("and", *_guard_conditions(facts, target.statement.guard))
                )
                import_conditions.setdefault(target.file.path, set()).add(condition)
    return tuple([_guard_file(facts, import_conditions.get(facts.path, set()), unresolved_names) for facts in files])


def _guard_conditions(facts: FileFacts, number: int) -> Iterator[Condition]:
    for guard in enclosing_guards(facts.guards, number):
        # whether another module fails on import is known only at run time
        if guard.condition and "missing" not in repr(guard.condition):
            yield guard.condition


def _guard_file(facts: FileFacts, import_conditions: set[Condition], unresolved_names: set[str]) -> FileFacts:
    name = facts.path.rpartition("/")[2]
    may_run_alone = (
        name in _ENTRY_POINT_FILES or name.startswith("test_") or name.removesuffix(".py") in unresolved_names
    )
    if not import_conditions or ("and",) in import_conditions or may_run_alone:
        return facts
    outer_guard = len(facts.guards)
    guards = [guard._replace(parent=outer_guard) if guard.parent == 0 else guard for guard in facts.guards]
    guards.append(Guard(0, ("or", *sorted(import_conditions, key=repr))))
    guarded_fields: dict[str, Any] = {
        field_name: tuple(
            [fact if fact.guard else fact._replace(guard=outer_guard) for fact in getattr(facts, field_name)]
        )
        for field_name in _GUARDED_FIELDS
    }
    return replace(facts, guards=tuple(guards), **guarded_fields)


WHOLE_MODULE = ""
"""Member of an import that binds the module itself, and thereby everything in it."""


def import_targets(facts: FileFacts, find: FindModule) -> tuple[ImportTarget, ...]:
    """Return everything that the imports of a file may refer to."""
    targets = []
    for statement in facts.imports:
        module = "." * statement.level + statement.module
        readings = [(module, statement.name)]
        if statement.name:
            readings.append((f"{module}{'' if module.endswith('.') else '.'}{statement.name}", WHOLE_MODULE))
        for name, member in readings:
            # the package that contains a file is always imported before it
            targets.append(ImportTarget(statement, name, member, find(name, facts.path) if name.strip(".") else None))
    return tuple(targets)


def unguard_shared_functions(
    files: Sequence[FileFacts], imported: Mapping[str, Sequence[ImportTarget]]
) -> tuple[FileFacts, ...]:
    """Return ``files`` without the guards around bodies of functions that other files can use as well.

    :param imported: the imports of each file, by path.
    """
    guarded_paths = {facts.path for facts in files if facts.guarded_functions}
    if not guarded_paths:
        return tuple(files)
    used_names: dict[str, set[str]] = {}
    for facts in files:
        for target in imported[facts.path]:
            if target.file is not None and target.file.path in guarded_paths and target.file.path != facts.path:
                used_names.setdefault(target.file.path, set()).add(
                    WHOLE_MODULE if target.member == "*" else target.member
                )
    return tuple([_unguard_functions(facts, used_names.get(facts.path, set())) for facts in files])


def _unguard_functions(facts: FileFacts, used_names: set[str]) -> FileFacts:
    all_used = WHOLE_MODULE in used_names or any(
        class_fact.name in used_names for class_fact in facts.classes
    )  # a class brings its methods along
    numbers = [number for name, number in facts.guarded_functions if all_used or name in used_names]
    if not numbers:
        return facts
    guards = list(facts.guards)
    for number in numbers:
        guards[number] = Guard(guards[number].parent)
    return replace(facts, guards=tuple(guards))
