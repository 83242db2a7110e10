"""Turn the requirements of each cell into an installed environment whose modules were imported.

Steps: read the requirements, resolve the whole set for the interpreter of the cell, install what the store lacks (for
all cells of an interpreter together), link the environment, import what is directly required. Each step is done once
per run, also with several workers.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.core.model.fleet import Cell, Program, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.diagnosis.locker import RESOLUTIONS_PER_CORE, Locker
from pytest_py312.dependencies.installation.console_scripts import (
    importable_modules,
    installed_modules,
    start_modules_of_programs,
    start_modules_of_project,
)
from pytest_py312.dependencies.installation.distribution_store import (
    DistributionStore,
    StoredDistribution,
)
from pytest_py312.dependencies.installation.download_size import download_size
from pytest_py312.dependencies.installation.environments import Environment, EnvironmentStore
from pytest_py312.dependencies.installation.hash_checking import unhashed_findings
from pytest_py312.dependencies.installation.import_check import ImportChecker
from pytest_py312.dependencies.installation.lockfile_diagnosis import LockFileDiagnosis
from pytest_py312.dependencies.installation.requests import (
    MAX_OLDER_ATTEMPTS,
    RequestBuilder,
    excluded_by_requires_python,
    older_than,
    tool_constraints,
    with_requirement,
)
from pytest_py312.dependencies.installation.verification import ExpectedDistribution, incomplete_reason
from pytest_py312.dependencies.resolution.lock import (
    PROJECT_NAME,
    DependencyLock,
    Pin,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    preinstalled,
)
from pytest_py312.dependencies.resolution.resolvers import make_resolver
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.dependencies.system.build_tools import MissingTool
from pytest_py312.dependencies.system.system_packages import (
    CellBuilds,
    installation_hint,
    lacks_packages,
    needed_interpreters,
)
from pytest_py312.repository.services.requirement_sources import installed_sets
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.fingerprints import copy_tree
from pytest_py312.runners.git_version import write_repository
from pytest_py312.runners.runner import CellUnavailable, Runner

if TYPE_CHECKING:
    from pytest_py312.dependencies.diagnosis.package_index import PackageIndex
    from pytest_py312.dependencies.diagnosis.repair_search import RequirementChange

WITHOUT_LOCK = "unresolvable "
"""Begins the digest of a set that has no lock."""
MAX_UNAVAILABLE = 5
"""Number of times that a set is tried without one more project that cannot be had here."""
WORK_OF_BLOCKED_SET = 5
"""Number of source builds that a set without a lock takes: what blocks it is tried one by one."""
TRIAL_BUILD_TIME_LIMIT = 90.0
"""Time limit of the build of one source when a change is only tried, in seconds."""
TRIAL_SIZE_LIMIT = 1024**3
"""Limit of the download for a change that is only tried, in bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """The result of resolving, installing and importing the requirements of a cell.

    ``environment`` is ``None`` if there is none: because of blocking ``findings``, or because the result is unknown
    (``unchecked`` is the reason). ``incomplete`` says how an environment differs from what is required: what runs in it
    may fail, but it proves nothing. ``built``: the service itself was built and is installed in it. ``imports`` maps
    each module of the directly required distributions to the end of its traceback, empty if it imports.
    ``source_imports`` are those of its modules that were imported only because the source of the service imports them,
    or starts a program that does: some need a configuration that only the service makes, so one that fails says
    something if it imports elsewhere.

    ``unavailable`` are the projects for which it is unknown, if it is not because of all. ``rest`` is then the
    installation without them: only its findings count, as what runs in it may miss them.
    """

    build: InterpreterBuild | None = None
    lock: DependencyLock | None = None
    environment: Environment | None = None
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""
    incomplete: str = ""
    built: bool = False
    imports: Mapping[str, str] | None = None
    source_imports: frozenset[str] = frozenset()
    unneeded_imports: frozenset[str] = frozenset()
    """Those that fail and that nothing of the service names or starts: some need an extra, or another program."""
    distributions: tuple[StoredDistribution, ...] = ()
    unavailable: tuple[str, ...] = ()
    missing: MissingTool | None = None
    """What the machine or the image lacks, if nothing else is the reason."""
    rest: "Installation | None" = None
    dispensable: frozenset[str] = frozenset()
    """Projects that only tests or development require, and that nothing of the service names; empty if no finding is
    about one."""
    dispensed: tuple[Finding, ...] = ()
    """Why ``environment`` is without some of ``dispensable``. They do not block the service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockedSet:
    """A set of requirements without a lock, and what is known of it before its sources are built one by one."""

    build: InterpreterBuild
    trees: tuple[StoredDistribution, ...]
    build_findings: tuple[Finding, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeBuild:
    """The result of building a source tree: a distribution, or findings, or why there is no result."""

    distribution: StoredDistribution | None = None
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""
    missing: MissingTool | None = None


_LOCK: Work[DependencyLock | Installation] = Work("lock")
_RESOLVED: Work["DependencyLock | BlockedSet | Installation"] = Work("resolved")
_INSTALLATION: Work[Installation] = Work("installation")
_ATTEMPT: Work[Installation] = Work("attempt")
_SOURCE_COPY: Work[bool] = Work("copy")
_TREE_BUILD: Work[TreeBuild] = Work("tree")
_ENVIRONMENT: Work[Environment] = Work("environment")
_IMPORTS: Work[Mapping[str, str]] = Work("imports")


class Installer:
    """Builder of installations. Safe for threads and, through ``single_flight``, for xdist workers."""

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
    ) -> None:
        """
        :param imported_names: returns the dotted names of other projects that the service of a cell imports whenever
            it runs; the last part may be an attribute.
        :param started_programs: returns the programs that the source of the service of a cell starts.
        """
        self._plan = plan
        self._imported_names = imported_names
        self._started_programs = started_programs
        self._cache = cache
        self._runner = runner
        self._resolver = make_resolver(plan, resolver, cache=cache, runner=runner)
        self._store = store
        self._environments = environments
        self._single_flight = single_flight
        self._parallel = parallel
        self._import_checker = ImportChecker(root=plan.root, runner=runner, environments=environments)
        self._locker = Locker(
            cache=cache, resolver=self._resolver, single_flight=single_flight, lock_hours=plan.lock_hours
        )
        self.request_builder = RequestBuilder(plan=plan, cache=cache)
        self._builds = CellBuilds(runner, self.request_builder.requires_git)
        self._lock_file_diagnosis = LockFileDiagnosis(self.request_builder, self._locker)
        self._undetermined: set[str] = set()

    def mark_undetermined(self, cell: Cell) -> None:
        """Note that something about the set of a cell, or about a change of it, could not be determined in this run."""
        self._undetermined.add(cell.service.path)

    def is_determined(self, service: Service) -> bool:
        """Return whether findings on ``service`` rest on its content only, and not on what this run could not do."""
        return service.path not in self._undetermined and not self._locker.lacks_pages()

    # -- locks

    def cached_lock(self, cell: Cell) -> DependencyLock | None:
        """Return the lock of the cell if it is cached, without asking a resolver; otherwise ``None``."""
        build = self._builds.find(cell)
        built_trees = self._cached_trees(cell, build)
        if built_trees is None:
            return None
        constraints: tuple[str, ...] = ()
        if not cell.is_baseline:
            baseline_lock = self.cached_lock(_baseline_cell(cell))
            constraints = tool_constraints(baseline_lock) if baseline_lock else ()
        for constraint_set in dict.fromkeys((constraints, ())):
            lock = self._resolver.cached_lock(self.request_builder.request(cell, built_trees, constraint_set), build)
            if lock is not None:
                adjusted_lock = self._locker.keep_preinstalled_from_cache(
                    lock,
                    build,
                    partial(self.request_builder.request, cell, built_trees, extra_constraints=constraint_set),
                )
                return self.request_builder.as_installed(cell, adjusted_lock) if adjusted_lock else None
        return None

    def _cached_trees(self, cell: Cell, build: InterpreterBuild) -> list[StoredDistribution] | None:
        """Return the source trees of a cell; ``None`` if one is not built, since its requirements are unknown then."""
        trees = [
            self._store.get_tree(*self.request_builder.source_copy(folder), build)
            for folder in self.request_builder.source_trees(cell.service)
        ]
        built_trees = [tree for tree in trees if tree is not None]
        return built_trees if len(built_trees) == len(trees) else None

    def _cached_failure_digest(self, cell: Cell) -> str:
        """Return the digest of why the set of a cell is known to have no lock; empty if that is not known."""
        build = self._builds.find(cell)
        trees = self._cached_trees(cell, build)
        if trees is None:
            return ""
        digest = self._locker.cached_failure_digest(self.request_builder.request(cell, trees, ()), build)
        return f"{WITHOUT_LOCK}{digest}" if digest else ""

    def cached_lock_digests(self, cell: Cell) -> list[str] | None:
        """Return the digests of the cached locks of all sets of a cell; ``None`` if one is not cached.

        The digest of a set that has no lock begins with :data:`WITHOUT_LOCK`.
        """
        digests = [self._builds.find(cell).digest]
        for set_cell in (replace(cell, service=service) for service in installed_sets(cell.service)):
            lock = self.cached_lock(set_cell)
            digest = lock.digest if lock is not None else self._cached_failure_digest(set_cell)
            if not digest and not all(source.uninstalled for source in set_cell.service.requirements):
                return None
            digests.append(digest)
        return digests

    def _resolve(self, cell: Cell, build: InterpreterBuild, trees: Sequence[StoredDistribution]) -> DependencyLock:
        """Resolve the set of a cell, with the test tools of the baseline if they work on its interpreter as well.

        :raises Unresolvable, Undetermined: see dependencies/resolution/uv_resolver.py.
        """
        constraints: tuple[str, ...] = ()
        if not cell.is_baseline:
            baseline_lock = self._resolved(_baseline_cell(cell))
            constraints = tool_constraints(baseline_lock) if isinstance(baseline_lock, DependencyLock) else ()
        if constraints:
            lock = self._locker.try_lock(self.request_builder.request(cell, trees, constraints), build)
            if lock is not None:  # otherwise other versions are used, and reported as a difference
                return self._locker.keep_preinstalled(
                    lock, build, partial(self.request_builder.request, cell, trees, extra_constraints=constraints)
                )
        lock = self._lock_file_diagnosis.resolve(cell, build, trees)
        return self._locker.keep_preinstalled(lock, build, partial(self.request_builder.request, cell, trees))

    def lock(self, cell: Cell) -> DependencyLock | Installation:
        """Return the lock of a cell or, if there is none, the installation that explains why."""
        return self._single_flight.run(
            _LOCK.of(cell.identifier, self._build_digest(cell)), lambda: self._resolve_or_explain(cell)
        )

    def remaining_work(self, cell: Cell) -> int:
        """Return how many sources have to be built for a cell whose set is resolved; for one without a lock a guess."""
        resolved = self._resolved(cell)
        if isinstance(resolved, DependencyLock):
            build = self._builds.find(cell)
            return sum(pin.from_source and self._store.get(pin, build) is None for pin in resolved.pins)
        return WORK_OF_BLOCKED_SET if isinstance(resolved, BlockedSet) else 0

    def _build_digest(self, cell: Cell) -> str:
        try:
            return self._builds.find(cell).digest
        except CellUnavailable:  # reported by what needs it
            return ""

    def _resolve_or_explain(self, cell: Cell) -> DependencyLock | Installation:
        blocked = self._resolved(cell)
        if not isinstance(blocked, BlockedSet):
            return blocked
        try:
            findings = self._with_sources_built(cell, blocked.build, blocked.trees, blocked.findings)
            stale = self._lock_file_diagnosis.stale_lock_findings(cell)
        except (CellUnavailable, Undetermined) as reason:
            return self._unchecked(cell, reason)
        return Installation(build=blocked.build, findings=(*blocked.build_findings, *stale, *findings))

    def _resolved(self, cell: Cell) -> DependencyLock | BlockedSet | Installation:
        """Return the lock of a cell, or why it has none, without building the sources of a blocked set."""

        def resolve() -> DependencyLock | BlockedSet | Installation:
            try:
                build = self._builds.find(cell)
                trees, build_findings = self._built_trees(cell, build)
                try:
                    return self.request_builder.as_installed(cell, self._resolve(cell, build, trees))
                except Unresolvable as blocked:
                    return BlockedSet(
                        build=build,
                        trees=tuple(trees),
                        build_findings=tuple(build_findings),
                        findings=tuple(blocked.findings),
                    )
            except (CellUnavailable, Undetermined) as reason:
                return self._unchecked(cell, reason)

        return self._single_flight.run(_RESOLVED.of(cell.identifier, self._build_digest(cell)), resolve)

    def _unchecked(self, cell: Cell, reason: Exception, lock: DependencyLock | None = None) -> Installation:
        self.mark_undetermined(cell)
        names = reason.names if isinstance(reason, Undetermined) else ()
        missing = reason.missing if isinstance(reason, Undetermined) else None
        return Installation(
            lock=lock, unchecked=self._unchecked_reason(cell, reason), unavailable=tuple(names), missing=missing
        )

    def _unchecked_reason(self, cell: Cell, reason: Exception) -> str:
        """Return why a cell could not be checked and, for a missing program or library, where its image installs it."""
        missing = reason.missing if isinstance(reason, Undetermined) else None
        return f"{reason}{installation_hint(missing, cell.service, Tree(self._plan.root)) if missing else ''}"

    def _with_sources_built(
        self, cell: Cell, build: InterpreterBuild, trees: Sequence[StoredDistribution], findings: Sequence[Finding]
    ) -> Sequence[Finding]:
        """Build the untried sources of a blocked set, except where the first one says enough."""
        from pytest_py312.dependencies.installation import source_builds  # lazy: for blocked sets

        if self._is_passed_through(cell):
            return findings
        request = self.request_builder.request(cell, trees, ())
        built = source_builds.build_untried_sources(findings, request, build, self._store)
        # of several commands, the one that blocks leaves the sources of the others unbuilt
        if not request.others:
            return built
        alone, _ = source_builds.findings_on_pins_alone(request, build, self._locker, self._store)
        blamed = {name for finding in built for name in finding.names}
        return (*built, *(finding for finding in alone if blamed.isdisjoint(finding.names)))

    def _is_passed_through(self, cell: Cell) -> bool:
        """Whether an interpreter is neither the service's own nor the target: whether it is blocked there is enough."""
        return cell.interpreter not in (cell.service.baseline, self._plan.target)

    # -- trying a change

    def build(self, cell: Cell) -> InterpreterBuild:
        """Return the interpreter build that the cell runs on.

        :raises CellUnavailable: there is none.
        """
        return self._builds.find(cell)

    def index(self, cell: Cell) -> "PackageIndex":
        """Return the package index that the requirements of the cell are taken from.

        :raises CellUnavailable, Undetermined: it could not be determined.
        """
        build = self._builds.find(cell)
        return self._locker.index_for(self.request_builder.request(cell, (), ()), build)

    def blamed_projects(self, cell: Cell, change: "RequirementChange") -> tuple[str, ...] | None:
        """Return the projects that block the set of the cell with ``change``; ``None`` if it resolves.

        :raises CellUnavailable, Undetermined: it could not be determined.
        """
        build = self._builds.find(cell)
        trees, _ = self._built_trees(cell, build, change.without)
        return self._locker.blamed_projects(
            self.request_builder.request(cell, trees, (), change.specifiers, change.without), build
        )

    def try_change(self, cell: Cell, change: "RequirementChange") -> Installation:
        """Resolve, install and import the set of the cell with ``change``.

        The environment stays in the cache, and is used by the cell once the change is written.
        """
        try:
            build = self._builds.find(cell)
            trees, _ = self._built_trees(cell, build, change.without)
            make_request = partial(self.request_builder.request, changed=change.specifiers, without=change.without)
            try:
                lock = self._locker.lock(make_request(cell, trees, ()), build)
                lock = self._locker.keep_preinstalled(lock, build, partial(make_request, cell, trees))
            except Unresolvable as blocked:
                return Installation(build=build, findings=blocked.findings)
        except (CellUnavailable, Undetermined) as reason:
            self.mark_undetermined(cell)
            return Installation(unchecked=str(reason))
        missing = [pin for pin in lock.pins if self._store.get(pin, build) is None]
        size = download_size(missing, build, self._runner, self._cache / "tmp")
        if size > TRIAL_SIZE_LIMIT:
            limit = TRIAL_SIZE_LIMIT // 1024**3
            large = f"the download is {size / 1024**3:.1f} GiB, and the limit of a trial is {limit} GiB"
            return Installation(build=build, lock=lock, unchecked=f"{large}; the next run with the change installs it")
        return self._install_or_explain(cell, lock, make_request, TRIAL_BUILD_TIME_LIMIT, without=change.without)

    def with_versions(self, cell: Cell, versions: Mapping[str, str]) -> Installation:
        """Install the set of the cell in these versions, as far as it has the projects; what an environment has by
        itself stays.
        """
        try:
            build = self._builds.find(cell)
            trees, _ = self._built_trees(cell, build)
            own = {tree.name for tree in trees} | {pin.name for pin in preinstalled(build)}
            pins = tuple(f"{name}=={version}" for name, version in sorted(versions.items()) if name not in own)
            lock = self._locker.lock(self.request_builder.request(cell, trees, pins), build)
        except Unresolvable as blocked:
            return Installation(findings=blocked.findings)
        except (CellUnavailable, Undetermined) as reason:
            return self._unchecked(cell, reason)

        def make_request(
            cell: Cell, trees: Sequence[StoredDistribution], extra_constraints: Sequence[str]
        ) -> ResolutionRequest:
            return self.request_builder.request(cell, trees, (*pins, *extra_constraints))

        return self._install_or_explain(cell, lock, make_request, TRIAL_BUILD_TIME_LIMIT)

    def imports_with(
        self, cell: Cell, added: Sequence[str], modules: Sequence[str], change: "RequirementChange | None" = None
    ) -> Mapping[str, str] | None:
        """Import ``modules`` in an environment of the cell that has ``change`` and the requirements ``added`` as well.

        Those replace the requirements of the same projects.

        :returns: each module and the end of its traceback, empty if it imports; ``None`` if it cannot be tried.
        """
        replaced = {canonicalize_name(name[0]) for line in added if (name := re.match(PROJECT_NAME, line))}
        without = replaced | change.without if change else replaced
        make_request = partial(
            self.request_builder.request, added=added, without=without, changed=change.specifiers if change else None
        )
        try:
            build = self._runner.find_interpreter(cell.interpreter)
            trees, _ = self._built_trees(cell, build)
            lock = self._locker.lock(make_request(cell, trees, ()), build)
            installation = self._install_or_explain(cell, lock, make_request, TRIAL_BUILD_TIME_LIMIT)
            if installation.environment is None:
                return None
            return self._import_checker.check(cell, build, installation.environment, tuple(sorted(modules)))
        except Unresolvable:
            return None
        except (CellUnavailable, Undetermined):
            self.mark_undetermined(cell)
            return None

    # -- source trees: the service itself if its metadata need a build, and requirements by path

    def _built_trees(
        self, cell: Cell, build: InterpreterBuild, without: Collection[str] = ()
    ) -> tuple[list[StoredDistribution], list[Finding]]:
        """Build the source trees; return them, and a finding for each that does not build on this interpreter.

        :param without: folders that are left out.
        :raises Undetermined: some could not be built for another reason; ``names`` are their folders.
        """
        distributions, findings = [], []
        unbuilt: dict[str, TreeBuild] = {}
        for folder in self.request_builder.source_trees(cell.service):
            if folder in without:
                continue
            result = self._built_tree(folder, build)
            if result.distribution is not None:
                distributions.append(result.distribution)
            elif result.unchecked:
                unbuilt[folder] = result
            findings += [_own_build_finding(finding, folder, cell) for finding in result.findings]
        if unbuilt:
            folder, first = next(iter(unbuilt.items()))
            subject = "the service itself" if folder == cell.service.path else folder
            raise Undetermined(f"{subject}: {first.unchecked}", names=tuple(unbuilt), missing=first.missing)
        return distributions, findings

    def _built_tree(self, folder: str, build: InterpreterBuild) -> "TreeBuild":
        """Build a source tree, once per run and interpreter build whatever the result is."""
        source, key = self.request_builder.source_copy(folder)
        self._single_flight.run(_SOURCE_COPY.of(key), lambda: self._copy_source_tree(folder, source))

        def built() -> TreeBuild:
            try:
                return TreeBuild(distribution=self._store.install_tree(source, key, build, self._plan.build_limit))
            except Unresolvable as blocked:
                return TreeBuild(findings=blocked.findings)
            except Undetermined as reason:
                return TreeBuild(unchecked=str(reason), missing=reason.missing)

        return self._single_flight.run(_TREE_BUILD.of(key, build.digest), built)

    def _copy_source_tree(self, folder: str, source: Path) -> bool:
        if not source.exists():
            staging = source.with_name(f".{source.name}.part")
            staging.parent.mkdir(parents=True, exist_ok=True)
            copy_tree(self._plan.root / folder, staging, within=self._plan.root)
            if version := self.request_builder.git_version(folder):
                write_repository(staging, version)
            staging.rename(source)
        return True

    # -- installations

    def group_by_interpreter(self, cells: Sequence[Cell]) -> dict[Interpreter, list[Cell]]:
        """Group ``cells`` and their baseline cells by interpreter, in ascending order and without duplicates."""
        cells_by_interpreter: dict[Interpreter, dict[str, Cell]] = {}
        for cell in cells:
            for needed_cell in (cell, _baseline_cell(cell)):
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
            resolved = self._resolved(cell)
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
                self._store.fill([*pins.values(), *preinstalled(build)], build, ResolutionRequest(lines=()))
        except (CellUnavailable, Unresolvable, Undetermined):
            return  # the installation of each cell tries again and reports the failure

    def installation(self, cell: Cell) -> Installation:
        """Return the installed and imported environment of a cell, or why there is none."""
        installation = self._single_flight.run(_INSTALLATION.of(cell.identifier), lambda: self._install(cell))
        # another process may have found that out
        if installation.unchecked or lacks_packages(None, installation.imports):
            self.mark_undetermined(cell)
        return installation

    def _attempt(self, cell: Cell) -> Installation:
        """Resolve and install the whole set of a cell, on the build that it has at this moment."""

        def attempt() -> Installation:
            lock = self.lock(cell)
            if isinstance(lock, Installation):
                return lock
            return self._install_or_explain(cell, lock, self.request_builder.request)

        return self._single_flight.run(_ATTEMPT.of(cell.identifier, self._build_digest(cell)), attempt)

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
            trees, _ = self._built_trees(cell, self._runner.find_interpreter(cell.interpreter))
        except (CellUnavailable, Undetermined):
            self.mark_undetermined(cell)
            return frozenset()
        baseline = self.installation(_baseline_cell(cell)) if not cell.is_baseline else None
        environment = baseline.environment if baseline is not None else None
        return self.request_builder.dispensable(cell.service, trees, environment.modules if environment else {})

    def _install_rest(self, cell: Cell, unavailable: Sequence[str]) -> Installation | None:
        """Install the requirements of a cell without those of ``unavailable`` that its files require.

        ``None`` if nothing else is required, or if that could not be checked either. What needs an unavailable project
        is not blamed: with it, the set might resolve.
        """
        names = set(unavailable)
        for _ in range(MAX_UNAVAILABLE):
            parts = {
                *self.request_builder.directly_required(cell.service),
                *self.request_builder.source_trees(cell.service),
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
        """Return what blocks the pinned versions of a set of which the rest cannot be had without ``names``."""
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
            trees, build_findings = self._built_trees(cell, build, names)
            try:
                lock = self._locker.lock(make_request(cell, trees, ()), build)
                lock = self._locker.keep_preinstalled(lock, build, partial(make_request, cell, trees))
            except Unresolvable as blocked:
                return Installation(build=build, findings=(*build_findings, *blocked.findings))
        except (CellUnavailable, Undetermined) as reason:
            return self._unchecked(cell, reason)
        return self._install_or_explain(
            cell, self.request_builder.as_installed(cell, lock), make_request, without=names
        )

    def _install_or_explain(
        self,
        cell: Cell,
        lock: DependencyLock,
        make_request: Callable[..., ResolutionRequest],
        build_limit: float | None = None,
        without: Collection[str] = (),
    ) -> Installation:
        """Install ``lock``.

        :param make_request: makes the resolution request of ``lock`` from a cell, its trees and constraints.
        :param build_limit: time limit of the build of one source, in seconds; the plan's if there is none.
        :param without: folders that are not built.
        """
        try:
            build = self._builds.find(cell)
            limit = self._plan.build_limit if build_limit is None else build_limit
            is_trial = build_limit is not None
            return self._install_with_older_versions(
                cell, build, lock, make_request, limit, without, check_hashes=not is_trial
            )
        except Unresolvable as blocked:
            findings = self._lock_file_diagnosis.attribute_to_lock_files(
                cell, build, lambda: self._built_trees(cell, build, without)[0], blocked.findings
            )
            return Installation(build=build, lock=lock, findings=findings)
        except (CellUnavailable, Undetermined) as reason:
            return self._unchecked(cell, reason, lock)
        except OSError as error:
            return Installation(lock=lock, unchecked=f"the cache folder cannot be written: {error}")

    def _install_with_older_versions(
        self,
        cell: Cell,
        build: InterpreterBuild,
        lock: DependencyLock,
        make_request: Callable[..., ResolutionRequest],
        build_limit: float,
        without: Collection[str],
        *,
        check_hashes: bool,
    ) -> Installation:
        """Install ``lock``, with older versions of distributions that exclude ``build``, as pip would choose them."""
        installation = self._install_lock(cell, build, lock, build_limit, without, check_hashes=check_hashes)
        for _ in range(MAX_OLDER_ATTEMPTS):
            excluded = excluded_by_requires_python(installation.distributions, build)
            if not excluded:
                break
            try:
                trees, _build_findings = self._built_trees(cell, build, without)
                older_lock = self._locker.try_lock(make_request(cell, trees, older_than(lock, excluded, build)), build)
                if older_lock is None:
                    break
                lock = self.request_builder.as_installed(cell, older_lock)
                installation = self._install_lock(cell, build, lock, build_limit, without, check_hashes=check_hashes)
            except (Unresolvable, Undetermined) as reason:
                if isinstance(reason, Undetermined):
                    self.mark_undetermined(cell)
                break  # the finding is about the newer version, which excludes this interpreter
        return installation

    def _with_requirements(
        self, cell: Cell, findings: Sequence[Finding], pins: Sequence[Pin], build: InterpreterBuild
    ) -> list[Finding]:
        """Return findings on builds with the requirement that brings their project in, where no file names it."""
        installed = [distribution for pin in pins if (distribution := self._store.get(pin, build))]
        entries = self.request_builder.requirements(cell.service).entries
        return [
            with_requirement(finding, entries, installed)
            if finding.location is None and len(finding.names) == 1
            else finding
            for finding in findings
        ]

    def _install_lock(
        self,
        cell: Cell,
        build: InterpreterBuild,
        lock: DependencyLock,
        build_limit: float,
        without: Collection[str],
        *,
        check_hashes: bool,
    ) -> Installation:
        """Install exactly ``lock``. In a trial hashes are not checked: what it changes has none yet."""
        trees, findings = self._built_trees(cell, build, without)
        tree_names = {tree.name for tree in trees}
        # what the repository itself provides replaces a release of the same project
        pins = [pin for pin in lock.pins if pin.name not in tree_names]
        pins += [seed for seed in preinstalled(build) if seed.name not in {*lock.versions, *tree_names}]
        request = self.request_builder.request(cell, trees, ())
        try:
            self._store.fill(
                [*pins, *lock.replaced], build, request, build_limit, stop_at_failure=self._is_passed_through(cell)
            )
        except Unresolvable as blocked:
            raise Unresolvable(self._with_requirements(cell, blocked.findings, pins, build)) from None
        distributions = [distribution for pin in pins if (distribution := self._store.get(pin, build))] + trees
        installs = self.request_builder.hashed_installs(cell.service) if check_hashes else ()
        unhashed = tuple(unhashed_findings(installs, distributions, lock.versions, build))
        if unhashed:
            raise Unresolvable(unhashed)
        lines = [
            # with the index: another index may have something else under the same version
            *(pin.index + pin.line + (" (source)" if pin.from_source else "") for pin in pins),
            *(str(tree.folder) for tree in trees),
        ]
        key = self._environments.key_for(lines, build)
        environment = self._single_flight.run(
            _ENVIRONMENT.of(key), lambda: self._environments.create(key, distributions, build)
        )
        declared = self._modules_of_requirements(cell.service, environment, trees, distributions)
        imported = self._modules_of_source(cell, distributions) - declared
        modules = tuple(sorted(declared | imported))
        own_distribution = cell.service.distribution
        imports = self._single_flight.run(
            _IMPORTS.of(key, modules, cell.service.runs_without_pth is not None),
            lambda: self._import_checker.check(cell, build, environment, modules),
        )
        if lacks_packages(None, imports):
            self.mark_undetermined(cell)  # what this machine lacks may be there in the next run
        return Installation(
            build=build,
            lock=lock,
            environment=environment,
            findings=(*findings, *self._lock_file_diagnosis.stale_lock_findings(cell)),
            incomplete=findings[0].message
            if findings
            else incomplete_reason(
                environment.folder,
                distributions,
                trees,
                [ExpectedDistribution(name=pin.name, version=pin.version) for pin in pins],
                [entry.text for entry in self.request_builder.requirements(cell.service).entries],
                build,
                self.request_builder.installed_alone(cell.service)
                | {tree.name for tree in trees if self.request_builder.is_tree_alone(cell.service, tree)},
                self.request_builder.left_out(cell.service),
            ),
            built=own_distribution is not None and not own_distribution.static and not findings,
            imports=imports,
            source_imports=imported,
            unneeded_imports=self._unneeded_imports(cell, imports, imported, distributions),
            distributions=tuple(distributions),
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

    def _modules_of_source(self, cell: Cell, distributions: Sequence[StoredDistribution]) -> frozenset[str]:
        """Return the modules that the source of the service imports, and those of the programs that it starts."""
        started = start_modules_of_programs(self._started_programs(cell), distributions)
        return installed_modules(self._imported_names(cell), distributions).union(started)

    def _modules_of_requirements(
        self,
        service: Service,
        environment: Environment,
        trees: Sequence[StoredDistribution],
        distributions: Sequence[StoredDistribution],
    ) -> frozenset[str]:
        names = [*self.request_builder.directly_required(service), *(tree.name for tree in trees)]
        started = self._started_modules(service, distributions, names)
        return started.union(*(importable_modules(environment.modules.get(name, ())) for name in names))

    def _started_modules(
        self, service: Service, distributions: Sequence[StoredDistribution], names: Iterable[str]
    ) -> frozenset[str]:
        started = {module for name in names for module in start_modules_of_project(name, distributions)}
        return frozenset(started.union(start_modules_of_programs(service.programs, distributions)))

    def _unneeded_imports(
        self,
        cell: Cell,
        imports: Mapping[str, str],
        imported: Collection[str],
        distributions: Sequence[StoredDistribution],
    ) -> frozenset[str]:
        names = self.request_builder.directly_required(cell.service)
        started = {*imported, *self._started_modules(cell.service, distributions, names)}
        packages = {module.partition(".")[0] for module in started}
        failing = [name for name, detail in imports.items() if detail and name.partition(".")[0] not in packages]
        return self.request_builder.unnamed_modules(cell.service, failing)


def _baseline_cell(cell: Cell) -> Cell:
    return replace(cell, interpreter=cell.service.baseline)


def _blamed(installation: Installation) -> frozenset[str]:
    return frozenset(installation.unavailable).union(*(finding.names for finding in installation.findings))


def _is_about(finding: Finding, names: set[str]) -> bool:
    """Whether a finding is about one of some projects, or its message mentions one."""
    words = {canonicalize_name(word) for word in re.findall(PROJECT_NAME, finding.message)}
    return not names.isdisjoint(finding.names) or not names.isdisjoint(words)


def _reasons_left_out(whole: Installation, rest: Installation, left_out: Collection[str]) -> tuple[Finding, ...]:
    """Return the findings of ``whole`` that leaving out some projects takes away; those of an unknown result are one.

    Empty if that does not help.
    """
    remaining = {(finding.code, finding.message) for finding in rest.findings}
    gone = tuple(finding for finding in whole.findings if (finding.code, finding.message) not in remaining)
    if whole.unchecked and not rest.unchecked:
        names = tuple(sorted(left_out))
        message = f"{', '.join(names)} could not be checked: {whole.unchecked}"
        gone += (Finding(code="PY111", message=message, names=names),)
    return gone if rest.environment is not None or rest.findings else ()


def _own_build_finding(finding: Finding, folder: str, cell: Cell) -> Finding:
    subject = "the service itself" if folder == cell.service.path else folder
    reason = finding.message.rpartition("fails to build: ")[2]
    return replace(
        finding,
        code="PY106",
        message=f"{subject} does not build on {cell.interpreter}: {reason}",
        remedy="fix its setup so that it builds there",
        location=Location(path=cell.service.manifest or folder),
        names=(),
    )


def installed_versions(installation: Installation) -> dict[str, str]:
    """Return the installed versions by normalised project name."""
    return dict(installation.environment.versions) if installation.environment else {}
