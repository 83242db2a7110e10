"""The state file: cached outcomes, durations and benchmark results of one repository, in SQLite.

Of the results of benchmarks, only those of the same interpreter builds on the same processor are comparable: other
differences would not be caused by the service.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.database import Database, Execute
from pytest_py312.core.errors import StateError
from pytest_py312.core.model.measurements import BenchmarkComparison, PastComparison, SpeedVerdict

SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (key TEXT PRIMARY KEY, document TEXT NOT NULL, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS durations (name TEXT PRIMARY KEY, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS speeds (
  key TEXT NOT NULL, at TEXT NOT NULL, document TEXT NOT NULL, used REAL NOT NULL, PRIMARY KEY (key, at)
);
"""
VERSION = 1
MAX_BYTES = 2 * 1024**3
OUTCOME_RETENTION_SECONDS = 60 * 24 * 3600.0
"""Outcomes that were not used for this time are deleted (60 days)."""
MAX_COMPARISON_RUNS = 50
"""Number of runs whose results are kept per benchmark; older ones are deleted."""
COMPARISON_RETENTION_SECONDS = 400 * 24 * 3600.0
"""Results that were not used for this time are deleted (a little more than a year)."""

COMPARABLE_CONDITIONS = ("python", "compiler", "options", "libc", "build", "origin", "image", "processor", "clock")
"""Conditions that have to be equal. Others may differ, such as the core or the load of the machine."""
_MAX_DATE_LENGTH = 40  # characters


class StateFile:
    """An open state file. Thread-safe. It is a cache: what cannot be read is absent, what cannot be written is lost."""

    def __init__(self, folder: Path) -> None:
        """Open the state file in ``folder``.

        :raises StateError: it cannot be opened; the message says what to do.
        """
        self._database = Database(
            folder / "state.sqlite", schema=SCHEMA, version=VERSION, max_bytes=MAX_BYTES, is_cache=True
        )

    def outcome(self, key: str) -> object:
        """Return the document that :meth:`store_outcome` was given for ``key``, or ``None``."""
        rows = self._rows("SELECT document FROM outcomes WHERE key = ?", key)
        return _parse_document(rows[0]) if rows else None

    def store_outcome(self, key: str, document: object) -> None:
        """Store a document. If it cannot be stored, the outcome is computed again next time."""
        values = (key, json.dumps(document), clock.timestamp())
        self._write(lambda execute: execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", values))

    def touch(self, keys: Iterable[str]) -> None:
        """Record the use of these outcomes, and delete those that were not used for a long time."""
        now = clock.timestamp()

        def transaction(execute: Execute) -> None:
            for key in keys:
                execute("UPDATE outcomes SET used = ? WHERE key = ?", (now, key))
            execute("DELETE FROM outcomes WHERE used < ?", (now - OUTCOME_RETENTION_SECONDS,))

        self._write(transaction)

    def durations(self, prefix: str) -> dict[str, float]:
        """Return the last durations in seconds of all whose names begin with ``prefix``, by what follows it."""
        rows = self._rows("SELECT name, seconds FROM durations WHERE substr(name, 1, ?) = ?", len(prefix), prefix)
        return {str(name)[len(prefix) :]: float(value) for name, value in rows if isinstance(value, int | float)}

    def store_duration(self, name: str, seconds: float) -> None:
        """Store the duration of ``name`` in seconds."""
        self._write(lambda execute: execute("INSERT OR REPLACE INTO durations VALUES (?, ?)", (name, seconds)))

    def comparisons(self, key: str) -> list[object]:
        """Return the documents that :meth:`store_comparisons` was given for ``key``, the oldest first."""
        rows = self._rows(
            "SELECT document FROM speeds WHERE key = ? ORDER BY at DESC LIMIT ?", key, MAX_COMPARISON_RUNS
        )
        return [document for row in reversed(rows) if (document := _parse_document(row)) is not None]

    def store_comparisons(self, documents: Mapping[str, object], at: str) -> None:
        """Store the results by key of a run that ended ``at`` (RFC 3339, UTC), and prune the history."""
        now = clock.timestamp()

        def transaction(execute: Execute) -> None:
            for key, document in documents.items():
                execute("INSERT OR REPLACE INTO speeds VALUES (?, ?, ?, ?)", (key, at, json.dumps(document), now))
                execute(
                    "DELETE FROM speeds WHERE key = ? AND at NOT IN "
                    "(SELECT at FROM speeds WHERE key = ? ORDER BY at DESC LIMIT ?)",
                    (key, key, MAX_COMPARISON_RUNS),
                )
            execute("DELETE FROM speeds WHERE used < ?", (now - COMPARISON_RETENTION_SECONDS,))

        self._write(transaction)

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._database.read(lambda execute: execute(statement, values))
        except StateError:
            return []

    def _write(self, transaction: Callable[[Execute], object]) -> None:
        with suppress(StateError):
            self._database.transact(transaction, urgent=False)

    def close(self) -> None:
        self._database.close()


def _parse_document(row: tuple[Any, ...]) -> object:
    """Return the document in ``row``, or ``None`` if it is invalid: the content of the file is untrusted."""
    try:
        return json.loads(row[0])
    except (ValueError, TypeError, RecursionError):
        return None


class BenchmarkHistory:
    """The measurements of earlier runs, from the state file in ``folder``.

    They are read once, so results that this run records are not part of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cached: dict[str, tuple[PastComparison, ...]] = {}

    def with_history(self, comparisons: Iterable[BenchmarkComparison]) -> tuple[BenchmarkComparison, ...]:
        """Add the results of earlier runs to ``comparisons``; none if the state file cannot be used."""
        current = tuple(comparisons)
        missing = [key for key in map(comparison_key, current) if key not in self._cached]
        if missing:
            self._cached |= self._read(missing)
        return tuple(
            replace(comparison, past_comparisons=self._cached[comparison_key(comparison)]) for comparison in current
        )

    def _read(self, keys: Sequence[str]) -> dict[str, tuple[PastComparison, ...]]:
        with suppress(StateError), closing(StateFile(self._folder)) as state:
            return {key: tuple(filter(None, map(parse_past_comparison, state.comparisons(key)))) for key in keys}
        return dict.fromkeys(keys, ())

    def record(self, comparisons: Iterable[BenchmarkComparison], at: str) -> None:
        """Store the results of a run that ended ``at`` (RFC 3339, UTC), for later runs."""
        documents = {
            comparison_key(comparison): comparison_document(comparison, at)
            for comparison in comparisons
            if comparison.pairs
        }
        if documents:
            # what cannot be stored does not affect this run, only the history of later ones
            with suppress(StateError), closing(StateFile(self._folder)) as state:
                state.store_comparisons(documents, at)


def comparison_key(comparison: BenchmarkComparison) -> str:
    """Return a key that is equal for comparable results."""
    conditions = {name: comparison.conditions[name] for name in COMPARABLE_CONDITIONS if name in comparison.conditions}
    subject = [
        comparison.service,
        comparison.kind,
        comparison.name,
        comparison.unit,
        str(comparison.baseline),
        str(comparison.target),
    ]
    return hashlib.sha256(json.dumps([subject, conditions], sort_keys=True).encode()).hexdigest()


def comparison_document(comparison: BenchmarkComparison, at: str) -> dict[str, Any]:
    """Return the stored document of ``comparison``, as :func:`parse_past_comparison` reads it."""
    baseline_median, target_median = comparison.medians
    return {
        "at": at,
        "verdict": comparison.verdict.value,
        "ratio": comparison.ratio,
        "low": comparison.low,
        "high": comparison.high if math.isfinite(comparison.high) else None,
        "before": baseline_median,
        "after": target_median,
    }


def parse_past_comparison(document: object) -> PastComparison | None:
    """Parse a stored document; ``None`` if it has another form."""
    if not isinstance(document, dict):
        return None
    at, high = document.get("at"), document.get("high")
    figures = [_measured_number(document.get(name)) for name in ("ratio", "low", "before", "after")]
    figures.append(math.inf if high is None else _measured_number(high))
    try:
        verdict = SpeedVerdict(document.get("verdict"))
    except ValueError:
        return None
    if (
        not isinstance(at, str)
        or len(at) > _MAX_DATE_LENGTH
        or not at.isascii()
        or not at.isprintable()
        or None in figures
    ):
        return None
    ratio, low, before, after, highest = (figure for figure in figures if figure is not None)
    return PastComparison(
        ended_at=at, verdict=verdict, ratio=ratio, low=low, high=highest, baseline_median=before, target_median=after
    )


def _measured_number(value: object) -> float | None:
    """Return ``value`` as a finite, non-negative number, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
