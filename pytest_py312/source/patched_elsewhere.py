"""Names of the library that another file sets, which has run before: a module that this one imports, the packages it
lies in, the ``conftest.py`` of a test.

Not those of the whole service: which of its programs runs what first only running shows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pytest_py312.source.facts import FileFacts, Patch

Find = Callable[[str, str], FileFacts | None]
"""The file of a module (leading dots count up) that is imported in the file of a path."""


def with_patches(files: Sequence[FileFacts], find: Find) -> tuple[FileFacts, ...]:
    """``files`` with the patches of files that run before them."""
    setting = {facts.path: facts for facts in files if facts.patches}
    if not setting:
        return tuple(files)
    done = []
    for facts in files:
        before = {one.path: one for one in _run_before(facts, setting, find) if one.path != facts.path}
        patches = [Patch(patch.module, patch.path) for one in before.values() for patch in one.patches]
        done.append(replace(facts, patches=(*facts.patches, *dict.fromkeys(patches))) if patches else facts)
    return tuple(done)


def _run_before(facts: FileFacts, setting: dict[str, FileFacts], find: Find) -> Iterator[FileFacts]:
    yield from _imported(facts, setting, find)
    folders = facts.path.split("/")[:-1]
    is_test = facts.path.rpartition("/")[2].startswith(("test_", "conftest.")) or facts.path.endswith("_test.py")
    for count in range(len(folders) + 1):
        folder = "/".join(folders[:count])
        package = find(".", f"{folder}/x.py") if folder else None
        if package is not None:
            yield from (package,) if package.path in setting else ()
            yield from _imported(package, setting, find)
        conftest = f"{folder}/conftest.py".removeprefix("/")
        if is_test and conftest in setting:
            yield setting[conftest]


def _imported(facts: FileFacts, setting: dict[str, FileFacts], find: Find) -> Iterator[FileFacts]:
    """The files that set something and that a file imports as a whole, not in a function."""
    for one in facts.imports:
        if one.place != "module":
            continue
        module = "." * one.level + one.module
        inner = f"{module}{'' if module.endswith('.') else '.'}{one.name}" if one.name else ""
        for name in (module, inner):
            file = find(name, facts.path) if name.strip(".") or (name and not inner) else None
            if file is not None and file.path in setting:
                yield file
