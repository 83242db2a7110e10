"""Find the folder that tests are run in: the one from which the paths in them lead to what the repository has.

``open("application/orders/test/events/get.json")`` works at the root, where CI runs the suite of each service, and not
in the folder of the service.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import SuiteKind
from pytest_py312.repository.recipes.commands.file_map import is_related
from pytest_py312.repository.recipes.suites.pytest_settings import TEST_FILE
from pytest_py312.repository.services.detection.suites_of_packages import moved_arguments
from pytest_py312.repository.services.detection.unread_service import read_or_mark
from pytest_py312.repository.tree import Tree, join_path, leaves_root, with_outer_folders

FILE_LIMIT = 100
"""Test files that are read for one service."""
PATH_LIMIT = 500
"""Paths in them that are looked for."""
_FOLDER_DEPTH = 6
_PATH = re.compile(r"[\"'](?P<path>(?:\./)?[\w.-]{1,100}(?:/[\w.-]{1,100}){0,12}/?)[\"']", re.ASCII)


def with_working_folders(tree: Tree, services: Sequence[Service]) -> tuple[list[Service], list[str]]:
    """Return ``services``, those with paths of a folder around them in their tests with suites that run there, and what
    is assumed.

    What the plan says of a suite is kept.
    """
    moved = [read_or_mark(service, lambda each: _with_working_folder(tree, each)) for service in services]
    return moved, [
        f"{after.name} is tested in {after.suite.folder}, where the paths in its tests, or their imports, begin."
        for before, after in zip(services, moved, strict=True)
        if after.suite is not None and after.suite != before.suite
    ]


def _with_working_folder(tree: Tree, service: Service) -> Service:
    suite, settings = service.suite, service.settings
    is_planned = settings.suite is not None or settings.python_path is not None
    if suite is None or suite.folder or suite.kind is not SuiteKind.PYTEST or service.path == "." or is_planned:
        return service
    if _is_shadowed(tree, service):
        return _tested_around(tree, service)
    paths = list(islice(_paths_in_tests(tree, service), PATH_LIMIT))
    counts = Counter(
        folder for folder in with_outer_folders(service.path) for path in paths if _exists(tree, folder, path)
    )
    folder, count = max(counts.items(), key=lambda item: item[1], default=(service.path, 0))
    if folder == service.path or count <= counts[service.path]:
        return service
    named = (join_path(folder, path) for path in paths if _exists(tree, folder, path))
    needs = (path if tree.is_folder(path) else path.rpartition("/")[0] for path in named)
    outside = [path for path in needs if path and not is_related(path, [service.path])]
    return replace(
        service,
        suite=replace(suite, folder=folder, arguments=moved_arguments(tree, suite, folder, service.path)),
        python_path=tuple(dict.fromkeys((".", *service.python_path))),
        settings=replace(settings, needs=tuple(dict.fromkeys((*settings.needs, *outside)))),
    )


def _is_shadowed(tree: Tree, service: Service) -> bool:
    """Return whether tests import the folder of the service as a package, and a module in it has the same name.

    ``loader/loader.py`` is found before ``loader/``, which has no ``__init__.py``, wherever both are on the path.
    """
    name = posixpath.basename(service.path)
    listing = tree.list_folder(service.path)
    if f"{name}.py" not in listing.files or name in listing.folders or "__init__.py" in listing.files:
        return False
    imported = re.compile(rf"^[ \t]*(?:from|import)[ \t]+{re.escape(name)}\.\w", re.MULTILINE)
    return any(imported.search(text) for _, text in texts_of_tests(tree, service))


def _tested_around(tree: Tree, service: Service) -> Service:
    """Return a service whose suite runs beside its folder, which is not on the path."""
    folder = posixpath.dirname(service.path) or "."
    assert service.suite is not None
    return replace(
        service,
        suite=replace(
            service.suite, folder=folder, arguments=moved_arguments(tree, service.suite, folder, service.path)
        ),
        python_path=tuple(path for path in service.python_path if path != "."),
    )


def _paths_in_tests(tree: Tree, service: Service) -> Iterator[str]:
    """Yield the relative paths that are strings in the test files of a service."""
    for _, text in texts_of_tests(tree, service):
        for match in _PATH.finditer(text):
            path = match["path"]
            if ".." not in path.split("/") and ("/" in path or "." in path.strip(".")):
                yield path


def texts_of_tests(tree: Tree, service: Service) -> Iterator[tuple[str, str]]:
    """Yield the paths and texts of the test files of a service, by their names, and of ``conftest.py``."""
    scan = tree.scan_folder(service.path, depth=_FOLDER_DEPTH)
    nested = tuple(f"{path}/" for path in service.nested_folders)
    names = (name for name in scan.files if _is_for_tests(name.rpartition("/")[2]))
    tests = (path for name in names if not (path := join_path(service.path, name)).startswith(nested or ("\0",)))
    for path in islice(tests, FILE_LIMIT):
        yield path, tree.read_or_none(path) or ""


def _is_for_tests(name: str) -> bool:
    return name == "conftest.py" or TEST_FILE.fullmatch(name) is not None


def _exists(tree: Tree, folder: str, path: str) -> bool:
    """Return whether a folder has a file at ``path``, or a folder if it ends with a slash: others may be anything."""
    place = join_path(folder, path)
    return not leaves_root(place) and (tree.is_folder(place) if path.endswith("/") else tree.is_file(place))
