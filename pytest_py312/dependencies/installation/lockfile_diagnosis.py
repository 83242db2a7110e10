"""Sets that a lock file holds to versions which cannot be had: is it the lock file, or what is required?

Told by asking again without the lock file. Where that resolves, each version that keeps the set from being installed is
told with its line in the lock file, and the remedy is to make it anew; else the requirements are what has to change.
"""

from collections.abc import Callable, Sequence

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.locker import Locking
from pytest_py312.dependencies.installation.distribution_store import Entry
from pytest_py312.dependencies.installation.requests import Demands
from pytest_py312.dependencies.resolution.lock import Blocked, Lock, Unchecked
from pytest_py312.dependencies.resolution.lockfile_pins import afterwards, as_locked, pinned, stale


class LockVerdicts:
    """Judges what lock files hold. Safe for threads."""

    def __init__(self, demands: Demands, locking: Locking) -> None:
        self._demands = demands
        self._locking = locking

    def lock(self, cell: Cell, build: InterpreterBuild, trees: Sequence[Entry]) -> Lock:
        """The lock of a cell with what its lock files hold, where it has any.

        :raises Blocked, Unchecked: see dependencies/resolution/lock.py.
        """
        wanted = self._demands.wanted(cell, trees, ())
        found = self._demands.requirements(cell.service)
        if not found.locks:
            return self._locking.lock(wanted, build)
        lock = self._locking.attempt(wanted, build)
        if lock is not None:
            return lock
        loose = self._demands.wanted(cell, trees, (), locked=False)
        try:
            free = self._locking.lock(loose, build)
        except Blocked as blocked:
            raise Blocked((*blocked.findings, afterwards(found.locks))) from None
        try:
            self._locking.lock(pinned(loose, found.locks, found.entries, cell.interpreter), build)
        except Blocked as blocked:
            raise Blocked(tuple(as_locked(blocked.findings, found.locks, free, cell.interpreter))) from None
        return self._locking.lock(wanted, build)

    def of_lock_files(
        self, cell: Cell, build: InterpreterBuild, trees: Callable[[], Sequence[Entry]], findings: Sequence[Finding]
    ) -> tuple[Finding, ...]:
        """``findings`` about sources that do not build, as the lock files' where nothing else asks for them."""
        found = self._demands.requirements(cell.service)
        if not found.locks:
            return tuple(findings)
        try:
            free = self._locking.attempt(self._demands.wanted(cell, trees(), (), locked=False), build)
        except Unchecked:
            free = None
        return tuple(as_locked(findings, found.locks, free, cell.interpreter)) if free else tuple(findings)

    def stale(self, cell: Cell) -> tuple[Finding, ...]:
        """Where the cell's lock files do not fit what is required."""
        found = self._demands.requirements(cell.service)
        return tuple(stale(found.locks, found.entries, cell.interpreter))
