"""Find the tests of a service in a folder of tests beside it: ``tests/unit`` in the folder above several functions."""

import ast
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.fleet import RequirementSource, Service
from pytest_py312.repository.formats.setuptools import last_name, parse_module
from pytest_py312.repository.recipes.suites.pytest_settings import TEST_FILE, settings_in_folder
from pytest_py312.repository.services.detection.service_files import ServiceFiles, read_service_files
from pytest_py312.repository.services.detection.suites import find_suite
from pytest_py312.repository.services.detection.unread_service import read_or_mark
from pytest_py312.repository.tree import Tree, join_path, lies_in, relative_to, with_outer_folders

MAX_LEVELS = 3
"""Folders above a service in which its tests are searched."""
TEST_FOLDERS = ("tests", "test")
SHARED_FIXTURES = "conftest.py"
_GENERIC_NAMES = frozenset({"app", "code", "function", "lambda", "lib", "main", "python", "source", "src"})
"""Folders of code: such a folder of tests is of any service."""
_FILE_LIMIT = 500
_IN_PLACE = re.compile(r"__file__|dirname|\bjoin\(")
"""What a line has whose path begins where the file is, and not in the working folder."""
_JOINING_CALLS = frozenset(("join", "joinpath", "Path"))
_NAMING_CALLS = re.compile(
    r"(?:.*\.)?(?:path\.(?:append|insert)|import_module|patch|setattr|syspath_prepend)", re.DOTALL
)

SourcesByName = Callable[[ServiceFiles], tuple[RequirementSource, ...]]


def with_suites_above(
    tree: Tree, services: Sequence[Service], test_sources: SourcesByName
) -> tuple[list[Service], list[str]]:
    """Return ``services``, those without tests with the tests beside them, and what was assumed, as sentences.

    Beside several services a test file is of those that it names, see :func:`names_folder`, of the only one that the
    ``conftest.py`` beside it names, or of the one whose path its folder repeats (``tests/unit/orders``). Of tests in
    ``unit`` and in folders beside it only the former are run: the others need what is deployed. What the plan says of a
    suite is kept.

    :param test_sources: returns what tests require, by the names of files.
    """
    finder = _Finder(tree=tree, paths=[service.path for service in services], test_sources=test_sources)
    tested = [read_or_mark(service, finder.with_suite) if _may_have(service) else service for service in services]
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
            names = self.tree.list_folder(folder).folders
            for name in TEST_FOLDERS:
                if name in names and not any(lies_in(path, join_path(folder, name)) for path in self.paths):
                    tested = self._with_tests_in(service, folder, name)
                    if tested.suite is not None:
                        return tested
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
            tests = self._tests_of(folder, tests, service)
            arguments = _widest(tests, files.scan.files)
        texts = {path: text for path, text in files.texts.items() if "/" not in path}
        suite = find_suite(tests, files.scan.folders, texts).suite if tests else None
        if suite is None:
            return service
        needs = tuple(dict.fromkeys((*service.settings.needs, join_path(folder, name))))
        place, named = self._written_paths(folder, tests, service)
        place = place or self._folder_with_settings(folder)
        needs = tuple(dict.fromkeys((*needs, *named)))
        arguments = tuple(posixpath.relpath(join_path(folder, path), place) for path in arguments)
        required = service.test_requirements
        if not required and service.settings.test_requirements is None and service.test_recipe is None:
            required = self._required_by(folder, tests) or self.test_sources(files)
        return replace(
            service,
            suite=replace(suite, arguments=arguments, folder=place),
            settings=replace(service.settings, needs=needs),
            test_requirements=required,
        )

    def _folder_with_settings(self, folder: str) -> str:
        """Return the nearest folder around the tests with settings for pytest, which are for them; else ``folder``.

        https://docs.pytest.org/en/stable/reference/customize.html#finding-the-rootdir
        """
        for place in with_outer_folders(folder):
            if place not in self.paths and settings_in_folder(self.tree, place).source:
                return place
        return folder

    def _tests_of(self, folder: str, tests: Sequence[str], service: Service) -> list[str]:
        """Return the test files that are of a service, relative to ``folder``."""
        (relative,) = relative_to(folder, [service.path])
        files = [path for path in tests if TEST_FILE.fullmatch(posixpath.basename(path))][:_FILE_LIMIT]
        mirrored = self._mirrored_folder(folder, files, relative)
        named: dict[str, bool] = {}
        for path in files:
            settings = join_path(posixpath.dirname(path), SHARED_FIXTURES)
            if settings not in named:
                named[settings] = self._is_only_named(folder, settings, service)

        def is_its(path: str) -> bool:
            text = self.tree.read_or_none(join_path(folder, path)) or ""
            has_fixtures = named[join_path(posixpath.dirname(path), SHARED_FIXTURES)]
            return names_folder(text, relative) or (has_fixtures and not self._names_another(folder, text, service))

        return [path for path in files if (mirrored and lies_in(path, mirrored)) or is_its(path)]

    def _is_only_named(self, folder: str, path: str, service: Service) -> bool:
        text = self.tree.read_or_none(join_path(folder, path)) or ""
        (relative,) = relative_to(folder, [service.path])
        return names_folder(text, relative) and not self._names_another(folder, text, service)

    def _names_another(self, folder: str, text: str, service: Service) -> bool:
        others = [other for other in relative_to(folder, self.paths) if join_path(folder, other) != service.path]
        return any(names_folder(text, other) for other in others)

    def _mirrored_folder(self, folder: str, tests: Sequence[str], relative: str) -> str:
        """Return the folder of tests with the name of a service, or the end of its path, which no other service has."""
        inner = relative_to(folder, self.paths)
        for end in _ends_of(relative):
            if end in _GENERIC_NAMES or any(f"/{other}".endswith(f"/{end}") for other in inner if other != relative):
                continue
            folders = {match[1] for path in tests if (match := re.match(rf"([^/]+(?:/unit)?/{re.escape(end)})/", path))}
            if len(folders) == 1:
                return folders.pop()
        return ""

    def _written_paths(self, folder: str, tests: Sequence[str], service: Service) -> tuple[str, list[str]]:
        """Return the folder in which ``"../../src"``, in a test or the fixtures beside it, is around the service, and
        the other folders that such paths are there.
        """
        places = dict.fromkeys(posixpath.dirname(join_path(folder, path)) for path in tests)
        files = [*(join_path(place, SHARED_FIXTURES) for place in places), *(join_path(folder, path) for path in tests)]
        for path in files[:_FILE_LIMIT]:
            text = self.tree.read_or_none(path) or ""
            tree, lines = parse_module(text) if "../" in text else None, text.split("\n")
            strings = _strings(tree) if tree is not None else ()
            upwards = ((value, lines[line - 1]) for value, line in strings if value.startswith("../"))
            written = [value for value, line in upwards if not _IN_PLACE.search(line)]
            for place in with_outer_folders(posixpath.dirname(path)):
                named = [join_path(place, value) for value in written] if place != "." else []
                if any(lies_in(service.path, each) for each in named):
                    return place, [each for each in named if self._is_beside(each, service)]
        return "", []

    def _is_beside(self, path: str, service: Service) -> bool:
        return self.tree.is_folder(path) and not (lies_in(service.path, path) or lies_in(path, service.path))

    def _required_by(self, folder: str, tests: Sequence[str]) -> tuple[RequirementSource, ...]:
        """Return the nearest requirements file in the folders of tests below ``folder``."""
        outer = posixpath.commonpath([posixpath.dirname(path) for path in tests])
        for place in with_outer_folders(outer):
            path = join_path(folder, place, "requirements.txt")
            if place != "." and self.tree.is_file(path):
                return (RequirementSource(path=path),)
        return ()


def _ends_of(path: str) -> Iterator[str]:
    """Yield a path and what is left of it without its first folders, the longest first."""
    parts = path.split("/")
    yield from ("/".join(parts[number:]) for number in range(len(parts)))


def _widest(tests: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    """Return a folder for all ``tests`` in it if it has no others, else each of them."""
    outer = posixpath.commonpath([posixpath.dirname(path) for path in tests]) if tests else ""
    inside = {path for path in files if lies_in(path, outer) and TEST_FILE.fullmatch(posixpath.basename(path))}
    return (outer,) if outer and inside == {*tests} else tuple(tests)


def names_folder(text: str, folder: str) -> bool:
    """Return whether a Python file imports from a folder, or has its path in a string.

    Comments, documentation and variables do not count. A single word counts in an import, as a part of a path that is
    joined (``root / "orders"``), or in a path that begins with a dot or ends with ``.py``: others may be data or URLs.
    """
    parts = folder.split("/")
    named = re.compile(rf"(?<![\w-]){r'[./]'.join(map(re.escape, parts))}(?![\w-])")
    if not named.search(text) and not all(part in text for part in parts):  # most files need not be parsed
        return False
    tree = parse_module(text)
    if tree is None:
        return False
    modules = (*_imported_modules(tree), *_named_modules(tree))
    if any(lies_in(module, folder) or (len(parts) > 1 and f"/{folder}/" in f"/{module}/") for module in modules):
        return True
    if any(f"/{folder}/" in f"/{path}/" for path in _joined_paths(tree)):
        return True
    strings = (value for value, _ in _strings(tree) if len(parts) > 1 or value[:1] == "." or value.endswith(".py"))
    return any(named.search(value) for value in strings)


def _imported_modules(tree: ast.Module) -> Iterator[str]:
    """Yield the modules, and the names that are imported from them, as paths."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.replace(".", "/") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}".replace(".", "/").strip("/") for alias in node.names)


def _named_modules(tree: ast.Module) -> Iterator[str]:
    """Yield, as paths, what ``patch("orders.app.run")`` and ``sys.path.insert(0, "orders")`` name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _NAMING_CALLS.fullmatch(ast.unparse(node.func)):
            values = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
            yield from (value.replace(".", "/") for value in values if isinstance(value, str))


def _joined_paths(tree: ast.Module) -> Iterator[str]:
    """Yield the strings of ``os.path.join("src", "orders")`` and ``root / "src" / "orders"``, joined."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            is_joined = name in _JOINING_CALLS and not isinstance(getattr(node.func, "value", None), ast.Constant)
        else:
            is_joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if is_joined:
            inner = (child for child in ast.walk(node) if isinstance(child, ast.Constant))
            ordered = sorted(inner, key=lambda child: (child.lineno, child.col_offset))
            yield "/".join(child.value.strip("/") for child in ordered if isinstance(child.value, str))


def _strings(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the strings that are not documentation, and their lines."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value, node.lineno
