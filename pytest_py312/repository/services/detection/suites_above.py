"""Find the tests of a service in a folder of tests beside it: ``tests/unit`` in the folder above several functions."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.fleet import RequirementSource, Service
from pytest_py312.repository.services.detection.service_files import ServiceFiles, read_service_files
from pytest_py312.repository.services.detection.suites import find_suite
from pytest_py312.repository.tree import Tree, join_path, relative_to

MAX_LEVELS = 3
"""Folders above a service in which its tests are searched."""
TEST_FOLDERS = ("tests", "test")
_FILE_LIMIT = 500
_TEST_FILE = re.compile(r"(?:test_[^/]*|[^/]*_test)\.py")
_NAMES_FOLDER = (
    r"^\s*(?:from|import)\s+{0}\b|(?:patch|setattr|import_module)\(\s*[\"']{0}\.|[\"'](?:\.{{1,2}}/)+{0}[\"'/]"
    r"|[Pp]ath\b[^\n]*[\"']{0}[\"'/]|/\s*[\"']{0}[\"']"
)
"""How a test names a folder, by its code or its path: the word alone may be part of an address, or a key."""

SourcesByName = Callable[[ServiceFiles], tuple[RequirementSource, ...]]


def with_suites_above(
    tree: Tree, services: Sequence[Service], test_sources: SourcesByName
) -> tuple[list[Service], list[str]]:
    """Return ``services``, those without tests with the tests beside them, and what was assumed, as sentences.

    Beside several services a test file is of those that it names by their path (``src/orders``, ``src.orders``) or, if
    that is one word, as code or folder (``import orders``, ``"../orders"``, ``sys.path.append("orders")``). Of
    tests beside each other in ``unit`` and in other folders only the former are run: the others need what is deployed.
    What the plan says of a suite is kept.

    :param test_sources: returns what tests require, by the names of files.
    """
    finder = _Finder(tree=tree, paths=[service.path for service in services], test_sources=test_sources)
    tested = [finder.with_suite(service) if _may_have(service) else service for service in services]
    return tested, [
        f"{service.name} is tested with {' '.join(service.suite.arguments[:3])} in {service.suite.folder}, which is "
        "beside it."
        for service in tested
        if service.suite is not None and service.suite.folder
    ]


def _may_have(service: Service) -> bool:
    settings = service.settings
    is_planned = settings.suite or settings.suite_skip_reason or settings.python_path is not None
    return service.path != "." and service.suite is None and not is_planned


@dataclass(frozen=True, kw_only=True, slots=True)
class _Finder:
    tree: Tree
    paths: Sequence[str]
    test_sources: SourcesByName
    files: dict[str, ServiceFiles] = field(default_factory=dict)
    """The files of folders above services, without these."""

    def with_suite(self, service: Service) -> Service:
        for folder in self._folders_above(service.path):
            name = next((name for name in TEST_FOLDERS if name in self.tree.list_folder(folder).folders), "")
            if name and not any(f"{path}/".startswith(f"{join_path(folder, name)}/") for path in self.paths):
                return self._with_tests_in(service, folder, name)
        return service

    def _folders_above(self, path: str) -> Iterator[str]:
        """Yield the folders above a service, the nearest first, up to the next one that is a service itself."""
        for _ in range(MAX_LEVELS):
            path = path.rpartition("/")[0] or "."
            if path in self.paths:
                return
            yield path
            if path == ".":
                return

    def _with_tests_in(self, service: Service, folder: str, name: str) -> Service:
        inner = [path for path in self.paths if folder == "." or path.startswith(f"{folder}/")]
        files = self.files.get(folder) or read_service_files(self.tree, folder, inner)
        self.files[folder] = files
        unit = [path for path in files.scan.files if path.startswith(f"{name}/unit/")]
        tests = unit or [path for path in files.scan.files if path.startswith(f"{name}/")]
        arguments: tuple[str, ...] = (f"{name}/unit" if unit else name,)
        if len(inner) > 1:
            arguments = tuple(self._naming(folder, tests, service))
            tests = list(arguments)
        texts = {path: text for path, text in files.texts.items() if "/" not in path}
        suite = find_suite(tests, files.scan.folders, texts).suite if tests else None
        if suite is None:
            return service
        needs = tuple(dict.fromkeys((*service.settings.needs, join_path(folder, name))))
        required = service.test_requirements
        if not required and service.settings.test_requirements is None and service.test_recipe is None:
            required = self.test_sources(files)
        return replace(
            service,
            suite=replace(suite, arguments=arguments, folder=folder),
            settings=replace(service.settings, needs=needs),
            test_requirements=required,
        )

    def _naming(self, folder: str, tests: Sequence[str], service: Service) -> Iterator[str]:
        """Yield the test files that name the path of a service."""
        (relative,) = relative_to(folder, [service.path])
        parts = [re.escape(part) for part in relative.split("/")]
        path = rf"(?<![\w-]){'[./]'.join(parts)}(?![\w-])"
        named = re.compile(path if len(parts) > 1 else _NAMES_FOLDER.format(*parts), re.MULTILINE)
        for path in [path for path in tests if _TEST_FILE.fullmatch(path.rpartition("/")[2])][:_FILE_LIMIT]:
            if named.search(self.tree.read_or_none(join_path(folder, path)) or ""):
                yield path
