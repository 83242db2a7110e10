"""Find the tests of a service in a folder of tests beside it: ``tests/unit`` in the folder above several functions."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.services.detection.service_files import ServiceFiles, read_service_files
from pytest_py312.repository.services.detection.suites import find_suite
from pytest_py312.repository.services.requirement_sources import detect_sources
from pytest_py312.repository.tree import Tree, join_path, relative_to

MAX_LEVELS = 3
"""Folders above a service in which its tests are searched."""
TEST_FOLDERS = ("tests", "test")
_FILE_LIMIT = 500


def with_suites_above(tree: Tree, services: Sequence[Service]) -> tuple[list[Service], list[str]]:
    """Return ``services``, those without tests with the tests beside them, and what was assumed, as sentences.

    Beside several services a test file is of those that it names by their path (``src/orders``, ``src.orders``). Of
    tests beside each other in ``unit`` and in other folders only the former are run: the others need what is deployed.
    What the plan says of a suite is kept.
    """
    paths = [service.path for service in services]
    found = [_with_suite(tree, service, paths) if _may_have(service) else service for service in services]
    return found, [
        f"{service.name} is tested with {' '.join(service.suite.arguments[:3])} in {service.suite.folder}, which is "
        "beside it."
        for service in found
        if service.suite is not None and service.suite.folder
    ]


def _may_have(service: Service) -> bool:
    settings = service.settings
    is_planned = settings.suite or settings.suite_skip_reason or settings.python_path is not None
    return service.path != "." and service.suite is None and not is_planned


def _with_suite(tree: Tree, service: Service, paths: Sequence[str]) -> Service:
    for folder in _folders_above(service.path, paths):
        name = next((name for name in TEST_FOLDERS if name in tree.list_folder(folder).folders), "")
        if name and not any(f"{path}/".startswith(f"{join_path(folder, name)}/") for path in paths):
            return _with_tests_in(tree, service, folder, name, paths)
    return service


def _folders_above(path: str, paths: Sequence[str]) -> Iterator[str]:
    """Yield the folders above a service, the nearest first, up to the next one that is a service itself."""
    for _ in range(MAX_LEVELS):
        path = path.rpartition("/")[0] or "."
        if path in paths:
            return
        yield path
        if path == ".":
            return


def _with_tests_in(tree: Tree, service: Service, folder: str, name: str, paths: Sequence[str]) -> Service:
    inner = [path for path in paths if folder == "." or path.startswith(f"{folder}/")]
    files = read_service_files(tree, folder, inner)
    unit = [path for path in files.scan.files if path.startswith(f"{name}/unit/")]
    tests = unit or [path for path in files.scan.files if path.startswith(f"{name}/")]
    if len(inner) > 1:
        tests = list(_naming(tree, files, tests, service))
    texts = {path: text for path, text in files.texts.items() if "/" not in path}
    suite = find_suite(tests, files.scan.folders, texts).suite if tests else None
    if suite is None:
        return service
    arguments = tuple(sorted(tests)) if len(inner) > 1 else (f"{name}/unit" if unit else name,)
    settings = replace(service.settings, needs=tuple(dict.fromkeys((*service.settings.needs, join_path(folder, name)))))
    required = service.test_requirements
    if not required and service.settings.test_requirements is None and service.test_recipe is None:
        required = detect_sources(files).tests
    return replace(
        service, suite=replace(suite, arguments=arguments, folder=folder), settings=settings, test_requirements=required
    )


def _naming(tree: Tree, files: ServiceFiles, tests: Sequence[str], service: Service) -> Iterator[str]:
    """Yield the test files that name the path of a service."""
    (relative,) = relative_to(files.path, [service.path])
    named = re.compile(rf"(?<![\w-]){r'[./]'.join(map(re.escape, relative.split('/')))}(?![\w-])")
    for path in tests[:_FILE_LIMIT]:
        if path.endswith(".py") and named.search(tree.read_or_none(join_path(files.path, path)) or ""):
            yield path
