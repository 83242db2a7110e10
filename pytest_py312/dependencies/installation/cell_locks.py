"""The lock of each cell, or why its set has none. Resolving is done once per run, also with several workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.installation.installed_distributions import tool_constraints
from pytest_py312.dependencies.installation.lockfile_diagnosis import LockFileDiagnosis
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.installation.source_trees import SourceTrees
from pytest_py312.dependencies.proofs.import_check import ImportChecker
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.lock import DependencyLock, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.resolvers import Resolver
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.environments import EnvironmentStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.system_packages import CellBuilds, installation_hint
from pytest_py312.repository.services.requirements.sources import installed_sets
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.runner import CellUnavailable

WITHOUT_LOCK = "unresolvable "
"""Begins the digest of a set that has no lock."""
WORK_OF_BLOCKED_SET = 5
"""Number of source builds that a set without a lock takes: what blocks it is tried one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockedSet:
    """A set of requirements without a lock, and what is known of it before its sources are built one by one."""

    build: InterpreterBuild
    trees: tuple[StoredDistribution, ...]
    build_findings: tuple[Finding, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallationParts:
    """What the stages of an installation work with."""

    plan: Plan
    request_builder: RequestBuilder
    builds: CellBuilds
    trees: SourceTrees
    locker: Locker
    diagnosis: LockFileDiagnosis
    store: DistributionStore
    environments: EnvironmentStore
    import_checker: ImportChecker
    single_flight: SingleFlight


_LOCK: Work[DependencyLock | Installation] = Work("lock")
_RESOLVED: Work[DependencyLock | BlockedSet | Installation] = Work("resolved")


class CellLocks:
    """The locks of cells, and which services something could not be determined about. Thread-safe."""

    def __init__(self, parts: InstallationParts, resolver: Resolver) -> None:
        self._parts = parts
        self._resolver = resolver
        self._undetermined: set[str] = set()

    def mark_undetermined(self, cell: Cell) -> None:
        """Note that something about the set of a cell, or about a change of it, could not be determined in this run."""
        self._undetermined.add(cell.service.path)

    def is_determined(self, service: Service) -> bool:
        """Return whether findings on ``service`` rest on its content only, and not on what this run could not do."""
        return service.path not in self._undetermined and not self._parts.locker.lacks_pages()

    def cached(self, cell: Cell) -> DependencyLock | None:
        """Return the lock of the cell if it is cached, without asking a resolver; otherwise ``None``."""
        build = self._parts.builds.find(cell)
        built_trees = self._parts.trees.cached(cell, build)
        if built_trees is None:
            return None
        constraints = _tools_of_baseline(cell, self.cached)
        for constraint_set in dict.fromkeys((constraints, ())):
            lock = self._resolver.cached_lock(
                self._parts.request_builder.request(cell, built_trees, constraint_set), build
            )
            if lock is not None:
                adjusted_lock = self._parts.locker.keep_preinstalled_from_cache(
                    lock,
                    build,
                    partial(self._parts.request_builder.request, cell, built_trees, extra_constraints=constraint_set),
                )
                return self._parts.request_builder.as_installed(cell, adjusted_lock) if adjusted_lock else None
        return None

    def _cached_failure_digest(self, cell: Cell) -> str:
        """Return the digest of why the set of a cell is known to have no lock; empty if that is not known."""
        build = self._parts.builds.find(cell)
        trees = self._parts.trees.cached(cell, build)
        if trees is None:
            return ""
        digest = self._parts.locker.cached_failure_digest(self._parts.request_builder.request(cell, trees, ()), build)
        return f"{WITHOUT_LOCK}{digest}" if digest else ""

    def cached_digests(self, cell: Cell) -> list[str] | None:
        """Return the digests of the cached locks of all sets of a cell; ``None`` if one is not cached.

        The digest of a set that has no lock begins with :data:`WITHOUT_LOCK`.
        """
        digests = [self._parts.builds.find(cell).digest]
        for set_cell in (replace(cell, service=service) for service in installed_sets(cell.service, cell.interpreter)):
            lock = self.cached(set_cell)
            digest = lock.digest if lock is not None else self._cached_failure_digest(set_cell)
            if not digest and not all(source.uninstalled for source in set_cell.service.requirements):
                return None
            digests.append(digest)
        return digests

    def lock_or_failure(self, cell: Cell) -> DependencyLock | Installation:
        """Return the lock of a cell or, if there is none, the installation that explains why."""
        return self._parts.single_flight.run(
            _LOCK.of(cell.identifier, self.build_digest(cell)), lambda: self._resolve_or_explain(cell)
        )

    def remaining_work(self, cell: Cell) -> int:
        """Return how many sources have to be built for a cell whose set is resolved; for one without a lock a guess."""
        resolved = self.resolved(cell)
        if isinstance(resolved, DependencyLock):
            build = self._parts.builds.find(cell)
            return sum(pin.from_source and self._parts.store.get(pin, build) is None for pin in resolved.pins)
        return WORK_OF_BLOCKED_SET if isinstance(resolved, BlockedSet) else 0

    def build_digest(self, cell: Cell) -> str:
        """Return the digest of the build that a cell runs on; empty if there is none."""
        try:
            return self._parts.builds.find(cell).digest
        except CellUnavailable:  # reported by what needs it
            return ""

    def _resolve_or_explain(self, cell: Cell) -> DependencyLock | Installation:
        blocked = self.resolved(cell)
        if not isinstance(blocked, BlockedSet):
            return blocked
        try:
            findings = self._with_sources_built(cell, blocked.build, blocked.trees, blocked.findings)
            stale = self._parts.diagnosis.stale_lock_findings(cell)
        except (CellUnavailable, Undetermined) as reason:
            return self.unchecked(cell, reason)
        return Installation(build=blocked.build, findings=(*blocked.build_findings, *stale, *findings))

    def resolved(self, cell: Cell) -> DependencyLock | BlockedSet | Installation:
        """Return the lock of a cell, or why it has none, without building the sources of a blocked set."""

        def resolve() -> DependencyLock | BlockedSet | Installation:
            with PROGRESS.activity("resolving", cell.title):
                return try_to_resolve()

        def try_to_resolve() -> DependencyLock | BlockedSet | Installation:
            try:
                build = self._parts.builds.find(cell)
                trees, build_findings = self._parts.trees.build(cell, build)
                try:
                    return self._parts.request_builder.as_installed(cell, self._resolve(cell, build, trees))
                except Unresolvable as blocked:
                    return BlockedSet(
                        build=build,
                        trees=tuple(trees),
                        build_findings=tuple(build_findings),
                        findings=tuple(blocked.findings),
                    )
            except (CellUnavailable, Undetermined) as reason:
                return self.unchecked(cell, reason)

        return self._parts.single_flight.run(_RESOLVED.of(cell.identifier, self.build_digest(cell)), resolve)

    def _resolve(self, cell: Cell, build: InterpreterBuild, trees: Sequence[StoredDistribution]) -> DependencyLock:
        """Resolve the set of a cell, with the test tools of the baseline if they work on its interpreter as well.

        :raises Unresolvable, Undetermined: see :mod:`pytest_py312.dependencies.resolution.lock`.
        """
        constraints = _tools_of_baseline(cell, self.resolved)
        if constraints:
            lock = self._parts.locker.try_lock(self._parts.request_builder.request(cell, trees, constraints), build)
            if lock is not None:  # otherwise other versions are used, and reported as a difference
                return self._parts.locker.keep_preinstalled(
                    lock,
                    build,
                    partial(self._parts.request_builder.request, cell, trees, extra_constraints=constraints),
                )
        lock = self._parts.diagnosis.resolve(cell, build, trees)
        return self._parts.locker.keep_preinstalled(
            lock, build, partial(self._parts.request_builder.request, cell, trees)
        )

    def unchecked(self, cell: Cell, reason: Exception, lock: DependencyLock | None = None) -> Installation:
        """Return the installation of a cell that could not be checked, with the reason."""
        self.mark_undetermined(cell)
        names = reason.names if isinstance(reason, Undetermined) else ()
        missing = reason.missing if isinstance(reason, Undetermined) else None
        return Installation(
            lock=lock, unchecked=self._unchecked_reason(cell, reason), unavailable=tuple(names), missing=missing
        )

    def _unchecked_reason(self, cell: Cell, reason: Exception) -> str:
        """Return why a cell could not be checked and, for a missing program or library, where its image installs it."""
        missing = reason.missing if isinstance(reason, Undetermined) else None
        return f"{reason}{installation_hint(missing, cell.service, Tree(self._parts.plan.root)) if missing else ''}"

    def _with_sources_built(
        self, cell: Cell, build: InterpreterBuild, trees: Sequence[StoredDistribution], findings: Sequence[Finding]
    ) -> Sequence[Finding]:
        """Build the untried sources of a blocked set, except where the first one says enough."""
        from pytest_py312.dependencies.installation import source_builds  # lazy: for blocked sets

        if self.is_passed_through(cell):
            return findings
        request = self._parts.request_builder.request(cell, trees, ())
        built = source_builds.build_untried_sources(findings, request, build, self._parts.store)
        # of several commands, the one that blocks leaves the sources of the others unbuilt
        if not request.others:
            return built
        alone, _ = source_builds.findings_on_pins_alone(request, build, self._parts.locker, self._parts.store)
        blamed = {name for finding in built for name in finding.names}
        return (*built, *(finding for finding in alone if blamed.isdisjoint(finding.names)))

    def is_passed_through(self, cell: Cell) -> bool:
        """Whether an interpreter is neither the service's own nor the target: whether it is blocked there is enough."""
        return cell.interpreter not in (cell.service.baseline, self._parts.plan.target)


def _tools_of_baseline(cell: Cell, lock_of: Callable[[Cell], object]) -> tuple[str, ...]:
    """Return the test tools of the baseline's lock as constraints; none for the baseline itself or without a lock."""
    lock = None if cell.is_baseline else lock_of(cell.baseline_cell)
    return tool_constraints(lock) if isinstance(lock, DependencyLock) else ()
