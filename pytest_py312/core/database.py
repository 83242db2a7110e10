"""The only access to SQLite.

:class:`Database` is the base of the rollout's journal, whose confirmed writes survive a crash, and of the gate's state
file, which is only a cache.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.core import clock
from pytest_py312.core.errors import StateError

OPEN_ATTEMPTS = 100
_T = TypeVar("_T")
Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""Executes one statement with its values within a transaction and returns the rows."""

BUSY_TIMEOUT = 30.0
"""Seconds that a :class:`Database` waits for another process that is writing."""
SYNCHRONOUS = "FULL"
"""Value of SQLite's ``PRAGMA synchronous`` for a :class:`Database` that is no cache."""
RESERVE_BYTES = 64 * 1024
"""Size of the file that is kept beside a :class:`Database` and deleted when the disk is full."""
MIN_FREE_BYTES = 64 * 1024**2
"""Free space that is required before starting an operation that must be recorded to its end."""


class DiskFull(StateError):
    """The data was not written because the disk is full. The file is unchanged."""


class Database:
    """A SQLite file whose writes are on disk when a call returns.

    Safe for several threads and processes. All methods raise :class:`StateError` when the file cannot be used.
    """

    def __init__(self, path: Path, *, schema: str, version: int, max_bytes: int, is_cache: bool = False) -> None:
        """Open the file, and create it and its folder if they are missing.

        :param version: version of the schema; a file with another version is refused.
        :param max_bytes: size at which the file counts as full.
        :param is_cache: losing the file only costs time: writes need not be on disk when a call returns, and no space
            is reserved.
        """
        self._path = path
        self._is_cache = is_cache
        self._reserve = path.with_suffix(".reserve")
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            ignore = path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("# state of pytest-py312: not for version control\n*\n", encoding="utf-8")
            self._connection = self._open(schema, version, max_bytes)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable_error(error) from error
        self._ensure_reserve()

    def _open(self, schema: str, version: int, max_bytes: int) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, check_same_thread=False, isolation_level=None)
        try:
            for attempt in range(OPEN_ATTEMPTS):
                try:
                    connection.execute("PRAGMA journal_mode=WAL")
                    break
                except sqlite3.OperationalError as error:
                    # concurrent creators of the file block each other; the busy time-out does not apply here
                    if "locked" not in str(error) or attempt == OPEN_ATTEMPTS - 1:
                        raise
                    clock.pause(0.05)
            connection.execute(f"PRAGMA synchronous={'NORMAL' if self._is_cache else SYNCHRONOUS}")
            connection.execute("PRAGMA journal_size_limit=4194304")
            page_size = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={max(64, max_bytes // page_size)}")
            stored_version = connection.execute("PRAGMA user_version").fetchone()[0]
            if stored_version not in (0, version):
                raise _SchemaMismatch(
                    "it was written by another version of this tool "
                    f"(schema {stored_version}; this version reads {version})"
                )
            if stored_version == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version={version}; COMMIT;")
        except BaseException:
            connection.close()
            raise
        return connection

    def read(self, transaction: Callable[[Execute], _T]) -> _T:
        """Run ``transaction`` on a consistent snapshot and return its result. It must not write; it never waits for
        writers.
        """
        with self._lock:
            return self._run_transaction(transaction, "BEGIN")

    def transact(self, transaction: Callable[[Execute], _T], *, urgent: bool = True) -> _T:
        """Run ``transaction`` and commit it; if it raises, roll it back. No other process writes in between.

        ``transaction`` may be called twice: when the disk is full, an ``urgent`` one is repeated with the reserve
        released.

        :raises DiskFull: there is no space, even with the reserve released.
        """
        with self._lock:
            try:
                result = self._run_transaction(transaction)
            except DiskFull:
                if not (urgent and self._release_reserve()):
                    raise
                return self._run_transaction(transaction)
            self._ensure_reserve()
            return result

    def _run_transaction(self, transaction: Callable[[Execute], _T], begin_statement: str = "BEGIN IMMEDIATE") -> _T:
        try:
            self._connection.execute(begin_statement)
            try:
                result = transaction(lambda statement, values: self._connection.execute(statement, values).fetchall())
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if _is_disk_full(error):
                raise DiskFull(f"{self._path}: the disk is full: {error}. Free some space") from error
            raise self._unusable_error(error) from error
        except UnicodeEncodeError as error:
            raise StateError(
                f"{error.object!r} cannot be stored: it contains characters that UTF-8 cannot encode"
            ) from error
        return result

    def integrity_errors(self) -> list[str]:
        """Return what SQLite's integrity check reports for the whole file; empty if it is intact."""
        messages = self.read(lambda execute: [str(row[0]) for row in execute("PRAGMA integrity_check(5)", ())])
        return [] if messages == ["ok"] else messages

    @property
    def free_bytes(self) -> int:
        """Free space on the file system that holds the file."""
        filesystem = os.statvfs(self._path.parent)
        return filesystem.f_bavail * filesystem.f_frsize

    def _ensure_reserve(self) -> None:
        if self._is_cache or self._reserve.exists():
            return
        try:
            self._reserve.write_bytes(os.urandom(RESERVE_BYTES))  # zeros may be stored sparsely and reserve nothing
        except OSError:
            self._release_reserve()  # a partial reserve is useless

    def _release_reserve(self) -> bool:
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def _unusable_error(self, error: Exception) -> StateError:
        error_class = DiskFull if isinstance(error, sqlite3.Error | OSError) and _is_disk_full(error) else StateError
        if self._is_cache:
            return error_class(
                f"{self._path}: the state file cannot be used: {error}. Remove it, or make its folder writable"
            )
        return error_class(
            f"{self._path}: cannot be used: {error}. It is not recreated, because its records must not be lost: "
            f"{_remedy(error)}"
        )

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class _SchemaMismatch(OSError):
    """The file has a schema version that this version of the tool cannot read."""


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or "disk is full" in str(error)


def _remedy(error: Exception) -> str:
    """Return what the user can do about a file that cannot be used."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, _SchemaMismatch):
        return "use the version that wrote it"
    if _is_disk_full(error):
        return "free some space on its disk"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another process has locked it for {BUSY_TIMEOUT:g} s: wait until that one ends"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or isinstance(error, OSError):
        return "make it and its folder writable for this user, or choose another folder with --state-dir"
    if code == sqlite3.SQLITE_IOERR:
        return "its disk is full or failing: check the disk first"
    return "restore it from a backup"
