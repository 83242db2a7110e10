"""The facts that checks ask for, each worked out once in a run: the one place where their sources meet.

plan + tree -> requirements -> lock -> environment -> suite runs, and beside them source, images and versions
"""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell, Service, cells_of
from pytest_py312.core.model.measurements import InterpreterBuild, SuiteRun
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.installation.distribution_store import Store
from pytest_py312.dependencies.installation.environments import Environments
from pytest_py312.dependencies.installation.installer import Installation, Installer, versions_of
from pytest_py312.dependencies.resolution.lock import Lock
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.gate.run.state import State
from pytest_py312.repository.services.requirement_set import RequirementSet
from pytest_py312.runners.runner import CellUnavailable, Runner
from pytest_py312.runners.suite_job import run_suite, suite_job

if TYPE_CHECKING:
    from pytest_py312.analysis.libraries.library_analysis import LibraryInspector
    from pytest_py312.analysis.services.service_analysis import Inspection, Inspector
    from pytest_py312.core.model.measurements import Speeds
    from pytest_py312.gate.benchmarks.service_benchmarks import SpeedTests
    from pytest_py312.gate.run.image_builds import ImageProofs
    from pytest_py312.repository.services.images import ImageRun
    from pytest_py312.repository.services.version_survey import Reading, VersionSurvey

WROTE_TO_ENVIRONMENT = (
    "its environment (site-packages, which cells share) was written to while it ran, by this suite or another one, and "
    "was thrown away. Keep suites from installing or patching there, or use the docker runner, where it is read-only"
)


class Gathering:
    """Works the facts out. Implements gate.checks.check.Facts. Safe for several threads; end it before its runner.

    Its parts are imported when they are first asked for: a run in which nothing has changed asks for few of them.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        runner: Runner,
        cache: Path,
        state: State,
        uv_version: str,
        parallel: int,
        once: Once,
        services: Sequence[Service] = (),
    ) -> None:
        """``services``: all of the fleet; what lies outside of their folders is read for those that it names."""
        self._plan = plan
        self._services = services
        self._cache = cache
        self._parallel = parallel
        self._runner = runner
        self._state = state
        self._once = once
        self._slots = threading.Semaphore(parallel)
        self._parts = Once(None)
        self._closed = threading.Event()
        self._cells: dict[str, tuple[Cell, ...]] = {}
        self.installed: frozenset[Cell] = frozenset()
        """The cells that are installed in this run."""
        self.measured = 1
        """How many services are measured in this run."""
        resolver = Resolver(cache=cache, runner=runner, uv_version=uv_version, lock_hours=plan.lock_hours)
        self._store = _store(cache, plan, resolver, runner, parallel)
        self.installer = Installer(
            plan=plan,
            cache=cache,
            runner=runner,
            resolver=resolver,
            store=self._store,
            environments=Environments(cache=cache, runner=runner),
            once=once,
            parallel=parallel,
        )

    # -- parts that a run in which nothing has changed does not need

    @property
    def inspector(self) -> "Inspector":
        """Who reads the source of services."""
        return self._parts("inspector", lambda: self._inspector_with({}))

    def _inspector_with(self, instead: Mapping[str, bytes]) -> "Inspector":
        from pytest_py312.analysis.services.service_analysis import Inspector

        return Inspector(
            plan=self._plan, cache=self._cache, runner=self._runner, processes=self._parallel, instead=instead
        )

    def _library_inspector(self) -> "LibraryInspector":
        from pytest_py312.analysis.libraries.library_analysis import LibraryInspector

        return LibraryInspector(
            plan=self._plan,
            cache=self._cache,
            runner=self._runner,
            installer=self.installer,
            store=self._store,
            read=self.inspector.read,
            processes=self._parallel,
            ended=self._closed,
        )

    def _survey(self) -> "VersionSurvey":
        from pytest_py312.repository.services.version_survey import VersionSurvey

        return self._parts("survey", lambda: VersionSurvey(self._plan.root, self._services, exclude=self._plan.exclude))

    def _image_proofs(self) -> "ImageProofs":
        from pytest_py312.gate.run.image_builds import ImageProofs

        return ImageProofs(plan=self._plan, runner=self._runner, survey=self._survey(), once=self._once)

    def _speed_tests(self) -> "SpeedTests":
        from pytest_py312.gate.benchmarks.service_benchmarks import SpeedTests

        return SpeedTests(
            plan=self._plan,
            runner=self._runner,
            cache=self._cache,
            slots=self._slots,
            parallel=self._parallel,
            installation=self.installation,
            files=self._survey().own_files,
            startable=self._image_proofs().startable,
            ended=self._closed,
        )

    # -- facts

    @property
    def plan(self) -> Plan:
        return self._plan

    def cells(self, service: Service) -> Sequence[Cell]:
        if service.name not in self._cells:
            self._cells[service.name] = cells_of(self._plan, service)
        return self._cells[service.name]

    def requirements(self, service: Service) -> RequirementSet:
        return self.installer.demands.requirements(service)

    def installation(self, cell: Cell) -> Installation:
        return self.installer.installation(cell)

    def repair(self, cell: Cell, findings: Sequence[Finding]) -> list[Finding]:
        from pytest_py312.dependencies.installation.repair import repair  # only what is blocked needs the index's side

        return repair(self.installer, cell, findings, self._plan.exclude_newer)

    def inspection(self, cell: Cell) -> "Inspection":
        return self._inspected(self.inspector, cell)

    def inspection_with(self, files: Mapping[str, bytes], services: Sequence[Service]) -> "dict[str, Inspection]":
        """What would be found in the source of ``services``, by name, if ``files`` (by path) held what they are to."""
        inspector = self._inspector_with(files)
        inspector.expect(services)
        targets = [self.cells(service)[-1] for service in services]
        return {cell.service.name: self._inspected(inspector, cell) for cell in targets}

    def _inspected(self, inspector: "Inspector", cell: Cell) -> "Inspection":
        declared = self.installer.demands.directly_required(cell.service)
        return inspector.inspect(cell, self._locked(cell), declared)

    def _locked(self, cell: Cell) -> Mapping[str, str] | None:
        """The versions of a cell's lock. Nobody is asked for it in a run that does not install the cell."""
        try:
            lock = self.installer.lock(cell) if cell in self.installed else self.installer.known_lock(cell)
        except CellUnavailable:  # told by what asks the interpreter itself
            return None
        return lock.versions if isinstance(lock, Lock) else None

    def libraries(self, cell: Cell) -> "Inspection":
        before = replace(cell, interpreter=cell.service.baseline)
        return self._parts("libraries", self._library_inspector).inspect(
            cell, self.installation(cell), self.installation(before)
        )

    def images(self, cell: Cell) -> "Sequence[ImageRun]":
        return self._parts("images", self._image_proofs).of(cell)

    def version_places(self, service: Service) -> "Reading":
        return self._survey().read(service)

    def speeds(self, cell: Cell) -> "Speeds":
        tests = self._parts("speeds", self._speed_tests)
        return self._once(f"speeds {cell.identifier}", lambda: tests.measure(cell, families=self.measured))

    def suite_run(self, cell: Cell, attempt: int = 0, select: tuple[str, ...] = ()) -> SuiteRun:
        chosen = (
            hashlib.sha256("\0".join(select).encode("utf-8", "surrogatepass")).hexdigest()[:16] if select else "all"
        )
        return self._once(f"run {cell.identifier} {attempt} {chosen}", lambda: self._run(cell, attempt, select))

    def _run(self, cell: Cell, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        installed = self.installation(cell)
        if installed.environment is None or installed.build is None:
            reason = installed.unchecked or "its requirements cannot be installed"
            return SuiteRun(interpreter=cell.interpreter, results={}, complete=False, trouble=reason)
        job = suite_job(
            cell,
            installed.build,
            installed.environment.folder,
            root=self._plan.root,
            built=installed.built,
            attempt=attempt,
            select=select,
        )
        with self._slots:
            if self._closed.is_set():
                return SuiteRun(interpreter=cell.interpreter, results={}, complete=False, trouble="the run was ended")
            run = run_suite(self._runner, job, cell, versions_of(installed))
            if self._runner.name == "local" and not self.installer.is_intact(installed.environment):
                run = replace(run, complete=False, trouble=WROTE_TO_ENVIRONMENT)
        if not select and run.complete:
            self._state.keep_duration(f"suite {cell.identifier}", run.seconds)
        return run

    def builds(self) -> tuple[InterpreterBuild, ...]:
        """The interpreter builds that were used."""
        found = []
        for interpreter in sorted({cell.interpreter for cells in self._cells.values() for cell in cells}):
            with suppress(CellUnavailable):
                found.append(self._runner.find(interpreter))
        return tuple(found)

    def end(self) -> None:
        """Start no further suite."""
        self._closed.set()


def _store(cache: Path, plan: Plan, resolver: Resolver, runner: Runner, parallel: int) -> Store:
    return Store(
        cache=cache,
        runner=runner,
        lock_hours=plan.lock_hours,
        uv_version=resolver.uv_version,
        settings=resolver.settings,
        builds_at_once=parallel,
    )
