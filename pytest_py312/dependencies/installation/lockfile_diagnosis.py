"""Decide whether a blocked set is blocked by its lock file or by its requirements.

The set is resolved again without the lock file. If that succeeds, each blocking version is reported at its line in the
lock file, and the remedy is to regenerate the file. Otherwise the requirements have to change.
"""

from collections.abc import Callable, Sequence

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.lock import DependencyLock, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.lockfile_pins import (
    attribute_to_locks,
    regeneration_finding,
    stale_lock_findings,
    with_locked_pins,
)
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution


class LockFileDiagnosis:
    """Resolver of sets with lock files, which attributes their problems. Thread-safe."""

    def __init__(self, request_builder: RequestBuilder, locker: Locker) -> None:
        self._request_builder = request_builder
        self._locker = locker

    def resolve(self, cell: Cell, build: InterpreterBuild, trees: Sequence[StoredDistribution]) -> DependencyLock:
        """Resolve the set of a cell with the versions of its lock files, if it has any.

        :raises Unresolvable, Undetermined: see dependencies/resolution/lock.py.
        """
        request = self._request_builder.request(cell, trees, ())
        requirements = self._request_builder.requirements.of(cell.service)
        if not requirements.locks:
            return self._locker.lock(request, build)
        lock = self._locker.try_lock(request, build)
        if lock is not None:
            return lock
        unlocked_request = self._request_builder.request(cell, trees, (), locked=False)
        try:
            unlocked_lock = self._locker.lock(unlocked_request, build)
        except Unresolvable as blocked:
            raise Unresolvable((*blocked.findings, regeneration_finding(requirements.locks))) from None
        try:
            self._locker.lock(
                with_locked_pins(unlocked_request, requirements.locks, requirements.entries, cell.interpreter), build
            )
        except Unresolvable as blocked:
            raise Unresolvable(
                tuple(attribute_to_locks(blocked.findings, requirements.locks, unlocked_lock, cell.interpreter))
            ) from None
        return self._locker.lock(request, build)

    def attribute_to_lock_files(
        self,
        cell: Cell,
        build: InterpreterBuild,
        trees: Callable[[], Sequence[StoredDistribution]],
        findings: Sequence[Finding],
    ) -> tuple[Finding, ...]:
        """Attribute ``findings`` on sources that do not build to the lock files, if only these require them."""
        requirements = self._request_builder.requirements.of(cell.service)
        if not requirements.locks:
            return tuple(findings)
        try:
            unlocked_lock = self._locker.try_lock(self._request_builder.request(cell, trees(), (), locked=False), build)
        except Undetermined:
            unlocked_lock = None
        return (
            tuple(attribute_to_locks(findings, requirements.locks, unlocked_lock, cell.interpreter))
            if unlocked_lock
            else tuple(findings)
        )

    def stale_lock_findings(self, cell: Cell) -> tuple[Finding, ...]:
        """Return findings for lock files of the cell that do not match its requirements."""
        requirements = self._request_builder.requirements.of(cell.service)
        return tuple(stale_lock_findings(requirements.locks, requirements.entries, cell.interpreter))
