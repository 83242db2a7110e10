"""Import what a service is started with, and what it imports only once it runs."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.fleet import Cell, Service, StartModule
from pytest_py312.core.model.measurements import StartImport
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.repository.tree import Tree, join_path
from pytest_py312.runners.runner import ProbeJob, Runner
from pytest_py312.runners.start_job import import_in_batches, import_start_modules, start_job

if TYPE_CHECKING:
    from pytest_py312.analysis.files.source_reader import ScannedSource

SETTINGS_LIMIT = 100
"""Maximum number of files with settings that are read of one service."""
SETTINGS_DEPTH = 5
CONFIRMED_LIMIT = 20
"""Maximum number of failing modules that are tried in processes of their own."""
TRIED_PROJECTS = 2
"""Number of libraries of which a newer version is tried for one module."""
_PACKAGE = re.compile(r"site-packages/([A-Za-z_]\w{0,100})(?:/|\.py\b)", re.ASCII)
_MISSING_PACKAGE = re.compile(r"No module named '(?P<name>\w{1,100})", re.ASCII)
Imports = Mapping[tuple[str, str], StartImport]
"""The folder and the name of a module -> how its import ended."""
_STARTED: Work[Mapping[str, StartImport]] = Work("start")


@dataclass(frozen=True, kw_only=True)
class StartImports:
    """The imports of the modules that services are started with, each in a cell and once in a run."""

    root: Path
    runner: Runner
    single_flight: SingleFlight
    installation: Callable[[Cell], Installation]
    mark_undetermined: Callable[[Cell], None]

    def of(self, cell: Cell) -> Mapping[str, StartImport]:
        """Return how the import of each module ended, by its name; nothing without an environment."""
        modules = cell.service.start_modules
        own = self._imports(cell, [module for module in modules if module.is_own], self.installation(cell))
        named = [module for module in modules if not module.is_own]
        return {**own, **self._imports(cell, named, self._as_started(cell))} if named else own

    def _as_started(self, cell: Cell) -> Installation:
        """Return what production installs, without what tests bring; all of it if that cannot be installed alone."""
        service = cell.service
        if not service.requirements or (service.suite is None and not service.test_requirements):
            return self.installation(cell)
        started = replace(
            service, name=f"{service.name}+start", test_requirements=(), suite=None, additional_requirements=(),
            test_recipe=None,
        )  # fmt: skip
        installation = self.installation(replace(cell, service=started))
        return installation if installation.environment is not None else self.installation(cell)

    def _imports(
        self, cell: Cell, modules: Sequence[StartModule], installation: Installation
    ) -> Mapping[str, StartImport]:
        environment, build = installation.environment, installation.build
        if not modules or environment is None or build is None:
            return {}
        started = replace(cell, service=replace(cell.service, start_modules=tuple(modules)))
        job = start_job(started, build, environment.folder, root=self.root, built=installation.built)
        imports = self.single_flight.run(
            _STARTED.of(cell.identifier, environment.key, modules[0].is_own),
            lambda: dict(import_start_modules(self.runner, job, dict(cell.service.declared_variables))),
        )
        if any(imported.is_unfinished for imported in imports.values()):
            self.mark_undetermined(cell)
        return imports


@dataclass(frozen=True, kw_only=True)
class ImportTrials:
    """What it takes to try modules. ``read`` returns ``None`` for a service whose source could not be read."""

    root: Path
    runner: Runner
    read: "Callable[[Service], ScannedSource | None]"
    installation: Callable[[Cell], Installation]
    start_imports: Callable[[Cell], Mapping[str, StartImport]]
    imports_with: Callable[[Cell, Sequence[str], Sequence[str]], Mapping[str, str] | None]
    """Imports modules with further requirements, see :class:`~pytest_py312.dependencies.installation.trials.Trials`."""

    def failures(self, cell: Cell, imported_files: frozenset[str]) -> Mapping[StartModule, StartImport]:
        """Return the modules that can be imported on the baseline only, and how their import ended in ``cell``.

        What fails among others is tried in a process of its own on both sides.

        :param imported_files: files of the service that its suite has imported here, relative to it.
        """
        modules = self._modules(cell, imported_files)
        if not modules:
            return {}
        baseline_job, job = self._job(cell.baseline_cell), self._job(cell)
        if baseline_job is None or job is None:
            return {}
        applications = [module.name for module in cell.service.start_modules if module.is_own and not module.is_program]

        def run(on: ProbeJob, tried: Sequence[StartModule], *, alone: bool = False) -> Imports:
            return import_in_batches(self.runner, on, tried, after=applications, alone=alone)

        earlier = run(baseline_job, modules)
        modules = [module for module in modules if _ends_well(earlier, module)]
        here = run(job, modules) if modules else {}
        failing = [module for module in modules if _fails(here, module)][:CONFIRMED_LIMIT]
        if not failing:
            return {}
        confirmed, earlier = run(job, failing, alone=True), run(baseline_job, failing, alone=True)
        return {
            module: self._with_remedy(cell, module, confirmed[module.folder, module.name])
            for module in failing
            if _fails(confirmed, module) and _ends_well(earlier, module)
        }

    def _with_remedy(self, cell: Cell, module: StartModule, imported: StartImport) -> StartImport:
        """Return an import with the newer version of a library with which it was tried and does not fail there."""
        environment = self.installation(cell).environment
        if environment is None:
            return imported
        packages = list(reversed(_PACKAGE.findall(imported.detail)))
        missing = _MISSING_PACKAGE.search(imported.last_line)
        tried = [*([missing["name"]] if missing else []), *packages]
        own = {entry.name for entry in self.installation(cell).distributions if entry.is_of_repository}
        by_project = {name: modules for name, modules in environment.modules.items() if name not in own}
        projects = [name for package in tried for name, modules in by_project.items() if package in modules]
        wanted = packages[0] if module.is_own and packages else module.name
        for project in list(dict.fromkeys(projects))[: TRIED_PROJECTS if packages else 0]:
            requirement = f"{project}>{environment.versions[project].partition('+')[0]}"
            imports = self.imports_with(cell, (requirement,), (wanted,))
            if imports is not None and imports.get(wanted) == "":
                remedy = f"require {requirement}: with it {wanted} can be imported on {cell.interpreter} (tried)"
                return replace(imported, remedy=remedy)
        return imported

    def _modules(self, cell: Cell, imported_files: frozenset[str]) -> Sequence[StartModule]:
        source = self.read(cell.service)
        if source is None:
            return ()
        from pytest_py312.analysis.libraries.later_imports import files_of_module, later_imports  # lazy: a heavy import

        modules = later_imports(source.facts, source.contents, self._settings(cell.service), cell.service)
        failing = self.installation(cell).imports or {}
        return [
            module
            for module in modules
            if (module.is_own and not imported_files & files_of_module(module))
            or (not module.is_own and not failing.get(module.name.partition(".")[0]))
        ]

    def _settings(self, service: Service) -> Mapping[str, str]:
        tree = Tree(self.root)
        files = tree.scan_folder(service.path, depth=SETTINGS_DEPTH).files
        from pytest_py312.analysis.libraries.later_imports import SETTINGS_SUFFIXES  # lazy: a heavy import

        names = sorted((name for name in files if name.endswith(SETTINGS_SUFFIXES)), key=_settings_order)
        return {name: tree.read_or_none(join_path(service.path, name)) or "" for name in names[:SETTINGS_LIMIT]}

    def _job(self, cell: Cell) -> ProbeJob | None:
        """Return the job of imports in a cell, with placeholders for what the start of the service lacks there."""
        installation = self.installation(cell)
        if installation.environment is None or installation.build is None:
            return None
        unstarted = replace(cell, service=replace(cell.service, start_modules=()))
        folder = installation.environment.folder
        job = start_job(unstarted, installation.build, folder, root=self.root, built=installation.built)
        started = self.start_imports(cell.baseline_cell).values()
        given = {name: value for imported in started for name, value in imported.placeholders}
        variables = {**given, **dict(job.variables)}  # others that compose files declare may lead to a database
        return replace(job, variables=tuple(variables.items()))


def _settings_order(path: str) -> tuple[bool, int, str]:
    """Return the order in which files are read: those with entry points first, then the outermost."""
    return path not in ("pyproject.toml", "setup.cfg"), path.count("/"), path


def _ends_well(imports: Imports, module: StartModule) -> bool:
    imported = imports.get((module.folder, module.name))
    return imported is not None and not imported.detail


def _fails(imports: Imports, module: StartModule) -> bool:
    imported = imports.get((module.folder, module.name))
    return imported is not None and bool(imported.detail) and not imported.is_unfinished
