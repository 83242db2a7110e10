"""Install exactly what a lock says: fill the store, link an environment, import its modules, verify the result."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from pytest_py312.core.concurrency import Work
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell, Program, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.text import last_line
from pytest_py312.dependencies.installation.cell_locks import CellLocks, InstallationParts
from pytest_py312.dependencies.installation.installed_distributions import (
    MAX_OLDER_ATTEMPTS,
    excluded_by_requires_python,
    older_than,
    with_requirement,
)
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.proofs.console_scripts import (
    importable_modules,
    installed_modules,
    start_modules_of_programs,
    start_modules_of_project,
)
from pytest_py312.dependencies.proofs.hash_checking import unhashed_findings
from pytest_py312.dependencies.proofs.import_causes import possible_causes
from pytest_py312.dependencies.proofs.verification import ExpectedDistribution, incomplete_reason
from pytest_py312.dependencies.resolution.lock import (
    DependencyLock,
    Pin,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    preinstalled,
)
from pytest_py312.dependencies.store.environments import Environment
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.system_packages import lacks_packages
from pytest_py312.runners.runner import CellUnavailable

_ENVIRONMENT: Work[Environment] = Work("environment")
_IMPORTS: Work[Mapping[str, str]] = Work("imports")


class LockInstaller:
    """Installer of locks. Safe for threads and, through ``single_flight``, for xdist workers."""

    def __init__(
        self,
        parts: InstallationParts,
        locks: CellLocks,
        imported_names: Callable[[Cell], Collection[str]],
        started_programs: Callable[[Cell], Collection[Program]],
    ) -> None:
        self._parts = parts
        self._locks = locks
        self._imported_names = imported_names
        self._started_programs = started_programs

    def install(
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
        :param without: projects and folders that are left out: the folders are not built.
        """
        is_trial = build_limit is not None
        limit = self._parts.plan.build_limit if build_limit is None else build_limit
        try:
            build = self._parts.builds.find(cell)
            try:
                return self._install_with_older_versions(
                    cell, build, lock, make_request, limit, without, check_hashes=not is_trial
                )
            except Unresolvable as blocked:
                findings = self._parts.diagnosis.attribute_to_lock_files(
                    cell, build, lambda: self._parts.trees.build(cell, build, without)[0], blocked.findings
                )
                if not is_trial:  # pip does not come to a build of them
                    findings = (*self._parts.locker.excluded_requirements(make_request(cell, (), ()), build), *findings)
                return Installation(build=build, lock=lock, findings=findings)
        except (CellUnavailable, Undetermined) as reason:
            return self._locks.unchecked(cell, reason, lock)
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
        install = partial(
            self._install_lock, cell, build, make_request, build_limit, without, check_hashes=check_hashes
        )
        installation = install(lock)
        too_new: dict[str, StoredDistribution] = {}
        for _ in range(MAX_OLDER_ATTEMPTS):
            excluded = excluded_by_requires_python(installation.distributions, build)
            if not excluded:
                break
            too_new |= {distribution.name: distribution for distribution in excluded}  # also those of earlier attempts
            constraints = older_than(lock, too_new.values(), build)
            try:
                trees, _build_findings = self._parts.trees.build(cell, build, without)
                older_lock = self._parts.locker.try_lock(make_request(cell, trees, constraints), build)
                if older_lock is None:
                    break
                lock = self._parts.request_builder.as_installed(cell, older_lock)
                installation = install(lock)
            except (Unresolvable, Undetermined) as reason:
                if isinstance(reason, Undetermined):
                    self._locks.mark_undetermined(cell)
                break  # the finding is about the newer version, which excludes this interpreter
        return installation

    def _with_requirements(
        self, cell: Cell, findings: Sequence[Finding], pins: Sequence[Pin], build: InterpreterBuild
    ) -> list[Finding]:
        """Return findings on builds with the requirement that brings their project in, where no file names it."""
        installed = [distribution for pin in pins if (distribution := self._parts.store.get(pin, build))]
        entries = self._parts.request_builder.requirements.of(cell.service).entries
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
        make_request: Callable[..., ResolutionRequest],
        build_limit: float,
        without: Collection[str],
        lock: DependencyLock,
        *,
        check_hashes: bool,
    ) -> Installation:
        """Install exactly ``lock``. In a trial hashes are not checked: what it changes has none yet."""
        trees, findings = self._parts.trees.build(cell, build, without)
        pins = _installed_pins(lock, build, {tree.name for tree in trees})
        distributions = [*self._stored(cell, build, lock, pins, make_request(cell, trees, ()), build_limit), *trees]
        installs = self._parts.request_builder.requirements.hashed_installs(cell.service) if check_hashes else ()
        unhashed = tuple(unhashed_findings(installs, distributions, lock.versions, build))
        if unhashed:
            raise Unresolvable(unhashed)
        environment = self._environment(build, pins, trees, distributions)
        imported = self._modules_of_source(cell, distributions)
        declared = self._modules_of_requirements(cell, environment, trees, distributions)
        modules = tuple(sorted(declared | imported))
        imports = self._imports(cell, build, environment, modules)
        if causes := possible_causes(imports, environment, distributions):
            alone = self._imports(cell, build, environment, causes)
            errors = {last_line(detail) for detail in imports.values() if detail}
            imports = {**imports, **{name: detail for name, detail in alone.items() if last_line(detail) in errors}}
        if lacks_packages(None, imports):
            self._locks.mark_undetermined(cell)  # what this machine lacks may be there in the next run
        own_distribution = cell.service.distribution
        unneeded = self._unneeded_imports(cell, imports, imported - declared, distributions)
        return Installation(
            build=build,
            lock=lock,
            environment=environment,
            findings=(*findings, *self._parts.diagnosis.stale_lock_findings(cell)),
            incomplete=findings[0].message
            if findings
            else self._incomplete_reason(cell, build, environment, pins, trees, distributions),
            built=own_distribution is not None and not own_distribution.static and not findings,
            imports=imports,
            source_imports=imported - declared,
            import_causes=frozenset(causes),
            unneeded_imports=unneeded,
            unused=self._parts.request_builder.requirements.unused(cell.service) if unneeded else {},
            distributions=tuple(distributions),
        )

    def _imports(
        self, cell: Cell, build: InterpreterBuild, environment: Environment, modules: tuple[str, ...]
    ) -> Mapping[str, str]:
        return self._parts.single_flight.run(
            _IMPORTS.of(environment.key, modules, cell.service.runs_without_pth is not None),
            lambda: self._parts.import_checker.check(cell, build, environment, modules),
        )

    def _stored(
        self,
        cell: Cell,
        build: InterpreterBuild,
        lock: DependencyLock,
        pins: Sequence[Pin],
        request: ResolutionRequest,
        build_limit: float,
    ) -> list[StoredDistribution]:
        """Put what the store lacks of ``pins`` into it, and return the distributions."""
        is_enough = self._locks.is_passed_through(cell)
        try:
            self._parts.store.fill([*pins, *lock.replaced], build, request, build_limit, stop_at_failure=is_enough)
        except Unresolvable as blocked:
            raise Unresolvable(self._with_requirements(cell, blocked.findings, pins, build)) from None
        return [distribution for pin in pins if (distribution := self._parts.store.get(pin, build))]

    def _environment(
        self,
        build: InterpreterBuild,
        pins: Sequence[Pin],
        trees: Sequence[StoredDistribution],
        distributions: Sequence[StoredDistribution],
    ) -> Environment:
        """Link an environment."""
        lines = [
            # with the index: another index may have something else under the same version
            *(pin.index + pin.line + (" (source)" if pin.from_source else "") for pin in pins),
            *(str(tree.folder) for tree in trees),
        ]
        key = self._parts.environments.key_for(lines, build)
        return self._parts.single_flight.run(
            _ENVIRONMENT.of(key), lambda: self._parts.environments.create(key, distributions, build)
        )

    def _incomplete_reason(
        self,
        cell: Cell,
        build: InterpreterBuild,
        environment: Environment,
        pins: Sequence[Pin],
        trees: Sequence[StoredDistribution],
        distributions: Sequence[StoredDistribution],
    ) -> str:
        """Return how the environment differs from what is required; empty if it does not."""
        alone = {
            tree.name for tree in trees if self._parts.request_builder.requirements.is_tree_alone(cell.service, tree)
        }
        return incomplete_reason(
            environment.folder,
            distributions,
            trees,
            [ExpectedDistribution(name=pin.name, version=pin.version) for pin in pins],
            [entry.text for entry in self._parts.request_builder.requirements.of(cell.service).entries],
            build,
            self._parts.request_builder.requirements.installed_alone(cell.service) | alone,
            self._parts.request_builder.requirements.left_out(cell.service),
            self._parts.request_builder.replaced(cell, trees),
        )

    def _modules_of_source(self, cell: Cell, distributions: Sequence[StoredDistribution]) -> frozenset[str]:
        """Return the modules that the source of the service imports, and those of the programs that it starts."""
        started = start_modules_of_programs(self._started_programs(cell), distributions)
        return installed_modules(self._imported_names(cell), distributions).union(started)

    def _modules_of_requirements(
        self,
        cell: Cell,
        environment: Environment,
        trees: Sequence[StoredDistribution],
        distributions: Sequence[StoredDistribution],
    ) -> frozenset[str]:
        builder = self._parts.request_builder
        by_files = [*builder.requirements.directly_required(cell.service), *(tree.name for tree in trees)]
        names = dict.fromkeys((*by_files, *sorted(builder.required_by_trees(cell, trees))))
        started = self._started_modules(cell.service, distributions, names)
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
        names = self._parts.request_builder.requirements.directly_required(cell.service)
        started = {*imported, *self._started_modules(cell.service, distributions, names)}
        packages = {module.partition(".")[0] for module in started}
        failing = [name for name, detail in imports.items() if detail and name.partition(".")[0] not in packages]
        return self._parts.request_builder.requirements.unnamed_modules(cell.service, failing)


def _installed_pins(lock: DependencyLock, build: InterpreterBuild, tree_names: Collection[str]) -> list[Pin]:
    """Return the pins of a lock with what each environment has; a source tree replaces a release of its project."""
    pins = [pin for pin in lock.pins if pin.name not in tree_names]
    return pins + [seed for seed in preinstalled(build) if seed.name not in {*lock.versions, *tree_names}]
