"""Names of the library that another file sets, which has run before: a module that this one imports, the packages it
lies in, the ``conftest.py`` of a test.

Not those of the whole service: which of its programs runs what first only running shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.source.facts import FileFacts, Patch
from pytest_py312.source.imported_files import Find, Imported


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
