"""Find how the tests of services are run that are modules of one package around all of them.

With an ``__init__.py`` in each folder from ``application`` to ``application/orders/tests``, pytest puts the folder
around ``application`` on the path: https://docs.pytest.org/en/stable/explanation/pythonpath.html#import-modes. Such
tests import ``application.orders.app``, share a ``conftest.py``, read files by paths from there, and run in one
environment.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.fleet import RequirementSource, Service
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.core.text import join_names
from pytest_py312.repository.services.detection.service_files import ServiceFiles, imported_names, read_service_files
from pytest_py312.repository.services.detection.unread_service import read_or_mark
from pytest_py312.repository.tree import Tree, join_path, lies_in, relative_to

_SHARED_FILES = ("__init__.py", "conftest.py")

SourcesByName = Callable[[ServiceFiles], tuple[RequirementSource, ...]]
RequiredLines = Callable[[Sequence[RequirementSource]], Mapping[str, RequirementSource]]


def with_suites_of_packages(
    tree: Tree, services: Sequence[Service], test_sources: SourcesByName, required_lines: RequiredLines
) -> tuple[list[Service], list[str]]:
    """Return ``services``, those in a package around them with suites that run beside it, and what was assumed.

    What the plan says of a suite is kept. Such a suite gets the requirements for tests of the package, and the lines of
    other services in it that require what the shared modules import.

    :param test_sources: returns what tests require, by the names of files.
    :param required_lines: maps the projects that sources require, in the form of modules, to the line that does.
    """
    finder = _Finder(tree=tree, services=services, test_sources=test_sources, required_lines=required_lines)
    tested = [read_or_mark(service, finder.with_suite) for service in services]
    return tested, [
        f"{join_names(names, limit=5)}: modules of {package}, so their tests are run in the folder around it"
        f"{f', with {join_names(required)}' if required else ''}."
        for (package, required), names in finder.tested.items()
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Finder:
    tree: Tree
    services: Sequence[Service]
    test_sources: SourcesByName
    required_lines: RequiredLines
    tested: dict[tuple[str, tuple[str, ...]], list[str]] = field(default_factory=dict)
    """Outermost package and what was added to the requirements of tests -> names of services."""

    def with_suite(self, service: Service) -> Service:
        packages = tuple(self._packages_around(service.path))
        names = imported_names(self.tree, service.path) if packages and _may_run_elsewhere(service) else set()
        if service.suite is None or not packages or posixpath.basename(packages[-1]) not in names:
            return service
        folder = posixpath.dirname(packages[-1]) or "."
        shared = {package: tuple(self._folders_without_service(package)) for package in packages}
        needed = [path for folders in shared.values() for path in folders]
        places = (*needed, *(join_path(package, name) for package in packages for name in _SHARED_FILES))
        of_shared = {name for path in places for name in imported_names(self.tree, path)}
        names |= of_shared
        on_path = [package for package, folders in shared.items() if names & {*map(posixpath.basename, folders)}]
        required = tuple(self._additional_requirements(service, packages, of_shared))
        self.tested.setdefault((packages[-1], tuple(map(str, required))), []).append(service.name)
        python_path = (*service.python_path, *(posixpath.relpath(package, service.path) for package in on_path))
        return replace(
            service,
            suite=replace(
                service.suite, folder=folder, arguments=moved_arguments(self.tree, service.suite, folder, service.path)
            ),
            python_path=tuple(dict.fromkeys(python_path)),
            settings=replace(service.settings, needs=tuple(dict.fromkeys((*service.settings.needs, *needed)))),
            test_requirements=tuple(dict.fromkeys((*service.test_requirements, *required))),
        )

    def _packages_around(self, path: str) -> Iterator[str]:
        """Yield the packages around a folder that is one itself, the innermost first."""
        while self._is_package(path):
            path = posixpath.dirname(path) or "."
            if self._is_package(path):
                yield path

    def _is_package(self, path: str) -> bool:
        return path != "." and "__init__.py" in self.tree.list_folder(path).files

    def _folders_without_service(self, package: str) -> Iterator[str]:
        for name in self.tree.list_folder(package).folders:
            path = join_path(package, name)
            if not any(lies_in(service.path, path) for service in self.services):
                yield path

    def _additional_requirements(
        self, service: Service, packages: Sequence[str], imported: Set[str]
    ) -> Iterator[RequirementSource]:
        """Yield what tests of the packages require, and what other services there require of what is imported."""
        if service.settings.test_requirements is not None or service.test_recipe is not None:
            return
        others = [other for other in self.services if other.path.startswith(f"{packages[-1]}/")]
        missing = imported - self.required_lines((*service.requirements, *service.test_requirements)).keys()
        for package in packages:
            files = read_service_files(self.tree, package, [other.path for other in others])
            for source in self.test_sources(files):
                missing -= self.required_lines([source]).keys()
                yield source
        for source in (source for other in others for source in other.requirements if not source.settings.provided):
            lines = self.required_lines([source])
            for name in sorted(lines.keys() & missing):
                missing.discard(name)
                yield lines[name]


def _may_run_elsewhere(service: Service) -> bool:
    suite = service.suite
    is_own = suite is not None and suite.kind is SuiteKind.PYTEST and not suite.folder and not service.settings.suite
    return is_own and service.distribution is None


def moved_arguments(tree: Tree, suite: Suite, folder: str, path: str) -> tuple[str, ...]:
    """Return the arguments of a suite of the service at ``path`` for ``folder``, which is above it."""
    (inside,) = relative_to(folder, [path])
    arguments, has_path = [], False
    for argument in suite.arguments:
        ignored = argument.removeprefix("--ignore=")
        if ignored != argument:
            arguments.append(f"--ignore={join_path(inside, ignored)}")
        else:
            place = join_path(path, argument.partition("::")[0])
            is_path = not argument.startswith("-") and tree.exists(place)
            has_path = has_path or is_path
            arguments.append(join_path(inside, argument) if is_path else argument)
    return tuple(arguments if has_path else [inside, *arguments])
