"""Turn the requirements of each cell into an installed environment whose modules were imported.

Steps: read the requirements, resolve the whole set for the interpreter of the cell, install what the store lacks (for
all cells of an interpreter together), link the environment, import what is directly required. Each step is done once
per run, also with several workers.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.diagnosis.locker import RESOLUTIONS_PER_CORE, Locker
from pytest_py312.dependencies.installation.console_scripts import (
    installed_modules,
    start_modules_of_programs,
    start_modules_of_project,
)
from pytest_py312.dependencies.installation.distribution_store import (
    BUILD_TIME_LIMIT,
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
)
from pytest_py312.dependencies.installation.system_packages import installation_hint
from pytest_py312.dependencies.installation.verification import ExpectedDistribution, incomplete_reason
from pytest_py312.dependencies.resolution.lock import (
    PROJECT_NAME,
    DependencyLock,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    preinstalled,
)
from pytest_py312.dependencies.resolution.resolvers import make_resolver
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.repository.services.requirement_sources import additional_services
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.fingerprints import copy_tree
from pytest_py312.runners.runner import CellUnavailable, Runner

if TYPE_CHECKING:
    from pytest_py312.dependencies.diagnosis.package_index import PackageIndex
    from pytest_py312.dependencies.diagnosis.repair_search import RequirementChange

MAX_UNAVAILABLE = 5
"""Number of times that a set is tried without one more project that cannot be had here."""
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
    ``source_imports`` are those of its modules that were imported only because the source of the service imports them:
    some need a configuration that only the service makes, so one that fails says something if it imports elsewhere.

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
    distributions: tuple[StoredDistribution, ...] = ()
    unavailable: tuple[str, ...] = ()
    rest: "Installation | None" = None


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
    ) -> None:
        """
        :param imported_names: returns the dotted names of other projects that the service of a cell imports whenever
            it runs; the last part may be an attribute.
        """
        self._plan = plan
        self._imported_names = imported_names
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
        self._lock_file_diagnosis = LockFileDiagnosis(self.request_builder, self._locker)

    # -- locks

    def cached_lock(self, cell: Cell) -> DependencyLock | None:
        """Return the lock of the cell if it is cached, without asking a resolver; otherwise ``None``."""
        build = self._runner.find_interpreter(cell.interpreter)
        trees = [
            self._store.get_tree(*self.request_builder.source_copy(folder), build)
            for folder in self.request_builder.source_trees(cell.service)
        ]
        built_trees = [tree for tree in trees if tree is not None]
        if len(built_trees) < len(trees):
            return None  # the requirements of a source tree are known only after its build
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
                return self.request_builder.with_required_hashes(cell, adjusted_lock) if adjusted_lock else None
        return None

    def cached_lock_digests(self, cell: Cell) -> list[str] | None:
        """Return the digests of the cached locks of a cell and its additional sets; ``None`` if one is not cached."""
        cells = [
            cell,
            *(replace(cell, service=additional_service) for additional_service in additional_services(cell.service)),
        ]
        digests = [self._runner.find_interpreter(cell.interpreter).digest]
        for set_cell in cells:
            lock = self.cached_lock(set_cell)
            if lock is None and not all(source.uninstalled for source in set_cell.service.requirements):
                return None
            digests.append(lock.digest if lock is not None else "")
        return digests

    def _resolve(self, cell: Cell, build: InterpreterBuild, trees: Sequence[StoredDistribution]) -> DependencyLock:
        """Resolve the set of a cell, with the test tools of the baseline if they work on its interpreter as well.

        :raises Unresolvable, Undetermined: see dependencies/resolution/uv_resolver.py.
        """
        constraints: tuple[str, ...] = ()
        if not cell.is_baseline:
            baseline_lock = self.lock(_baseline_cell(cell))
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
        return self._single_flight.run(f"lock {cell.identifier}", lambda: self._resolve_or_explain(cell))

    def _resolve_or_explain(self, cell: Cell) -> DependencyLock | Installation:
        try:
            build = self._runner.find_interpreter(cell.interpreter)
            trees, build_findings = self._built_trees(cell, build)
            try:
                return self.request_builder.with_required_hashes(cell, self._resolve(cell, build, trees))
            except Unresolvable as blocked:
                findings = self._with_sources_built(cell, build, trees, blocked.findings)
                return Installation(
                    build=build,
                    findings=(*build_findings, *self._lock_file_diagnosis.stale_lock_findings(cell), *findings),
                )
        except (CellUnavailable, Undetermined) as reason:
            return self._unchecked(cell, reason)

    def _unchecked(self, cell: Cell, reason: Exception, lock: DependencyLock | None = None) -> Installation:
        names = reason.names if isinstance(reason, Undetermined) else ()
        return Installation(lock=lock, unchecked=self._unchecked_reason(cell, reason), unavailable=tuple(names))

    def _unchecked_reason(self, cell: Cell, reason: Exception) -> str:
        """Return why a cell could not be checked and, for a missing program or library, where its image installs it."""
        missing = reason.missing if isinstance(reason, Undetermined) else None
        return f"{reason}{installation_hint(missing, cell.service, Tree(self._plan.root)) if missing else ''}"

    def _with_sources_built(
        self, cell: Cell, build: InterpreterBuild, trees: Sequence[StoredDistribution], findings: Sequence[Finding]
    ) -> Sequence[Finding]:
        """Build the untried sources of a blocked set; only on baseline and target, as others are passed through."""
        from pytest_py312.dependencies.installation.source_builds import build_untried_sources  # lazy: for blocked sets

        if cell.interpreter not in (cell.service.baseline, self._plan.target):
            return findings
        return build_untried_sources(findings, self.request_builder.request(cell, trees, ()), build, self._store)

    # -- trying a change

    def build(self, cell: Cell) -> InterpreterBuild:
        """Return the interpreter build that the cell runs on.

        :raises CellUnavailable: there is none.
        """
        return self._runner.find_interpreter(cell.interpreter)

    def index(self, cell: Cell) -> "PackageIndex":
        """Return the package index that the requirements of the cell are taken from.

        :raises CellUnavailable, Undetermined: it could not be determined.
        """
        build = self._runner.find_interpreter(cell.interpreter)
        return self._locker.index_for(self.request_builder.request(cell, (), ()), build)

    def blamed_projects(self, cell: Cell, change: "RequirementChange") -> tuple[str, ...] | None:
        """Return the projects that block the set of the cell with ``change``; ``None`` if it resolves.

        :raises CellUnavailable, Undetermined: it could not be determined.
        """
        build = self._runner.find_interpreter(cell.interpreter)
        trees, _ = self._built_trees(cell, build)
        return self._locker.blamed_projects(
            self.request_builder.request(cell, trees, (), change.specifiers, change.without), build
        )

    def try_change(self, cell: Cell, change: "RequirementChange") -> Installation:
        """Resolve, install and import the set of the cell with ``change``.

        The environment stays in the cache, and is used by the cell once the change is written.
        """
        try:
            build = self._runner.find_interpreter(cell.interpreter)
            trees, _ = self._built_trees(cell, build)
            make_request = partial(self.request_builder.request, changed=change.specifiers, without=change.without)
            try:
                lock = self._locker.lock(make_request(cell, trees, ()), build)
                lock = self._locker.keep_preinstalled(lock, build, partial(make_request, cell, trees))
            except Unresolvable as blocked:
                return Installation(build=build, findings=blocked.findings)
        except (CellUnavailable, Undetermined) as reason:
            return Installation(unchecked=str(reason))
        missing = [pin for pin in lock.pins if self._store.get(pin, build) is None]
        size = download_size(missing, build, self._runner, self._cache / "tmp")
        if size > TRIAL_SIZE_LIMIT:
            limit = TRIAL_SIZE_LIMIT // 1024**3
            large = f"the download is {size / 1024**3:.1f} GiB, and the limit of a trial is {limit} GiB"
            return Installation(build=build, lock=lock, unchecked=f"{large}; the next run with the change installs it")
        return self._install_or_explain(cell, lock, make_request, TRIAL_BUILD_TIME_LIMIT)

    # -- source trees: the service itself if its metadata need a build, and requirements by path

    def _built_trees(self, cell: Cell, build: InterpreterBuild) -> tuple[list[StoredDistribution], list[Finding]]:
        """Build the source trees; return them, and a finding for each that does not build on this interpreter."""
        distributions, findings = [], []
        for folder in self.request_builder.source_trees(cell.service):
            try:
                distributions.append(self._built_tree(folder, build))
            except Unresolvable as blocked:
                findings += [_own_build_finding(finding, folder, cell) for finding in blocked.findings]
        return distributions, findings

    def _built_tree(self, folder: str, build: InterpreterBuild) -> StoredDistribution:
        source, key = self.request_builder.source_copy(folder)
        self._single_flight.run(f"copy {key}", lambda: self._copy_source_tree(folder, source))
        return self._single_flight.run(
            f"tree {key} {build.digest}", lambda: self._store.install_tree(source, key, build)
        )

    def _copy_source_tree(self, folder: str, source: Path) -> bool:
        if not source.exists():
            staging = source.with_name(f".{source.name}.part")
            staging.parent.mkdir(parents=True, exist_ok=True)
            copy_tree(self._plan.root / folder, staging, within=self._plan.root)
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
            list(pool.map(self.lock, cells))
        self._fill_store(interpreter, cells)
        return True

    def _fill_store(self, interpreter: Interpreter, cells: Sequence[Cell]) -> None:
        locks = [lock for cell in cells if isinstance(lock := self.lock(cell), DependencyLock)]
        wheels = {pin.line: pin for lock in locks for pin in lock.pins if not pin.from_source}
        try:
            build = self._runner.find_interpreter(interpreter)
            self._store.fill([*wheels.values(), *preinstalled(build)], build, ResolutionRequest(lines=()))
        except (CellUnavailable, Unresolvable, Undetermined):
            return  # the installation of each cell tries again and reports the failure

    def installation(self, cell: Cell) -> Installation:
        """Return the installed and imported environment of a cell, or why there is none."""
        return self._single_flight.run(f"installation {cell.identifier}", lambda: self._install(cell))

    def _install(self, cell: Cell) -> Installation:
        lock = self.lock(cell)
        installation = (
            lock
            if isinstance(lock, Installation)
            else self._install_or_explain(cell, lock, self.request_builder.request)
        )
        rest = self._install_rest(cell, installation.unavailable) if installation.unavailable else None
        if rest is None:
            return installation
        without = " and ".join(sorted(rest.unavailable))
        return replace(
            installation, rest=rest, unchecked=f"{installation.unchecked}; the other requirements were checked "
            f"without {without}",
        )  # fmt: skip

    def _install_rest(self, cell: Cell, unavailable: Sequence[str]) -> Installation | None:
        """Install the requirements of a cell without those of ``unavailable`` that its files require.

        ``None`` if nothing else is required, or if that could not be checked either. What needs an unavailable project
        is not blamed: with it, the set might resolve.
        """
        names = set(unavailable)
        for _ in range(MAX_UNAVAILABLE):
            if not names < set(self.request_builder.directly_required(cell.service)):
                return None  # another requirement brings it, or nothing is left
            rest = self._install_without(cell, names)
            if not rest.unchecked:
                findings = [finding for finding in rest.findings if not _is_about(finding, names)]
                return replace(rest, findings=tuple(findings), unavailable=tuple(names))
            if names >= set(rest.unavailable):
                return None
            names |= set(rest.unavailable)
        return None

    def _install_without(self, cell: Cell, names: Collection[str]) -> Installation:
        make_request = partial(self.request_builder.request, unavailable=names)
        try:
            build = self._runner.find_interpreter(cell.interpreter)
            trees, build_findings = self._built_trees(cell, build)
            try:
                lock = self._locker.lock(make_request(cell, trees, ()), build)
                lock = self._locker.keep_preinstalled(lock, build, partial(make_request, cell, trees))
            except Unresolvable as blocked:
                return Installation(build=build, findings=(*build_findings, *blocked.findings))
        except (CellUnavailable, Undetermined) as reason:
            return self._unchecked(cell, reason)
        return self._install_or_explain(cell, self.request_builder.with_required_hashes(cell, lock), make_request)

    def _install_or_explain(
        self,
        cell: Cell,
        lock: DependencyLock,
        make_request: Callable[..., ResolutionRequest],
        build_limit: float = BUILD_TIME_LIMIT,
    ) -> Installation:
        """Install ``lock``.

        :param make_request: makes the resolution request of ``lock`` from a cell, its trees and constraints.
        """
        try:
            build = self._runner.find_interpreter(cell.interpreter)
            return self._install_with_older_versions(cell, build, lock, make_request, build_limit)
        except Unresolvable as blocked:
            findings = self._lock_file_diagnosis.attribute_to_lock_files(
                cell, build, lambda: self._built_trees(cell, build)[0], blocked.findings
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
    ) -> Installation:
        """Install ``lock``, with older versions of distributions that exclude ``build``, as pip would choose them."""
        installation = self._install_lock(cell, build, lock, build_limit)
        for _ in range(MAX_OLDER_ATTEMPTS):
            excluded = excluded_by_requires_python(installation.distributions, build)
            if not excluded:
                break
            try:
                trees, _build_findings = self._built_trees(cell, build)
                older_lock = self._locker.try_lock(make_request(cell, trees, older_than(lock, excluded, build)), build)
                if older_lock is None:
                    break
                lock = self.request_builder.with_required_hashes(cell, older_lock)
                installation = self._install_lock(cell, build, lock, build_limit)
            except (Unresolvable, Undetermined):
                break  # the finding is about the newer version, which excludes this interpreter
        return installation

    def _install_lock(
        self, cell: Cell, build: InterpreterBuild, lock: DependencyLock, build_limit: float
    ) -> Installation:
        trees, findings = self._built_trees(cell, build)
        tree_names = {tree.name for tree in trees}
        # what the repository itself provides replaces a release of the same project
        pins = [pin for pin in lock.pins if pin.name not in tree_names]
        pins += [seed for seed in preinstalled(build) if seed.name not in {*lock.versions, *tree_names}]
        self._store.fill(pins, build, self.request_builder.request(cell, trees, ()), build_limit)
        distributions = [distribution for pin in pins if (distribution := self._store.get(pin, build))] + trees
        unhashed = tuple(
            unhashed_findings(self.request_builder.hashed_installs(cell.service), distributions, lock.versions, build)
        )
        if unhashed:
            raise Unresolvable(unhashed)
        lines = [
            # with the index: another index may have something else under the same version
            *(pin.index + pin.line + (" (source)" if pin.from_source else "") for pin in pins),
            *(str(tree.folder) for tree in trees),
        ]
        key = self._environments.key_for(lines, build)
        environment = self._single_flight.run(
            f"environment {key}", lambda: self._environments.create(key, distributions, build)
        )
        declared = self._modules_of_requirements(cell.service, environment, trees, distributions)
        imported = installed_modules(self._imported_names(cell), distributions) - declared
        modules = tuple(sorted(declared | imported))
        own_distribution = cell.service.distribution
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
            ),
            built=own_distribution is not None and not own_distribution.static and not findings,
            imports=self._single_flight.run(
                f"imports {key} {modules} {cell.service.runs_without_pth is not None}",
                lambda: self._import_checker.check(cell, build, environment, modules),
            ),
            source_imports=imported,
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

    def _modules_of_requirements(
        self,
        service: Service,
        environment: Environment,
        trees: Sequence[StoredDistribution],
        distributions: Sequence[StoredDistribution],
    ) -> frozenset[str]:
        names = [*self.request_builder.directly_required(service), *(tree.name for tree in trees)]
        started = {module for name in names for module in start_modules_of_project(name, distributions)}
        started.update(start_modules_of_programs(service.programs, distributions))
        return frozenset(started.union(*(environment.modules.get(name, ()) for name in names)))


def _baseline_cell(cell: Cell) -> Cell:
    return replace(cell, interpreter=cell.service.baseline)


def _is_about(finding: Finding, names: set[str]) -> bool:
    """Whether a finding is about one of some projects, or its message mentions one."""
    words = {canonicalize_name(word) for word in re.findall(PROJECT_NAME, finding.message)}
    return not names.isdisjoint(finding.names) or not names.isdisjoint(words)


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
