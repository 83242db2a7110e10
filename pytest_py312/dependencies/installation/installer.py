"""Turn the requirements of each cell into an installed environment whose modules were imported.

The stages, each with its own module: the request of a cell (``requests``), its source trees (``source_trees``), its
lock (``cell_locks``), the environment of a lock and the proof that it imports (``lock_installation``). Changes are
tried by the same stages (``trials``), and requirements left out that cannot be had (``reduced_sets``). Here they are
put together, with the system packages that a set lacks. Each step is done once per run, also with several workers.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.fleet import Cell, Program
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.diagnosis.locker import RESOLUTIONS_PER_CORE, Locker
from pytest_py312.dependencies.installation.cell_locks import CellLocks, InstallationParts
from pytest_py312.dependencies.installation.lock_installation import LockInstaller
from pytest_py312.dependencies.installation.lockfile_diagnosis import LockFileDiagnosis
from pytest_py312.dependencies.installation.reduced_sets import ReducedSets
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.installation.source_trees import SourceTrees
from pytest_py312.dependencies.installation.trials import Trials
from pytest_py312.dependencies.proofs.import_check import ImportChecker
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.format_control import ALL, FormatControl
from pytest_py312.dependencies.resolution.lock import (
    DependencyLock,
    Pin,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    preinstalled,
)
from pytest_py312.dependencies.resolution.resolvers import Resolver, make_resolver
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.environments import Environment, EnvironmentStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.system_packages import CellBuilds, lacks_packages, needed_interpreters
from pytest_py312.runners.runner import CellUnavailable, Runner

_WHEELS_ONLY = ResolutionRequest(lines=(), formats=FormatControl(wheel_only=frozenset({ALL})))
_INSTALLATION: Work[Installation] = Work("installation")
_ATTEMPT: Work[Installation] = Work("attempt")


ChooseResolver = Callable[[Plan, Resolver, Runner], Resolver]
"""Returns the resolver to use, given that of the plan."""


class Installer:
    """Builder of installations. Safe for threads and, through ``single_flight``, for xdist workers.

    ``locks`` and ``trials`` are the stages that others ask as well.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        cache: Path,
        runner: Runner,
        resolver: UvResolver,
        store: DistributionStore,
        environments: EnvironmentStore,
        single_flight: SingleFlight,
        parallel: int,
        imported_names: Callable[[Cell], Collection[str]] = lambda _: (),
        started_programs: Callable[[Cell], Collection[Program]] = lambda _: (),
        choose_resolver: ChooseResolver | None = None,
    ) -> None:
        """
        :param imported_names: returns the dotted names of other projects that the service of a cell imports whenever
            it runs; the last part may be an attribute.
        :param started_programs: returns the programs that the source of the service of a cell starts.
        :param choose_resolver: may return another resolver than that of the plan.
        """
        self._runner = runner
        self._parallel = parallel
        resolver_of_plan = make_resolver(plan, resolver, cache=cache, runner=runner)
        chosen = choose_resolver(plan, resolver_of_plan, runner) if choose_resolver is not None else resolver_of_plan
        self.other_resolver = chosen if chosen is not resolver_of_plan else None
        """The resolver that is used in place of that of the plan."""
        self.request_builder = RequestBuilder(plan=plan, cache=cache, offline=chosen.offline)
        self.requirements = self.request_builder.requirements
        locker = Locker(cache=cache, resolver=chosen, single_flight=single_flight, lock_hours=plan.lock_hours)
        self._parts = InstallationParts(
            plan=plan,
            request_builder=self.request_builder,
            builds=CellBuilds(runner, self.requirements.requires_git),
            trees=SourceTrees(
                plan=plan, request_builder=self.request_builder, store=store, single_flight=single_flight
            ),
            locker=locker,
            diagnosis=LockFileDiagnosis(self.request_builder, locker),
            store=store,
            environments=environments,
            import_checker=ImportChecker(root=plan.root, runner=runner, environments=environments),
            single_flight=single_flight,
        )
        self.locks = CellLocks(self._parts, chosen)
        self._lock_installer = LockInstaller(self._parts, self.locks, imported_names, started_programs)
        self.trials = Trials(self._parts, self.locks, self._lock_installer, cache=cache, runner=runner)
        self._reduced_sets = ReducedSets(self._parts, self.locks, self._lock_installer, self.installation)

    def attribute_to_lock_files(self, cell: Cell, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Attribute ``findings`` of a cell to its lock files, if only these require the versions that cause them.

        :raises CellUnavailable: there is no interpreter.
        """
        build = self._parts.builds.find(cell)
        return self._parts.diagnosis.attribute_to_lock_files(
            cell, build, lambda: self._parts.trees.build(cell, build)[0], findings
        )

    def builds_without_compiler(self, installation: Installation, distribution: StoredDistribution) -> bool:
        """Return whether ``distribution``, which was compiled for ``installation``, needs no compiler.

        :returns: ``False`` if that cannot be tried.
        """
        pins = [pin for pin in installation.lock.pins if pin.name == distribution.name] if installation.lock else []
        if not pins or installation.build is None or installation.environment is None:
            return False
        name = f"without-compiler-{distribution.name}"
        result = self._parts.environments.cached_result(installation.environment.key, name)
        if not isinstance(result, bool):
            try:
                result = self._parts.store.builds_without_compiler(
                    pins[0], installation.build, self._parts.plan.build_limit
                )
            except Undetermined:
                return False
            self._parts.environments.store_result(installation.environment.key, name, result)
        return result

    def build(self, cell: Cell) -> InterpreterBuild:
        """Return the interpreter build that the cell runs on.

        :raises CellUnavailable: there is none.
        """
        return self._parts.builds.find(cell)

    def group_by_interpreter(self, cells: Sequence[Cell]) -> dict[Interpreter, list[Cell]]:
        """Group ``cells`` and their baseline cells by interpreter, in ascending order and without duplicates."""
        cells_by_interpreter: dict[Interpreter, dict[str, Cell]] = {}
        for cell in cells:
            for needed_cell in (cell, cell.baseline_cell):
                cells_by_interpreter.setdefault(needed_cell.interpreter, {})[needed_cell.identifier] = needed_cell
        return {
            interpreter: list(cells_by_interpreter[interpreter].values())
            for interpreter in sorted(cells_by_interpreter)
        }

    def prepare(self, interpreter: Interpreter, cells: Sequence[Cell]) -> bool:
        """Resolve many cells of an interpreter, and install their wheels together.

        Failures are not reported here, but when the installation of the cell is requested.
        """
        with ThreadPoolExecutor(RESOLUTIONS_PER_CORE * self._parallel) as pool:
            locks = list(pool.map(self._resolved_ahead, cells))
        self._fill_store(interpreter, cells, locks)
        return True

    def _resolved_ahead(self, cell: Cell) -> DependencyLock | None:
        with suppress(Exception):  # raised again where the result is needed
            resolved = self.locks.resolved(cell)
            return resolved if isinstance(resolved, DependencyLock) else None
        return None

    def _fill_store(
        self, interpreter: Interpreter, cells: Sequence[Cell], locks: Sequence[DependencyLock | None]
    ) -> None:
        """Install the wheels of ``locks``, together for those with the same build of ``interpreter``."""
        try:
            wheels: dict[InterpreterBuild, dict[str, Pin]] = {self._runner.find_interpreter(interpreter): {}}
            for cell, lock in zip(cells, locks, strict=True):
                if lock is not None:
                    of_build = wheels.setdefault(self._parts.builds.find(cell), {})
                    of_build.update({pin.line: pin for pin in lock.pins if not pin.from_source})
            for build, pins in wheels.items():
                # what has to be built is built for its cell, with the settings and the time limit of that
                self._parts.store.fill([*pins.values(), *preinstalled(build)], build, _WHEELS_ONLY)
        except (CellUnavailable, Unresolvable, Undetermined):
            return  # the installation of each cell tries again and reports the failure

    def installation(self, cell: Cell) -> Installation:
        """Return the installed and imported environment of a cell, or why there is none."""
        installation = self._parts.single_flight.run(_INSTALLATION.of(cell.identifier), lambda: self._install(cell))
        # another process may have found that out
        if installation.unchecked or lacks_packages(None, installation.imports):
            self.locks.mark_undetermined(cell)
        return installation

    def _attempt(self, cell: Cell) -> Installation:
        """Resolve and install the whole set of a cell, on the build that it has at this moment."""

        def attempt() -> Installation:
            lock = self.locks.lock_or_failure(cell)
            if isinstance(lock, Installation):
                return lock
            return self._lock_installer.install(cell, lock, self.request_builder.request)

        return self._parts.single_flight.run(_ATTEMPT.of(cell.identifier, self.locks.build_digest(cell)), attempt)

    def _attempt_equipped(self, cell: Cell) -> Installation:
        """As :meth:`_attempt`, with the system packages of the service's own image if the set needs them.

        It does if the cell, its baseline or its target needs them: these are compared.
        """
        installation = self._attempt(cell)
        try:
            if not self._parts.builds.can_equip(cell):
                return installation
            interpreters = needed_interpreters(cell, self._parts.plan.target)
            others = [replace(cell, interpreter=interpreter) for interpreter in interpreters]
            if not any(self._needs_packages(other) for other in others):
                return installation
        except CellUnavailable:
            return installation
        failure = self._parts.builds.equip(cell.service, interpreters)
        if not failure:
            return self._attempt(cell)
        if installation.unchecked:
            return replace(installation, unchecked=f"{installation.unchecked}; {failure}")
        lacking = lacks_packages(None, installation.imports)
        return replace(installation, environment=None, imports=None, unchecked=failure) if lacking else installation

    def _needs_packages(self, cell: Cell) -> bool:
        if not self._parts.builds.can_equip(cell):
            return True  # it has them already
        attempt = self._attempt(cell)
        return lacks_packages(attempt.missing, attempt.imports)

    def _install(self, cell: Cell) -> Installation:
        installation = self._attempt_equipped(cell)
        if installation.environment is None or any((installation.imports or {}).values()):
            installation = self._reduced_sets.without_dispensable(cell, installation)
        rest = self._reduced_sets.install_rest(cell, installation.unavailable) if installation.unavailable else None
        if rest is None:
            return installation
        without = " and ".join(sorted(rest.unavailable))
        return replace(
            installation, rest=rest, unchecked=f"{installation.unchecked}; the other requirements were checked "
            f"without {without}",
        )  # fmt: skip

    def check_imports(self, cell: Cell, modules: Sequence[str]) -> Mapping[str, str]:
        """Import ``modules`` in the environment of the cell; map each to the end of its traceback, empty if it imports.

        :raises Undetermined: they could not be imported for a reason outside of them.
        """
        cell_installation = self.installation(cell)
        if cell_installation.build is None or cell_installation.environment is None:
            raise Undetermined(cell_installation.unchecked or "the requirements are not installed")
        return self._parts.import_checker.check(
            cell, cell_installation.build, cell_installation.environment, tuple(sorted(modules))
        )

    def is_intact(self, environment: Environment) -> bool:
        """Return whether a suite has left its environment unchanged; see :meth:`EnvironmentStore.is_intact`."""
        return self._parts.environments.is_intact(environment)
