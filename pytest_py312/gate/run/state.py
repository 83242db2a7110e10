"""The state file: cached outcomes, durations and benchmark results of one repository, in SQLite."""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.database import Database, Execute
from pytest_py312.core.errors import StateError

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
                    "DELETE FROM speeds WHERE key = ?1 AND at NOT IN "
                    "(SELECT at FROM speeds WHERE key = ?1 ORDER BY at DESC LIMIT ?2)",
                    (key, MAX_COMPARISON_RUNS),
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
