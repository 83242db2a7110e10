"""What lies in no service: requirements and code that nobody judges, which is said."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from pytest_py312.core.model.plan import Plan
from pytest_py312.core.service_patterns import matches
from pytest_py312.repository.services.requirement_sources import is_requirements_path
from pytest_py312.repository.tree import Listing, Tree, join

SEARCH_DEPTH = 8
FOLDER_LIMIT = 50_000
"""Folders that are looked into."""
_SHOWN = 5
"""Files, or folders, that one sentence names."""


def is_excluded(plan: Plan, name: str, path: str) -> bool:
    """Whether the plan leaves out the folder ``path``, of a service of that ``name``."""
    return any(matches(pattern, name, path) for pattern in plan.exclude)


def unowned(plan: Plan, tree: Tree, services: Collection[str], read: Collection[str]) -> list[str]:
    """A sentence each about requirements and about code outside of ``services`` (paths), where there is any.

    ``read`` are further folders, whose code is judged with that of services.
    """
    requirements: list[str] = []
    code: Counter[str] = Counter()
    for path, listing in _outside(plan, tree, {*services}):
        requirements += [file for name in listing.files if is_requirements_path(file := join(path, name))]
        if not _is_within(path, read):
            found = sum(name.endswith(".py") for name in listing.files)
            code += Counter({path.partition("/")[0]: found})
    return [*_of_code(code), *_of_requirements(sorted(requirements))]


def _outside(plan: Plan, tree: Tree, services: set[str]) -> Iterator[tuple[str, Listing]]:
    """The folders that lie in no service, and are not hidden."""
    pending = [(".", 0)]
    for _ in range(FOLDER_LIMIT):
        if not pending:
            break
        path, depth = pending.pop()
        if path in services or (path != "." and is_excluded(plan, path.rpartition("/")[2], path)):
            continue
        listing = tree.listing(path)
        yield path, listing
        if depth < SEARCH_DEPTH:
            pending += [(join(path, name), depth + 1) for name in listing.folders if not name.startswith(".")]


def _is_within(path: str, folders: Iterable[str]) -> bool:
    return any(folder == "." or f"{path}/".startswith(f"{folder}/") for folder in folders)


def _of_code(code: Counter[str]) -> list[str]:
    """``code``: how many files there are in each folder of the root."""
    total = code.total()
    if not total:
        return []
    places = [
        "the root" if name == "." else name for name, _ in sorted(code.items(), key=lambda one: (-one[1], one[0]))
    ]
    listed = _listed(places)
    what = "1 Python file" if total == 1 else f"{total} Python files"
    verb, them = ("belongs", "it") if total == 1 else ("belong", "them")
    told = f"{what} (in {listed}) {verb} to no service, so nobody judges {them}"
    return [f"{told}: name a folder as a service, or in the `needs` of one."]


def _of_requirements(found: list[str]) -> list[str]:
    if not found:
        return []
    verb = "belongs" if len(found) == 1 else "belong"
    return [f"{_listed(found)} {verb} to no service, so nobody judges what is required there."]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
