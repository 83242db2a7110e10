"""What is remembered of sets that cannot be had: all that blocks them, next to the locks and by the same key."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.files import write_whole
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.resolution.lock import Keyed, Wanted

FORM = 3
"""Raised when a resolver's words are read in another way: what was told wrongly must not outlive the mistake."""


class Refusals:
    """Holds for as long as a lock does. Safe for threads and several processes."""

    def __init__(self, *, cache: Path, resolver: Keyed, lock_hours: float) -> None:
        self._folder = cache / "locks"
        self._resolver = resolver
        self._lock_seconds = lock_hours * 3600.0

    def known(self, wanted: Wanted, build: InterpreterBuild, *, whole: bool = False) -> tuple[Finding, ...]:
        """What :meth:`keep` was told in an earlier run, empty where that does not hold any more.

        With ``whole``, only where it was all that blocks; without, the first refusal will do.
        """
        try:
            data = json.loads(self._file(wanted, build).read_text(encoding="utf-8"))
            findings = tuple(decode(Finding, item) for item in data["findings"])
            created = float(data["created"])
            if data["form"] != FORM or (whole and data["whole"] is not True):
                return ()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return ()
        # whether a source builds depends on the machine as well, which no cut-off date holds still
        dated = wanted.exclude_newer and not any(finding.code == "PY104" for finding in findings)
        fresh = dated or 0 <= clock.timestamp() - created < self._lock_seconds
        return placed(findings, wanted) if fresh else ()

    def keep(
        self, wanted: Wanted, build: InterpreterBuild, findings: Sequence[Finding], *, whole: bool = False
    ) -> None:
        """Remember that ``wanted`` is refused, and why; with ``whole``, these are all the reasons."""
        data = {"form": FORM, "created": clock.timestamp(), "whole": whole, "findings": encode(tuple(findings))}
        try:
            write_whole(self._file(wanted, build), data)
        except OSError:  # only a cache: a full disk shows itself where it matters
            return

    def _file(self, wanted: Wanted, build: InterpreterBuild) -> Path:
        return self._folder / f"{self._resolver.key(wanted, build)}.refused.json"


def placed(findings: Sequence[Finding], wanted: Wanted) -> tuple[Finding, ...]:
    """``findings`` where ``wanted`` has what they blame, in the order of their places.

    The same requirements may stand in several services, and lines move while what they say stays.
    """
    return in_order([replace(finding, location=_place(finding, wanted)) for finding in findings])


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """``findings`` in the order of their places, those without one at the end."""
    return tuple(sorted(findings, key=_order))


def _place(finding: Finding, wanted: Wanted) -> Location | None:
    return next((place for name in finding.names if (place := wanted.where(name))), None)


def _order(finding: Finding) -> tuple[object, ...]:
    place = finding.location
    return (
        place is None,
        place.path if place else "",
        (place.line if place else 0) or 0,
        finding.code,
        finding.message,
    )
