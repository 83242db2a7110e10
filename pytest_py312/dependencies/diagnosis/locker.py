"""Lock a requirement set, or find everything that prevents it; both from the cache where an earlier run has done it."""

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.serialization import encode
from pytest_py312.dependencies.resolution.failure_cache import FailureCache, sorted_by_location, with_locations
from pytest_py312.dependencies.resolution.install_sequence import parts_of
from pytest_py312.dependencies.resolution.lock import (
    DependencyLock,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    differing_preinstalled,
)

if TYPE_CHECKING:
    from pytest_py312.dependencies.diagnosis.package_index import PackageIndex
    from pytest_py312.dependencies.resolution.resolvers import Resolver

    ConstrainedRequest = Callable[[tuple[str, ...]], ResolutionRequest]

RESOLUTIONS_PER_CORE = 6
"""Parallel resolutions per core: they wait for the index most of the time."""
_RESOLUTION: Work[DependencyLock] = Work("resolve")
_CONFLICTS: Work[list[Finding]] = Work("blockers")


class Locker:
    """Locker of requirement sets, which diagnoses unresolvable ones. Safe for threads and several processes.

    The planned resolver decides whether a set resolves. Unresolvable sets are diagnosed with uv and the index, also
    for pip-tools: the results are the same, in a fraction of the time.
    """

    def __init__(self, *, cache: Path, resolver: "Resolver", single_flight: SingleFlight, lock_hours: float) -> None:
        self._cache = cache
        self._resolver = resolver
        self._single_flight = single_flight
        self._lock_hours = lock_hours
        self._failures = FailureCache(cache=cache, resolver=resolver, lock_hours=lock_hours)
        self._indexes: dict[tuple[str | None, str], PackageIndex] = {}
        self._guard = threading.Lock()

    def try_lock(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock | None:
        """Return the lock of ``request``, or ``None`` if it is unresolvable or, offline, not in the cache.

        :raises Undetermined: the resolver or the index did not answer.
        """
        request.require_constraints()
        if self._failures.get(request, build):
            return None
        try:
            return self._resolve_once(request, build)
        except Undetermined:
            if not self._resolver.offline:
                raise
            return None  # offline, what is not in the cache counts as unresolvable
        except Unresolvable as unresolvable:
            self._failures.put(request, build, unresolvable.findings)
            return None

    def keep_preinstalled(
        self, lock: DependencyLock, build: InterpreterBuild, request_with: "ConstrainedRequest"
    ) -> DependencyLock:
        """Return ``lock`` with preinstalled distributions left at their versions, if its other versions allow that.

        pip keeps a preinstalled version that satisfies the requirements. A resolver selects the newest instead, and
        setuptools 82 has no ``pkg_resources``. For its sake pip takes no older version of a project that is required
        before it: up to 23.0 it selects setuptools last (``get_preference`` of its resolver), later ones select what
        is required directly first. ``request_with`` returns the request of ``lock`` with further constraints.

        :raises Undetermined: the resolver or the index did not answer.
        """
        preinstalled_pins = differing_preinstalled(lock, build)
        kept = self.try_lock(request_with(preinstalled_pins), build) if preinstalled_pins else None
        return kept if kept and _differs_only_in(preinstalled_pins, kept, lock) else lock

    def keep_preinstalled_from_cache(
        self, lock: DependencyLock, build: InterpreterBuild, request_with: "ConstrainedRequest"
    ) -> DependencyLock | None:
        """As :meth:`keep_preinstalled`, from the cache; ``None`` if it has no answer."""
        preinstalled_pins = differing_preinstalled(lock, build)
        if not preinstalled_pins:
            return lock
        request = request_with(preinstalled_pins)
        kept = self._resolver.cached_lock(request, build)
        if kept is None:
            return lock if self._failures.get(request, build) else None
        return kept if _differs_only_in(preinstalled_pins, kept, lock) else lock

    def cached_failure_digest(self, request: ResolutionRequest, build: InterpreterBuild) -> str:
        """Return a digest of why ``request`` is known to be unresolvable; empty if that is not known."""
        findings = self._failures.get(request, build) if not request.unknown_constraints else ()
        return (
            hashlib.sha256(json.dumps(encode(findings)).encode("utf-8", "surrogatepass")).hexdigest()
            if findings
            else ""
        )

    def lacks_pages(self) -> bool:
        """Return whether an index did not answer in this run."""
        with self._guard:
            return any(index.has_failed for index in self._indexes.values())

    def lock(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        """Return the lock of ``request``.

        :raises Unresolvable: there is none; its findings are everything that blocks it.
        :raises Undetermined: the resolver or the index did not answer.
        """
        request.require_constraints()
        cached_findings = self._failures.get(request, build, complete=True)
        if cached_findings:
            raise Unresolvable(cached_findings)
        findings = self._diagnose(request, build, None) if self._is_known_unsatisfiable(request, build) else ()
        if _has_errors(findings):
            raise Unresolvable(findings)
        try:
            return self._resolve_once(request, build)
        except Unresolvable as unresolvable:
            return self._confirm_failure(request, build, unresolvable.findings[0])
        except Undetermined as reason:
            # a source that this machine cannot build must not hide what blocks the set everywhere
            findings = self._diagnose(request, build, None) if reason.names else ()
            if _has_errors(findings):
                raise Unresolvable(findings) from None
            raise

    def _confirm_failure(self, request: ResolutionRequest, build: InterpreterBuild, first: Finding) -> DependencyLock:
        """Raise everything that blocks an unresolvable set; return a lock if it resolves at the second attempt.

        :raises Unresolvable, Undetermined: as :meth:`lock`.
        """
        if self._resolver.diagnoser is self._resolver:
            findings = self._diagnose(request, build, first)
            if _has_errors(findings):
                raise Unresolvable(findings) from None
            return self._resolve_once(request, build)  # each part of it resolves now
        findings = self._diagnose(request, build, None)
        if _has_errors(findings):
            raise Unresolvable(findings)
        if findings and any(finding.code == "PY113" for finding in findings):
            # pip treats a failing index as an empty one: its failure alone proves nothing
            raise Undetermined(f"{first.message}; this could not be confirmed: {findings[0].message}")
        refusal = self._resolver.explain(request, build)
        if refusal is None:
            return self._resolve_once(request, build)
        confirmed_finding = replace(refusal, message=f"{refusal.message} (uv resolves the set)")
        self._failures.put(request, build, (confirmed_finding,), complete=True)
        raise Unresolvable((confirmed_finding, *findings))

    def _is_known_unsatisfiable(self, request: ResolutionRequest, build: InterpreterBuild) -> bool:
        """Return whether cached conflicts or index pages prove that ``request`` is unresolvable.

        That saves resolving the whole set. The index is consulted only after another set was unresolvable: a fleet
        whose sets resolve does not need it.
        """
        uv = self._resolver.diagnoser
        if uv is not self._resolver or self._resolver.offline:
            return False
        if uv.conflict_cache.scope_for(request, build).conflicts_among(request.lines):
            return True
        if not self._indexes:
            return False
        from pytest_py312.dependencies.diagnosis.diagnose import has_known_conflict, is_known_unsatisfiable

        index = self.index_for(request, build)
        return is_known_unsatisfiable(request, build, index) or has_known_conflict(
            request, build, uv, index, single_flight=self._single_flight
        )

    def _resolve_once(self, request: ResolutionRequest, build: InterpreterBuild) -> DependencyLock:
        """Resolve once for all services with the same request, also if they run in parallel."""
        return self._single_flight.run(
            _RESOLUTION.of(self._resolver.cache_key(request, build)), lambda: self._resolver.resolve(request, build)
        )

    def _diagnose(
        self, request: ResolutionRequest, build: InterpreterBuild, first: Finding | None
    ) -> tuple[Finding, ...]:
        """Return what blocks ``request``: in each of its parts, as these are resolved one after the other.

        What a platform provides blocks nothing.
        """
        parts = [part for part in parts_of(request) if not part.provided]
        if len(parts) == 1:
            return self._diagnose_part(parts[0], build, first)
        findings = [finding for part in parts for finding in self._diagnose_part(part, build, None)]
        return sorted_by_location(list(dict.fromkeys(findings)))

    def _diagnose_part(
        self, request: ResolutionRequest, build: InterpreterBuild, first: Finding | None
    ) -> tuple[Finding, ...]:
        from pytest_py312.dependencies.diagnosis.conflict_search import UNDETERMINED_CODE
        from pytest_py312.dependencies.diagnosis.diagnose import (
            find_all_conflicts,  # not needed for a set that resolves
        )

        uv, index = self._resolver.diagnoser, self.index_for(request, build)

        def search() -> list[Finding]:
            with PROGRESS.activity("searching for what blocks"):
                return find_all_conflicts(
                    request, build, uv, index, first_refusal=first, single_flight=self._single_flight
                )

        findings = self._single_flight.run(
            _CONFLICTS.of(self._resolver.cache_key(request, build)),
            search,
        )
        if _has_errors(findings) and not any(finding.code == UNDETERMINED_CODE for finding in findings):
            self._failures.put(request, build, findings, complete=True)
        return with_locations(findings, request)

    def blamed_projects(self, request: ResolutionRequest, build: InterpreterBuild) -> tuple[str, ...] | None:
        """Return ``None`` if uv resolves ``request``, else the directly required projects that are to blame.

        :raises Undetermined: uv or the index did not answer.
        """
        blocking_findings = self._failures.get(request, build)
        if not blocking_findings:
            uv = self._resolver.diagnoser
            try:
                self._single_flight.run(
                    _RESOLUTION.of(uv.cache_key(request, build)), lambda: uv.resolve(request, build)
                )
                return None
            except Unresolvable as unresolvable:
                blocking_findings = unresolvable.findings
                if uv is self._resolver:
                    self._failures.put(request, build, blocking_findings)
        return tuple(dict.fromkeys(name for finding in blocking_findings for name in finding.names))

    def excluded_requirements(self, request: ResolutionRequest, build: InterpreterBuild) -> tuple[Finding, ...]:
        """Return the requirements that pip refuses on this interpreter, although uv resolves the set."""
        from pytest_py312.dependencies.diagnosis.diagnose import excluded_requirements

        parts = [part for part in parts_of(request) if not part.provided and not part.by_uv]
        findings = (
            finding for part in parts for finding in excluded_requirements(part, build, self.index_for(part, build))
        )
        return tuple(dict.fromkeys(findings))

    def index_for(self, request: ResolutionRequest, build: InterpreterBuild) -> "PackageIndex":
        """Return the index that uv uses for ``request``: one object per index, as it caches its pages."""
        from pytest_py312.dependencies.diagnosis.package_index import PackageIndex

        key = (self._resolver.diagnoser.index_url(request, build), request.exclude_newer)
        with self._guard:
            if key not in self._indexes:
                self._indexes[key] = PackageIndex(
                    cache=self._cache,
                    url=key[0],
                    lock_hours=self._lock_hours,
                    exclude_newer=key[1],
                    offline=self._resolver.offline,
                )
            return self._indexes[key]


def _differs_only_in(pins: Sequence[str], kept: DependencyLock, lock: DependencyLock) -> bool:
    """Return whether all that ``kept`` has, except for the projects of ``pins``, has the same version in ``lock``."""
    names = {line.partition("==")[0] for line in pins}
    return all(lock.versions.get(name) == version for name, version in kept.versions.items() if name not in names)


def _has_errors(findings: "tuple[Finding, ...] | list[Finding]") -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)
