"""Cache of unresolvable sets: the findings that block them, stored beside the locks under the same keys."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.resolution.lock import CacheKeyProvider, ResolutionRequest

FORMAT_VERSION = 4
"""Raised when a resolver's messages are interpreted or phrased differently, so that older findings are dropped."""


class FailureCache:
    """Findings of unresolvable sets, valid for as long as a lock is. Safe for threads and several processes."""

    def __init__(self, *, cache: Path, resolver: CacheKeyProvider, lock_hours: float) -> None:
        self._folder = cache / "locks"
        self._resolver = resolver
        self._lock_seconds = lock_hours * 3600.0

    def get(
        self, request: ResolutionRequest, build: InterpreterBuild, *, complete: bool = False
    ) -> tuple[Finding, ...]:
        """Return the stored findings if they are still valid, else nothing.

        With ``complete``, only if they are everything that blocks the set; otherwise the first finding suffices.
        """
        try:
            data = json.loads(self._file(request, build).read_text(encoding="utf-8"))
            findings = tuple(decode(Finding, item) for item in data["findings"])
            created = float(data["created"])
            if data["form"] != FORMAT_VERSION or (complete and data["whole"] is not True):
                return ()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return ()
        # whether a source builds depends on the machine as well, which a cut-off date does not freeze
        fixed_by_cut_off = request.exclude_newer and not any(finding.code == "PY104" for finding in findings)
        is_valid = fixed_by_cut_off or 0 <= clock.timestamp() - created < self._lock_seconds
        return with_locations(findings, request) if is_valid else ()

    def put(
        self,
        request: ResolutionRequest,
        build: InterpreterBuild,
        findings: Sequence[Finding],
        *,
        complete: bool = False,
    ) -> None:
        """Store why ``request`` is unresolvable; with ``complete``, these are all the reasons."""
        data = {
            "form": FORMAT_VERSION,
            "created": clock.timestamp(),
            "whole": complete,
            "findings": encode(tuple(findings)),
        }
        try:
            write_json_atomically(self._file(request, build), data)
        except OSError:  # only a cache: a full disk is reported where it matters
            return

    def _file(self, request: ResolutionRequest, build: InterpreterBuild) -> Path:
        return self._folder / f"{self._resolver.cache_key(request, build)}.refused.json"


def with_locations(findings: Sequence[Finding], request: ResolutionRequest) -> tuple[Finding, ...]:
    """Return ``findings`` with the locations that ``request`` has for their projects, sorted by them.

    Several services may have the same requirements, and lines move without changing.
    """
    return sorted_by_location([replace(finding, location=_location_of(finding, request)) for finding in findings])


def sorted_by_location(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return ``findings`` sorted by location, those without one at the end."""
    return tuple(sorted(findings, key=_sort_key))


def _location_of(finding: Finding, request: ResolutionRequest) -> Location | None:
    direct = (location for name in finding.names if (location := request.location_of(name)))
    return next(direct, None) or (request.pin_location_of(finding.names[0]) if len(finding.names) == 1 else None)


def _sort_key(finding: Finding) -> tuple[object, ...]:
    location = finding.location
    return (
        location is None,
        location.path if location else "",
        (location.line if location else 0) or 0,
        finding.code,
        finding.message,
    )
