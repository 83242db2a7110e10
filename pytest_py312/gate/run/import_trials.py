"""Try what a service imports only once it runs, on the baseline and on another interpreter."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_py312.analysis.files.source_reader import ScannedSource
from pytest_py312.analysis.libraries.later_imports import SETTINGS_SUFFIXES, files_of_module, later_imports
from pytest_py312.core.model.fleet import Cell, Service, StartModule
from pytest_py312.core.model.measurements import StartImport
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.repository.tree import Tree, join_path
from pytest_py312.runners.runner import ProbeJob, Runner
from pytest_py312.runners.start_job import import_in_batches, start_job

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


@dataclass(frozen=True, kw_only=True)
class ImportTrials:
    """What it takes to try modules. ``read`` returns ``None`` for a service whose source could not be read."""

    root: Path
    runner: Runner
    read: Callable[[Service], ScannedSource | None]
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
