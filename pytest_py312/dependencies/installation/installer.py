"""Turn the requirements of each cell into an installed environment whose modules were imported.

The stages, each with its own module: the request of a cell (``requests``), its source trees (``source_trees``), its
lock (``cell_locks``), the environment of a lock and the proof that it imports (``lock_installation``). Changes are
tried by the same stages (``trials``). Here they are put together: which requirements are left out because they cannot
be had and are not needed, and which system packages are added because the set lacks them. Each step is done once per
run, also with several workers.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.fleet import Cell, Program
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.diagnosis.locker import RESOLUTIONS_PER_CORE, Locker
from pytest_py312.dependencies.installation.cell_locks import CellLocks
from pytest_py312.dependencies.installation.lock_installation import LockInstaller
from pytest_py312.dependencies.installation.lockfile_diagnosis import LockFileDiagnosis
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.installation.source_trees import SourceTrees
from pytest_py312.dependencies.installation.trials import Trials
from pytest_py312.dependencies.proofs.import_check import ImportChecker
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.format_control import ALL, FormatControl
from pytest_py312.dependencies.resolution.lock import (
    PROJECT_NAME,
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

MAX_UNAVAILABLE = 5
"""Number of times that a set is tried without one more project that cannot be had here."""
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
        self._plan = plan
        self._runner = runner
        self._store = store
        self._environments = environments
        self._single_flight = single_flight
        self._parallel = parallel
        resolver_of_plan = make_resolver(plan, resolver, cache=cache, runner=runner)
        self.other_resolver: Resolver | None = None
        """The resolver that is used in place of that of the plan."""
        if choose_resolver is not None and (chosen := choose_resolver(plan, resolver_of_plan, runner)) is not (
            resolver_of_plan
        ):
            self.other_resolver = resolver_of_plan = chosen
        self._locker = Locker(
            cache=cache, resolver=resolver_of_plan, single_flight=single_flight, lock_hours=plan.lock_hours
        )
        self.request_builder = RequestBuilder(plan=plan, cache=cache, offline=resolver_of_plan.offline)
        self.requirements = self.request_builder.requirements
        self._builds = CellBuilds(runner, self.requirements.requires_git)
        self._diagnosis = LockFileDiagnosis(self.request_builder, self._locker)
        self._import_checker = ImportChecker(root=plan.root, runner=runner, environments=environments)
        self._trees = SourceTrees(
            plan=plan, request_builder=self.request_builder, store=store, single_flight=single_flight
        )
        self.locks = CellLocks(
            plan=plan,
            request_builder=self.request_builder,
            resolver=resolver_of_plan,
            locker=self._locker,
            diagnosis=self._diagnosis,
            builds=self._builds,
            trees=self._trees,
            store=store,
            single_flight=single_flight,
        )
        self._lock_installer = LockInstaller(
            plan=plan,
            request_builder=self.request_builder,
            builds=self._builds,
            trees=self._trees,
            locks=self.locks,
            locker=self._locker,
            diagnosis=self._diagnosis,
            store=store,
            environments=environments,
            import_checker=self._import_checker,
            single_flight=single_flight,
            imported_names=imported_names,
            started_programs=started_programs,
        )
        self.trials = Trials(
            cache=cache,
            runner=runner,
            request_builder=self.request_builder,
            builds=self._builds,
            trees=self._trees,
            locks=self.locks,
            locker=self._locker,
            store=store,
            lock_installer=self._lock_installer,
            import_checker=self._import_checker,
        )

    def attribute_to_lock_files(self, cell: Cell, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Attribute ``findings`` of a cell to its lock files, if only these require the versions that cause them.

        :raises CellUnavailable: there is no interpreter.
        """
        build = self._builds.find(cell)
        return self._diagnosis.attribute_to_lock_files(cell, build, lambda: self._trees.build(cell, build)[0], findings)

    def builds_without_compiler(self, installation: Installation, distribution: StoredDistribution) -> bool:
        """Return whether ``distribution``, which was compiled for ``installation``, needs no compiler.

        :returns: ``False`` if that cannot be tried.
        """
        pins = [pin for pin in installation.lock.pins if pin.name == distribution.name] if installation.lock else []
        if not pins or installation.build is None or installation.environment is None:
            return False
        name = f"without-compiler-{distribution.name}"
        result = self._environments.cached_result(installation.environment.key, name)
        if not isinstance(result, bool):
            try:
                result = self._store.builds_without_compiler(pins[0], installation.build, self._plan.build_limit)
            except Undetermined:
                return False
            self._environments.store_result(installation.environment.key, name, result)
        return result

    def build(self, cell: Cell) -> InterpreterBuild:
        """Return the interpreter build that the cell runs on.

        :raises CellUnavailable: there is none.
        """
        return self._builds.find(cell)

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
                    of_build = wheels.setdefault(self._builds.find(cell), {})
                    of_build.update({pin.line: pin for pin in lock.pins if not pin.from_source})
            for build, pins in wheels.items():
                # what has to be built is built for its cell, with the settings and the time limit of that
                self._store.fill([*pins.values(), *preinstalled(build)], build, _WHEELS_ONLY)
        except (CellUnavailable, Unresolvable, Undetermined):
            return  # the installation of each cell tries again and reports the failure

    def installation(self, cell: Cell) -> Installation:
        """Return the installed and imported environment of a cell, or why there is none."""
        installation = self._single_flight.run(_INSTALLATION.of(cell.identifier), lambda: self._install(cell))
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

        return self._single_flight.run(_ATTEMPT.of(cell.identifier, self.locks.build_digest(cell)), attempt)

    def _attempt_equipped(self, cell: Cell) -> Installation:
        """As :meth:`_attempt`, with the system packages of the service's own image if the set needs them.

        It does if the cell, its baseline or its target needs them: these are compared.
        """
        installation = self._attempt(cell)
        try:
            if not self._builds.can_equip(cell):
                return installation
            interpreters = needed_interpreters(cell, self._plan.target)
            others = [replace(cell, interpreter=interpreter) for interpreter in interpreters]
            if not any(self._needs_packages(other) for other in others):
                return installation
        except CellUnavailable:
            return installation
        failure = self._builds.equip(cell.service, interpreters)
        if not failure:
            return self._attempt(cell)
        if installation.unchecked:
            return replace(installation, unchecked=f"{installation.unchecked}; {failure}")
        lacking = lacks_packages(None, installation.imports)
        return replace(installation, environment=None, imports=None, unchecked=failure) if lacking else installation

    def _needs_packages(self, cell: Cell) -> bool:
        if not self._builds.can_equip(cell):
            return True  # it has them already
        attempt = self._attempt(cell)
        return lacks_packages(attempt.missing, attempt.imports)

    def _install(self, cell: Cell) -> Installation:
        installation = self._attempt_equipped(cell)
        if installation.environment is None or any((installation.imports or {}).values()):
            installation = self._without_dispensable(cell, installation)
        rest = self._install_rest(cell, installation.unavailable) if installation.unavailable else None
        if rest is None:
            return installation
        without = " and ".join(sorted(rest.unavailable))
        return replace(
            installation, rest=rest, unchecked=f"{installation.unchecked}; the other requirements were checked "
            f"without {without}",
        )  # fmt: skip

    def _without_dispensable(self, cell: Cell, installation: Installation) -> Installation:
        """Leave out what cannot be had and is not needed, see :attr:`Installation.dispensable`.

        Return ``installation`` with :attr:`Installation.dispensable` if that changes nothing.
        """
        dispensable = self._dispensable(cell)
        if not dispensable:
            return installation
        # if none of them is named, one of them may require what is
        left_out = dispensable & _blamed(installation) or dispensable
        if installation.environment is None and (installation.findings or installation.unavailable):
            rest = self._install_without(cell, left_out)
            for _ in range(MAX_UNAVAILABLE):
                more = (dispensable & _blamed(rest)) - left_out
                if rest.environment is not None or not more:
                    break
                left_out |= more
                rest = self._install_without(cell, left_out)
            reasons = _reasons_left_out(installation, rest, left_out)
            if reasons:
                return replace(rest, dispensable=dispensable, dispensed=reasons)
        return replace(installation, dispensable=dispensable)

    def _dispensable(self, cell: Cell) -> frozenset[str]:
        try:
            trees, _ = self._trees.build(cell, self._builds.find(cell))
        except (CellUnavailable, Undetermined):
            self.locks.mark_undetermined(cell)
            return frozenset()
        baseline = self.installation(cell.baseline_cell) if not cell.is_baseline else None
        environment = baseline.environment if baseline is not None else None
        return self.requirements.dispensable(cell.service, trees, environment.modules if environment else {})

    def _install_rest(self, cell: Cell, unavailable: Sequence[str]) -> Installation | None:
        """Install the requirements of a cell without those of ``unavailable`` that its files require.

        ``None`` if nothing else is required, or if that could not be checked either. What needs an unavailable project
        is not blamed: with it, the set might resolve.
        """
        names = set(unavailable)
        for _ in range(MAX_UNAVAILABLE):
            parts = {
                *self.requirements.directly_required(cell.service),
                *self.requirements.source_trees(cell.service),
            }
            if not names < parts:  # another requirement brings it, or nothing is left
                return self._judge_pins_alone(cell, names)
            rest = self._install_without(cell, names)
            if not rest.unchecked:
                findings = [finding for finding in rest.findings if not _is_about(finding, names)]
                return replace(rest, findings=tuple(findings), unavailable=tuple(names))
            if names >= set(rest.unavailable):
                return self._judge_pins_alone(cell, names)
            names |= set(rest.unavailable)
        return None

    def _judge_pins_alone(self, cell: Cell, names: set[str]) -> Installation | None:
        """Return what blocks each pinned version alone, for a set that cannot be installed even without ``names``."""
        from pytest_py312.dependencies.installation.source_builds import findings_on_pins_alone  # lazy: rarely needed

        try:
            build = self._builds.find(cell)
            request = self.request_builder.request(cell, (), (), unavailable=names)
            findings, left_out = findings_on_pins_alone(request, build, self._locker, self._store)
        except (CellUnavailable, Undetermined):
            return None
        return Installation(build=build, findings=findings, unavailable=(*names, *left_out)) if findings else None

    def _install_without(self, cell: Cell, names: Collection[str]) -> Installation:
        make_request = partial(self.request_builder.request, unavailable=names)
        try:
            build = self._builds.find(cell)
            trees, build_findings = self._trees.build(cell, build, names)
            try:
                lock = self._locker.lock(make_request(cell, trees, ()), build)
                lock = self._locker.keep_preinstalled(lock, build, partial(make_request, cell, trees))
            except Unresolvable as blocked:
                return Installation(build=build, findings=(*build_findings, *blocked.findings))
        except (CellUnavailable, Undetermined) as reason:
            return self.locks.unchecked(cell, reason)
        return self._lock_installer.install(
            cell, self.request_builder.as_installed(cell, lock), make_request, without=names
        )

    def check_imports(self, cell: Cell, modules: Sequence[str]) -> Mapping[str, str]:
        """Import ``modules`` in the environment of the cell; map each to the end of its traceback, empty if it imports.

        :raises Undetermined: they could not be imported for a reason outside of them.
        """
        cell_installation = self.installation(cell)
        if cell_installation.build is None or cell_installation.environment is None:
            raise Undetermined(cell_installation.unchecked or "the requirements are not installed")
        return self._import_checker.check(
            cell, cell_installation.build, cell_installation.environment, tuple(sorted(modules))
        )

    def is_intact(self, environment: Environment) -> bool:
        """Return whether a suite has left its environment unchanged; see :meth:`EnvironmentStore.is_intact`."""
        return self._environments.is_intact(environment)


def _blamed(installation: Installation) -> frozenset[str]:
    return frozenset(installation.unavailable).union(*(finding.names for finding in installation.findings))


def _is_about(finding: Finding, names: set[str]) -> bool:
    """Whether a finding is about one of some projects, or its message mentions one."""
    words = {canonicalize_name(word) for word in re.findall(PROJECT_NAME, finding.message)}
    return not names.isdisjoint(finding.names) or not names.isdisjoint(words)


def _reasons_left_out(whole: Installation, rest: Installation, left_out: Collection[str]) -> tuple[Finding, ...]:
    """Return the findings of ``whole`` that leaving out some projects takes away; an unknown result counts as one.

    Empty if that does not help.
    """
    remaining = {(finding.code, finding.message) for finding in rest.findings}
    gone = tuple(finding for finding in whole.findings if (finding.code, finding.message) not in remaining)
    if whole.unchecked and not rest.unchecked:
        names = tuple(sorted(left_out))
        message = f"{', '.join(names)} could not be checked: {whole.unchecked}"
        gone += (Finding(code="PY111", message=message, names=names),)
    return gone if rest.environment is not None or rest.findings else ()
