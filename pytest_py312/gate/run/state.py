"""What runs of one repository remember of each other: the state file."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.database import OPENING_TRIES
from pytest_py312.core.errors import StateError

SCHEMA = """
CREATE TABLE IF NOT EXISTS outcomes (key TEXT PRIMARY KEY, document TEXT NOT NULL, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS durations (name TEXT PRIMARY KEY, seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS speeds (
  key TEXT NOT NULL, at TEXT NOT NULL, document TEXT NOT NULL, used REAL NOT NULL, PRIMARY KEY (key, at)
);
"""
VERSION = 1
KEPT_SECONDS = 60 * 24 * 3600.0
"""Outcomes that no run asked for in this time are forgotten (60 days)."""
KEPT_SPEEDS = 50
"""Runs of which the measurements of one benchmark are kept; the oldest are forgotten."""
KEPT_SPEEDS_SECONDS = 400 * 24 * 3600.0
"""And measurements that are older than this (a little more than a year)."""


class State:
    """An open state file. May be used from several threads."""

    def __init__(self, folder: Path) -> None:
        """
        :raises StateError: it cannot be opened, and what to do about it.
        """
        self._path = folder / "state.sqlite"
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("# state of pytest-py312: not for version control\n*\n", encoding="utf-8")
            self._connection = self._opened()
        except (OSError, sqlite3.Error) as error:
            raise StateError(
                f"{self._path}: the state file cannot be used: {error}. Remove it, or make its folder writable"
            ) from error

    def _opened(self) -> sqlite3.Connection:
        """Open it. Two that make it at once lock each other out, and the switch to WAL heeds no busy time-out."""
        for _ in range(OPENING_TRIES):
            try:
                return self._open()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                clock.pause(0.05)
        return self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30.0, check_same_thread=False, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise OSError(f"it was written by another version of this tool (form {version}, known: {VERSION})")
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version={VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def outcome(self, key: str) -> object:
        """The document that :meth:`keep_outcome` was given for ``key``, or ``None``."""
        with self._lock:
            try:
                row = self._connection.execute("SELECT document FROM outcomes WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error:
                return None  # a cache that cannot be read is an empty one
        return _read(row) if row else None

    def keep_outcome(self, key: str, document: object) -> None:
        """Keep a document; a full disk only means that it is worked out again next time."""
        self._write("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", (key, json.dumps(document), clock.timestamp()))

    def touch(self, keys: Iterable[str]) -> None:
        """Say that these outcomes were used, and forget those that nobody has used for long."""
        now = clock.timestamp()
        with self._lock:
            try:
                self._connection.execute("BEGIN")
                self._connection.executemany("UPDATE outcomes SET used = ? WHERE key = ?", [(now, key) for key in keys])
                self._connection.execute("DELETE FROM outcomes WHERE used < ?", (now - KEPT_SECONDS,))
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                return

    def duration(self, name: str) -> float | None:
        """Seconds that ``name`` took last time."""
        with self._lock:
            try:
                row = self._connection.execute("SELECT seconds FROM durations WHERE name = ?", (name,)).fetchone()
            except sqlite3.Error:
                return None
        return float(row[0]) if row and isinstance(row[0], int | float) else None

    def keep_duration(self, name: str, seconds: float) -> None:
        """Remember how long ``name`` took."""
        self._write("INSERT OR REPLACE INTO durations VALUES (?, ?)", (name, seconds))

    def speeds(self, key: str) -> list[object]:
        """The documents that :meth:`keep_speeds` was given for ``key``, the oldest first."""
        with self._lock:
            try:
                rows = self._connection.execute(
                    "SELECT document FROM speeds WHERE key = ? ORDER BY at DESC LIMIT ?", (key, KEPT_SPEEDS)
                ).fetchall()
            except sqlite3.Error:
                return []
        return [document for row in reversed(rows) if (document := _read(row)) is not None]

    def keep_speeds(self, documents: Mapping[str, object], at: str) -> None:
        """Keep what a run that ended ``at`` (RFC 3339, UTC) measured, by key; forget what is too much or too old."""
        now = clock.timestamp()
        with self._lock, suppress(sqlite3.Error), self._connection:  # which undoes all of it where a part fails
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT OR REPLACE INTO speeds VALUES (?, ?, ?, ?)",
                [(key, at, json.dumps(document), now) for key, document in documents.items()],
            )
            self._connection.executemany(
                "DELETE FROM speeds WHERE key = ?1 AND at NOT IN "
                "(SELECT at FROM speeds WHERE key = ?1 ORDER BY at DESC LIMIT ?2)",
                [(key, KEPT_SPEEDS) for key in documents],
            )
            self._connection.execute("DELETE FROM speeds WHERE used < ?", (now - KEPT_SPEEDS_SECONDS,))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with self._lock:
            try:
                self._connection.execute(statement, values)
            except sqlite3.Error:
                return

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _read(row: tuple[Any, ...]) -> object:
    """The document in ``row``, or ``None``: the file lies in the repository, and anybody may have written it."""
    try:
        return json.loads(row[0])
    except (ValueError, TypeError, RecursionError):
        return None
