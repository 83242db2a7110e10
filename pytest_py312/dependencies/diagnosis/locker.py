"""The lock of a set, or everything that keeps it from having one, both from memory where an earlier run knows."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.resolution.failure_cache import Refusals, placed
from pytest_py312.dependencies.resolution.lock import Blocked, Lock, Unchecked, Wanted, replaced

if TYPE_CHECKING:
    from pytest_py312.dependencies.diagnosis.package_index import Index
    from pytest_py312.dependencies.resolution.resolvers import Engine

    Constrained = Callable[[tuple[str, ...]], Wanted]

RESOLVED_AT_ONCE = 6
"""Resolutions for each core: they wait for the index most of the time."""


class Locking:
    """Asks the resolver, and whoever else is needed when it refuses. Safe for threads and several processes.

    Whether a set can be had is the chosen resolver's verdict. What blocks a set that it refuses is uv's and the index's
    to tell, and uv tries repairs out as well: the same answers in a fraction of the time.
    """

    def __init__(self, *, cache: Path, resolver: "Engine", once: Once, lock_hours: float) -> None:
        self._cache = cache
        self._resolver = resolver
        self._once = once
        self._lock_hours = lock_hours
        self._refusals = Refusals(cache=cache, resolver=resolver, lock_hours=lock_hours)
        self._indexes: dict[tuple[str | None, str], Index] = {}
        self._guard = threading.Lock()

    def attempt(self, wanted: Wanted, build: InterpreterBuild) -> Lock | None:
        """The lock of ``wanted``, or ``None`` where it has none, whatever the reason.

        :raises Unchecked: it could not be found out.
        """
        if self._refusals.known(wanted, build):
            return None
        try:
            return self._resolved(wanted, build)
        except Unchecked:
            if not self._resolver.offline:
                raise
            return None  # what is not in the cache is not tried
        except Blocked as blocked:
            self._refusals.keep(wanted, build, blocked.findings)
            return None

    def like_pip(self, lock: Lock, build: InterpreterBuild, wanted: "Constrained") -> Lock:
        """``lock`` with what a new environment has from the start left as it is, where the set allows that.

        pip takes what is there for good enough; a resolver that starts from nothing takes the newest, and setuptools 82
        has no ``pkg_resources`` any more. ``wanted`` is the set of ``lock`` with further constraints.

        :raises Unchecked: it could not be found out.
        """
        kept = replaced(lock, build)
        return (self.attempt(wanted(kept), build) if kept else None) or lock

    def known_like_pip(self, lock: Lock, build: InterpreterBuild, wanted: "Constrained") -> Lock | None:
        """As :meth:`like_pip`, from memory; ``None`` where that does not know."""
        kept = replaced(lock, build)
        if not kept:
            return lock
        there = wanted(kept)
        return self._resolver.known(there, build) or (lock if self._refusals.known(there, build) else None)

    def lock(self, wanted: Wanted, build: InterpreterBuild) -> Lock:
        """The lock of ``wanted``.

        :raises Blocked: there is none; its findings are all that blocks.
        :raises Unchecked: it could not be found out.
        """
        known = self._refusals.known(wanted, build, whole=True)
        if known:
            raise Blocked(known)
        findings = self._all(wanted, build, None) if self._is_foreseen(wanted, build) else ()
        if _is_blocked(findings):
            raise Blocked(findings)
        try:
            return self._resolved(wanted, build)
        except Blocked as blocked:
            return self._confirmed(wanted, build, blocked.findings[0])
        except Unchecked as reason:
            # one source that cannot be built on this machine must not hide what blocks the set on all
            findings = self._all(wanted, build, None) if reason.names else ()
            if _is_blocked(findings):
                raise Blocked(findings) from None
            raise

    def _confirmed(self, wanted: Wanted, build: InterpreterBuild, first: Finding) -> Lock:
        """All that blocks a set that was refused, raised; a lock where the refusal did not last.

        :raises Blocked, Unchecked: as :meth:`lock`.
        """
        if self._resolver.uv is self._resolver:
            raise Blocked(self._all(wanted, build, first)) from None
        findings = self._all(wanted, build, None)
        if _is_blocked(findings):
            raise Blocked(findings)
        if findings and any(finding.code == "PY113" for finding in findings):
            # pip takes an index that fails for one that has nothing: alone it is no witness
            raise Unchecked(f"{first.message}; whether that is so could not be confirmed: {findings[0].message}")
        refusal = self._resolver.refusal(wanted, build)
        if refusal is None:
            return self._resolved(wanted, build)
        about = replace(refusal, message=f"{refusal.message} (uv resolves the set)")
        self._refusals.keep(wanted, build, (about,), whole=True)
        raise Blocked((about, *findings))

    def _is_foreseen(self, wanted: Wanted, build: InterpreterBuild) -> bool:
        """Whether what is known of the index and of parts of sets settles that ``wanted`` is blocked.

        The whole set is not asked about then. The index is only looked at where another set was refused: those that
        resolve have no use for it.
        """
        uv = self._resolver.uv
        if uv is not self._resolver or self._resolver.offline:
            return False
        if uv.parts.of(wanted, build).clashes(wanted.lines):
            return True
        if not self._indexes:
            return False
        from pytest_py312.dependencies.diagnosis.diagnose import is_foreseen, is_known_to_clash

        index = self.index(wanted, build)
        return is_foreseen(wanted, build, index) or is_known_to_clash(wanted, build, uv, index, once=self._once)

    def _resolved(self, wanted: Wanted, build: InterpreterBuild) -> Lock:
        """Services that ask for the same are resolved once, also when they ask at the same moment."""
        return self._once(f"resolve {self._resolver.key(wanted, build)}", lambda: self._resolver.resolve(wanted, build))

    def _all(self, wanted: Wanted, build: InterpreterBuild, first: Finding | None) -> tuple[Finding, ...]:
        from pytest_py312.dependencies.diagnosis.conflict_search import UNTOLD
        from pytest_py312.dependencies.diagnosis.diagnose import all_blockers  # a set that resolves has no use for it

        uv, index = self._resolver.uv, self.index(wanted, build)
        key = f"blockers {self._resolver.key(wanted, build)}"
        findings = self._once(key, lambda: all_blockers(wanted, build, uv, index, first=first, once=self._once))
        if _is_blocked(findings) and not any(finding.code == UNTOLD for finding in findings):
            self._refusals.keep(wanted, build, findings, whole=True)
        return placed(findings, wanted)

    def blame(self, wanted: Wanted, build: InterpreterBuild) -> tuple[str, ...] | None:
        """``None`` where uv finds a lock of ``wanted``, else the directly required projects that its refusal names.

        :raises Unchecked: it could not be found out.
        """
        known = self._refusals.known(wanted, build)
        if not known:
            uv = self._resolver.uv
            try:
                self._once(f"resolve {uv.key(wanted, build)}", lambda: uv.resolve(wanted, build))
                return None
            except Blocked as blocked:
                known = blocked.findings
                if uv is self._resolver:
                    self._refusals.keep(wanted, build, known)
        return tuple(dict.fromkeys(name for finding in known for name in finding.names))

    def index(self, wanted: Wanted, build: InterpreterBuild) -> "Index":
        """The index that uv uses for ``wanted``: one object for each, as it remembers what it was told."""
        from pytest_py312.dependencies.diagnosis.package_index import Index

        key = (self._resolver.uv.index_url(wanted, build), wanted.exclude_newer)
        with self._guard:
            if key not in self._indexes:
                self._indexes[key] = Index(
                    cache=self._cache,
                    url=key[0],
                    lock_hours=self._lock_hours,
                    exclude_newer=key[1],
                    offline=self._resolver.offline,
                )
            return self._indexes[key]


def _is_blocked(findings: "tuple[Finding, ...] | list[Finding]") -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)
