"""Report requirements and code that belong to no service, and so are not checked."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from pytest_py312.core.model.plan import Plan
from pytest_py312.core.text import list_names
from pytest_py312.repository.services.detection.service_folders import FOLDER_LIMIT, SEARCH_DEPTH, is_excluded
from pytest_py312.repository.services.requirements.sources import is_requirements_path
from pytest_py312.repository.tree import FolderListing, Tree, join_path, lies_in

_MAX_LISTED = 5
"""Maximum number of files or folders that one sentence names."""


def describe_unassigned_files(
    plan: Plan, tree: Tree, services: Collection[str], judged_folders: Collection[str], read: Collection[str] = ()
) -> list[str]:
    """Return a sentence about requirements and one about code outside of ``services`` (paths), if there are any.

    ``judged_folders`` are other folders whose code is checked together with that of services, ``read`` files from which
    these have requirements.
    """
    requirements: list[str] = []
    code: Counter[str] = Counter()
    for path, listing in _unassigned_folders(plan, tree, {*services}):
        files = (join_path(path, name) for name in listing.files)
        requirements += [file for file in files if is_requirements_path(file) and file not in read]
        if not _is_within(path, judged_folders):
            file_count = sum(name.endswith(".py") for name in listing.files)
            code += Counter({path.partition("/")[0]: file_count})
    return [*_describe_code(code), *_describe_requirements(sorted(requirements))]


def _unassigned_folders(plan: Plan, tree: Tree, services: set[str]) -> Iterator[tuple[str, FolderListing]]:
    """Yield the folders that are in no service and not hidden."""
    pending = [(".", 0)]
    for _ in range(FOLDER_LIMIT):
        if not pending:
            break
        path, depth = pending.pop()
        if path in services or (path != "." and is_excluded(plan, path.rpartition("/")[2], path)):
            continue
        listing = tree.list_folder(path)
        yield path, listing
        if depth < SEARCH_DEPTH:
            pending += [(join_path(path, name), depth + 1) for name in listing.folders if not name.startswith(".")]


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(folder == "." or lies_in(path, folder) for folder in folders)


def _describe_code(code: Counter[str]) -> list[str]:
    """Describe the number of Python files by top-level folder."""
    total = code.total()
    if not total:
        return []
    folders = [
        "the root" if name == "." else name for name, _ in sorted(code.items(), key=lambda one: (-one[1], one[0]))
    ]
    listed = list_names(folders, _MAX_LISTED)
    files_text = "1 Python file" if total == 1 else f"{total} Python files"
    verb, pronoun = ("belongs", "it is") if total == 1 else ("belong", "they are")
    summary = f"{files_text} (in {listed}) {verb} to no service, so {pronoun} not checked"
    return [f"{summary}: name a folder as a service, or in the `needs` of one."]


def _describe_requirements(paths: list[str]) -> list[str]:
    if not paths:
        return []
    verb = "belongs" if len(paths) == 1 else "belong"
    return [f"{list_names(paths, _MAX_LISTED)} {verb} to no service, so what is required there is not checked."]
