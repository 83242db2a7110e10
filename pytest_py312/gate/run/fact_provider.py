"""Provide the facts that checks request, each computed once per run.

plan + tree -> requirements -> lock -> environment -> suite runs; separately: source analysis, images, declared versions
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell, Program, Service, StartModule, cells_of
from pytest_py312.core.model.measurements import InterpreterBuild, StartImport, SuiteRun
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.dependencies.installation.installer import ChooseResolver, Installer
from pytest_py312.dependencies.installation.result import Installation, installed_versions
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.environments import EnvironmentStore
from pytest_py312.gate.run.source_analysis import SourceAnalysis
from pytest_py312.repository.services.requirements.requirement_set import RequirementSet
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.runner import CellUnavailable, Runner, further_cells
from pytest_py312.runners.suite_job import run_suite, suite_job
from pytest_py312.runners.surroundings import Surroundings

if TYPE_CHECKING:
    from pytest_py312.analysis.files.source_reader import ScannedSource
    from pytest_py312.analysis.libraries.library_analysis import LibraryAnalyzer
    from pytest_py312.analysis.libraries.service_imports import NeighborModules
    from pytest_py312.analysis.services.service_analysis import AnalysisResult, ServiceAnalyzer
    from pytest_py312.core.model.measurements import BenchmarkResults
    from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
    from pytest_py312.gate.benchmarks.service_benchmarks import BenchmarkRunner
    from pytest_py312.gate.run.image_builds import ImageBuilds
    from pytest_py312.gate.run.import_trials import ImportTrials, StartImports
    from pytest_py312.repository.services.images import ImageCheckResult
    from pytest_py312.repository.services.version_survey import DeclaredVersions, VersionSurvey

WROTE_TO_ENVIRONMENT = (
    "its environment (site-packages, which cells share) was written to while it ran, by this suite or another one, and "
    "was removed. Keep suites from installing or patching there, or use the docker runner, where it is read-only"
)

# what is shared by all workers
_IMPORT_TRIALS: "Work[ImportTrials]" = Work("import trials")
_START_IMPORTS: "Work[StartImports]" = Work("start imports")
_BENCHMARKS: "Work[BenchmarkResults]" = Work("speeds")
_SUITE_RUN: Work[SuiteRun] = Work("run")
# what each process has of its own
_SERVICE_ANALYZER: "Work[ServiceAnalyzer]" = Work("service analyzer")
_LIBRARY_ANALYZER: "Work[LibraryAnalyzer]" = Work("library analyzer")
_VERSION_SURVEY: "Work[VersionSurvey]" = Work("version survey")
_IMAGE_BUILDS: "Work[ImageBuilds]" = Work("image builds")
_BENCHMARK_RUNNER: "Work[BenchmarkRunner]" = Work("benchmark runner")
_NEIGHBORS: "Work[NeighborModules]" = Work("neighbors")
_IMPORTED_NAMES: Work[Sequence[str]] = Work("imported names")
_PROGRAMS: Work[Sequence[Program]] = Work("programs")


class FactProvider:
    """Provider of facts; implements :class:`~pytest_py312.gate.checks.check.Facts`. Thread-safe.

    Stop it before its runner is closed. Its components are imported on first use: a run without changes needs few of
    them.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        runner: Runner,
        cache: Path,
        uv_version: str,
        parallel: int,
        single_flight: SingleFlight,
        services: Sequence[Service] = (),
        choose_resolver: ChooseResolver | None = None,
    ) -> None:
        """
        :param services: all services of the fleet; shared files are attributed to those that they name.
        """
        self._plan = plan
        self._services = services
        self._surroundings = Surroundings(plan.root, services)
        self._cache = cache
        self._parallel = parallel
        self._runner = runner
        self._single_flight = single_flight
        self._cells_at_once = parallel + further_cells(runner)
        self._slots = threading.Semaphore(self._cells_at_once)
        self._components = SingleFlight(None)
        self._closed = threading.Event()
        self._cells: dict[str, tuple[Cell, ...]] = {}
        self.installed_cells: frozenset[Cell] = frozenset()
        """Cells that are installed in this run."""
        self.measured_services = 1
        """Number of services that are benchmarked in this run."""
        self.seconds_ahead: dict[tuple[str, str], float] = {}
        """Wall time of what was done for a cell ahead of a check, by cell and check: its share of the installation of
        several cells, and the first run of its suite."""
        self.suite_warnings: Callable[[Cell], SuiteRun] = self.suite_run
        resolver = UvResolver(cache=cache, runner=runner, uv_version=uv_version, lock_hours=plan.lock_hours)
        self._store = DistributionStore(
            cache=cache,
            runner=runner,
            lock_hours=plan.lock_hours,
            uv_version=resolver.uv_version,
            uv_settings=resolver.settings_toml,
            parallel_builds=parallel,
        )
        self.installer = self._make_installer(resolver, choose_resolver)
        self._source_analysis = SourceAnalysis(
            installer=self.installer, is_installed=lambda cell: cell in self.installed_cells
        )

    def _make_installer(self, resolver: UvResolver, choose_resolver: ChooseResolver | None) -> Installer:
        return Installer(
            plan=self._plan,
            cache=self._cache,
            runner=self._runner,
            resolver=resolver,
            store=self._store,
            environments=EnvironmentStore(cache=self._cache, runner=self._runner),
            single_flight=self._single_flight,
            parallel=self._parallel,
            imported_names=self._imported_names,
            started_programs=self._started_programs,
            choose_resolver=choose_resolver,
        )

    def discarded_distributions(self) -> tuple[str, ...]:
        """Return what was removed from the store in this run, as it had changed since it was installed."""
        return tuple(self._store.discarded)

    # -- components that a run without changes does not need

    @property
    def service_analyzer(self) -> "ServiceAnalyzer":
        """The analyzer of the source of services."""
        return self._components.run(_SERVICE_ANALYZER, lambda: self._service_analyzer_with({}))

    def _service_analyzer_with(self, overrides: Mapping[str, bytes]) -> "ServiceAnalyzer":
        from pytest_py312.analysis.services.service_analysis import ServiceAnalyzer

        return ServiceAnalyzer(
            plan=self._plan, cache=self._cache, runner=self._runner, processes=self._parallel, overrides=overrides
        )

    def _library_analyzer(self) -> "LibraryAnalyzer":
        from pytest_py312.analysis.libraries.library_analysis import LibraryAnalyzer

        return LibraryAnalyzer(
            plan=self._plan,
            cache=self._cache,
            runner=self._runner,
            installer=self.installer,
            store=self._store,
            read=self.service_analyzer.read,
            processes=self._parallel,
            ended=self._closed,
        )

    def _version_survey(self) -> "VersionSurvey":
        from pytest_py312.repository.services.version_survey import VersionSurvey

        return self._components.run(
            _VERSION_SURVEY, lambda: VersionSurvey(self._plan.root, self._services, exclude=self._plan.exclude)
        )

    def _image_builds(self) -> "ImageBuilds":
        from pytest_py312.gate.run.image_builds import ImageBuilds

        return ImageBuilds(
            plan=self._plan, runner=self._runner, survey=self._version_survey(), single_flight=self._single_flight
        )

    def _benchmark_runner(self) -> "BenchmarkRunner":
        from pytest_py312.gate.benchmarks.service_benchmarks import BenchmarkRunner

        return BenchmarkRunner(
            plan=self._plan,
            runner=self._runner,
            cache=self._cache,
            slots=self._slots,
            parallel=self._cells_at_once,
            installation=self.installation,
            files_of=self._version_survey().own_files,
            startable_image=self._image_builds().startable_image,
            run_ended=self._closed,
        )

    def _read_source(self, service: Service) -> "ScannedSource | None":
        """Return the Python files of a service; ``None`` if an interpreter that has to read them is not there."""
        from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable

        try:
            return self.service_analyzer.read(service)
        except (InterpreterUnavailable, CellUnavailable):
            return None

    def _imported_names(self, cell: Cell) -> Sequence[str]:
        """Return what the source of a service imports of other projects whenever it runs; nothing if it is unread."""
        from pytest_py312.analysis.libraries.service_imports import NeighborModules, run_time_imports

        def collect() -> Sequence[str]:
            source = self._read_source(cell.service)
            if source is None:
                return ()
            tree = Tree(self._plan.root)
            neighbors = self._components.run(_NEIGHBORS, lambda: NeighborModules(tree))
            return run_time_imports(source.facts, source.contents, cell, tree, neighbors)

        # each trial of a change asks again
        return self._components.run(_IMPORTED_NAMES.of(cell.identifier), collect)

    def _started_programs(self, cell: Cell) -> Sequence[Program]:
        """Return the programs that the source of a service starts; nothing if it is unread."""
        from pytest_py312.analysis.libraries.named_programs import programs_started_by

        def collect() -> Sequence[Program]:
            source = self._read_source(cell.service)
            return () if source is None else programs_started_by(source.contents, cell.service.path)

        return self._components.run(_PROGRAMS.of(cell.service.path), collect)

    # -- facts

    @property
    def plan(self) -> Plan:
        return self._plan

    def cells(self, service: Service) -> Sequence[Cell]:
        if service.name not in self._cells:
            self._cells[service.name] = cells_of(self._plan, service)
        return self._cells[service.name]

    def requirements(self, service: Service) -> RequirementSet:
        return self.installer.requirements.of(service)

    def optional_requirements(self, service: Service) -> Mapping[str, str]:
        from pytest_py312.repository.services.requirements.uninstalled import (
            optional_requirements,  # lazy: rarely needed
        )

        return optional_requirements(Tree(self._plan.root), service)

    def installation(self, cell: Cell) -> Installation:
        return self.installer.installation(cell)

    def start_imports(self, cell: Cell) -> Mapping[str, StartImport]:
        return self._components.run(_START_IMPORTS, self._start_imports).of(cell)

    def _start_imports(self) -> "StartImports":
        from pytest_py312.gate.run.import_trials import StartImports

        return StartImports(
            root=self._plan.root, runner=self._runner, single_flight=self._single_flight,
            installation=self.installation, mark_undetermined=self.installer.locks.mark_undetermined,
        )  # fmt: skip

    def later_failures(self, cell: Cell, imported_files: frozenset[str]) -> Mapping[StartModule, StartImport]:
        return self._components.run(_IMPORT_TRIALS, self._import_trials).failures(cell, imported_files)

    def _import_trials(self) -> "ImportTrials":
        from pytest_py312.gate.run.import_trials import ImportTrials

        return ImportTrials(
            root=self._plan.root, runner=self._runner, read=self._read_source, installation=self.installation,
            start_imports=self.start_imports, imports_with=self.installer.trials.imports_with,
        )  # fmt: skip

    def builds_without_compiler(self, installation: Installation, distribution: "StoredDistribution") -> bool:
        return self.installer.builds_without_compiler(installation, distribution)

    def repair(self, cell: Cell, findings: Sequence[Finding]) -> list[Finding]:
        from pytest_py312.dependencies.installation.repair import repair  # lazy: only needed for blocked sets

        unavailable = {
            name
            for installation in (self.installation(cell), self.installation(cell.baseline_cell))
            for name in (installation.rest or installation).unavailable
        }
        with PROGRESS.activity("trying other versions for", cell.title):
            return repair(self.installer, cell, findings, self._plan.exclude_newer, frozenset(unavailable))

    def source_analysis(self, cell: Cell) -> "AnalysisResult":
        return self._source_analysis.with_tried_advice(self.service_analyzer, cell)

    def source_analysis_with(
        self, files: Mapping[str, bytes], services: Sequence[Service]
    ) -> "dict[str, AnalysisResult]":
        """Analyze ``services`` with other contents for some ``files`` (by path); return the results by service name."""
        analyzer = self._service_analyzer_with(files)
        analyzer.register(services)
        targets = [self.cells(service)[-1] for service in services]
        return {cell.service.name: self._source_analysis.result(analyzer, cell) for cell in targets}

    def library_analysis(self, cell: Cell) -> "AnalysisResult":
        installations = self.installation(cell), self.installation(cell.baseline_cell)
        with PROGRESS.activity("reading the libraries of", cell.title):
            return self._components.run(_LIBRARY_ANALYZER, self._library_analyzer).analyze(cell, *installations)

    def image_runs(self, cell: Cell) -> "Sequence[ImageCheckResult]":
        return self._components.run(_IMAGE_BUILDS, self._image_builds).results(cell)

    def declared_versions(self, service: Service) -> "DeclaredVersions":
        return self._version_survey().read(service)

    def benchmark_results(self, cell: Cell) -> "BenchmarkResults":
        benchmark_runner = self._components.run(_BENCHMARK_RUNNER, self._benchmark_runner)
        return self._single_flight.run(
            _BENCHMARKS.of(cell.identifier),
            lambda: benchmark_runner.measure(cell, measured_services=self.measured_services),
        )

    def suite_run(self, cell: Cell, attempt: int = 0, select: tuple[str, ...] = ()) -> SuiteRun:
        """Run the suite of a cell once, or the tests ``select`` of it."""
        run = self._single_flight.run(
            _SUITE_RUN.of(cell.identifier, attempt, *select),
            lambda: self._run_suite(cell, self.installation(cell), attempt, select),
        )
        if not (attempt or select):
            self.seconds_ahead[cell.identifier, "suite"] = run.seconds
        return run

    def suite_run_with_baseline_versions(self, cell: Cell, select: tuple[str, ...]) -> SuiteRun | None:
        baseline = self.installation(cell.baseline_cell)
        alike = self.installer.trials.with_versions(cell, installed_versions(baseline))
        if alike.environment is None or alike.incomplete:
            return None
        run = self._run_suite(cell, alike, self._plan.reruns + 1, select)  # no other run has this attempt meanwhile
        if not run.complete:
            self.installer.locks.mark_undetermined(cell)
        return run

    def suite_trials(self, service: Service, select: tuple[str, ...], files: Mapping[str, bytes]) -> list[SuiteRun]:
        """Run tests with other contents for some files: on the baseline, and on the target if it has an environment."""
        cells = dict.fromkeys((self.cells(service)[0], self.cells(service)[-1]))
        with suppress(CellUnavailable):
            installed = [cell for cell in cells if self.installation(cell).environment is not None]
            return [self._run_suite(cell, self.installation(cell), 0, select, files) for cell in installed]
        return []

    def _run_suite(
        self,
        cell: Cell,
        cell_installation: Installation,
        attempt: int,
        select: tuple[str, ...],
        replaced: Mapping[str, bytes] | None = None,
    ) -> SuiteRun:
        if cell_installation.environment is None or cell_installation.build is None:
            reason = cell_installation.unchecked or "its requirements cannot be installed"
            return SuiteRun(interpreter=cell.interpreter, results={}, complete=False, incomplete_reason=reason)
        job = suite_job(
            cell,
            cell_installation.build,
            cell_installation.environment.folder,
            root=self._plan.root,
            built=cell_installation.built,
            attempt=attempt,
            select=select,
            around=self._surroundings.files(cell.service),
            replaced=replaced,
        )
        with self._slots:
            if self._closed.is_set():
                return SuiteRun(
                    interpreter=cell.interpreter, results={}, complete=False, incomplete_reason="the run was ended"
                )
            with PROGRESS.activity("suite", cell.title):
                run = run_suite(self._runner, job, cell, installed_versions(cell_installation))
            if self._runner.name == "local" and not self.installer.is_intact(cell_installation.environment):
                run = replace(run, complete=False, incomplete_reason=WROTE_TO_ENVIRONMENT)
        return run

    def builds(self) -> tuple[InterpreterBuild, ...]:
        """Return the interpreter builds that were used."""
        used_builds = []
        for interpreter in sorted({cell.interpreter for cells in self._cells.values() for cell in cells}):
            with suppress(CellUnavailable):
                used_builds.append(self._runner.find_interpreter(interpreter))
        return tuple(used_builds)

    def stop(self) -> None:
        """Prevent further suites from starting."""
        self._closed.set()
