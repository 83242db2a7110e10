"""The only access to SQLite.

:class:`Database` is the base of the rollout's journal, whose confirmed writes survive a crash, and of the gate's state
file, which is only a cache.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.core import clock
from pytest_py312.core.errors import StateError, is_disk_full
from pytest_py312.core.text import format_size

OPEN_ATTEMPTS = 100
_T = TypeVar("_T")
Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""Executes one statement with its values within a transaction and returns the rows."""

BUSY_TIMEOUT = 30.0
"""Seconds that a :class:`Database` waits for another process that is writing."""
SYNCHRONOUS = "FULL"
"""Value of SQLite's ``PRAGMA synchronous`` for a :class:`Database` that is no cache."""
RESERVE_BYTES = 1024 * 1024
"""Size of the file that is kept beside a :class:`Database`; urgent writes get its space when the disk is full."""
RELEASE_BYTES = 16 * 1024
"""Space that is taken from the reserve at once. Other processes that write to the disk could use what is too much."""
MIN_FREE_BYTES = 64 * 1024**2
"""Free space that is required before starting an operation that must be recorded to its end."""


class DiskFull(StateError):
    """The data was not written because the disk is full. The file is unchanged."""


class DiskReserve:
    """A file whose space is given up step by step when the disk is full."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """Bytes that are reserved."""
        try:
            return self._path.lstat().st_size
        except OSError:
            return 0

    def refill(self) -> bool:
        """Reserve what is missing; return whether the reserve is complete, or is so except for lack of space."""
        size = self.size
        if size >= RESERVE_BYTES:
            return True
        content = os.urandom(RESERVE_BYTES - size)  # zeros may be stored sparsely and reserve nothing
        try:
            if free_space(self._path.parent) < len(content):
                return False
            with self._opened() as descriptor:
                while content:
                    content = content[os.pwrite(descriptor, content, RESERVE_BYTES - len(content)) :]
        except OSError as error:
            return not _is_disk_full(error)
        return True

    def release(self) -> bool:
        """Give up :data:`RELEASE_BYTES`; return whether there was something left."""
        size = self.size
        if not size:
            return False
        try:
            with self._opened() as descriptor:
                os.ftruncate(descriptor, max(0, size - RELEASE_BYTES))
                os.fsync(descriptor)
        except OSError:
            return False
        return True

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


class Database:
    """A SQLite file whose writes are on disk when a call returns.

    Safe for several threads and processes. All methods raise :class:`StateError` when the file cannot be used.

    Unless it is a cache, space for urgent writes is reserved. When the disk is full, the file can be read, and only
    urgent writes use the reserve, also to open the file for writing. Other writes are refused until it is complete
    again.
    """

    def __init__(self, path: Path, *, schema: str, version: int, max_bytes: int, is_cache: bool = False) -> None:
        """Open the file, and create it and its folder if they are missing.

        :param version: version of the schema; a file with another version is refused.
        :param max_bytes: size at which the file counts as full.
        :param is_cache: losing the file only costs time: writes need not be on disk when a call returns, and no space
            is reserved.
        """
        self._path = path
        self._schema, self._version, self._max_bytes = schema, version, max_bytes
        self._is_cache = is_cache
        self._reserve = DiskReserve(path.with_suffix(".reserve"))
        self._lock = threading.Lock()
        self._is_snapshot = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            ignore = path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("# state of pytest-py312: not for version control\n*\n", encoding="utf-8")
            self._connection = self._open_or_snapshot()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable_error(error) from error
        if not (is_cache or self._is_snapshot):
            self._reserve.refill()

    def _open_or_snapshot(self) -> sqlite3.Connection:
        """Open the file; on a full disk, only to read what is stored, without the files that SQLite adds to write."""
        try:
            return self._open()
        except sqlite3.Error as error:
            if self._is_cache or not _is_disk_full(error) or not self._path.stat().st_size:
                raise
        log = self._path.with_name(f"{self._path.name}-wal")
        if log.exists() and log.stat().st_size:  # not all that is stored is in the file itself
            return self._open_with_reserve()
        self._is_snapshot = True
        address = f"{self._path.absolute().as_uri()}?immutable=1"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
        self._check_version(connection)
        return connection

    def _open_with_reserve(self) -> sqlite3.Connection:
        while True:
            try:
                return self._open()
            except sqlite3.Error as error:
                if not (_is_disk_full(error) and self._reserve.release()):
                    raise

    def _open(self) -> sqlite3.Connection:
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
            if not self._is_cache:  # what is left in the log would need space twice
                connection.execute("PRAGMA wal_autocheckpoint=1")
            _limit_size(connection, self._max_bytes)
            if self._check_version(connection) == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {self._schema} PRAGMA user_version={self._version}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_version(self, connection: sqlite3.Connection) -> int:
        stored_version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if stored_version not in (0, self._version):
            raise _SchemaMismatch(
                "it was written by another version of this tool "
                f"(schema {stored_version}; this version reads {self._version})"
            )
        return stored_version

    def read(self, transaction: Callable[[Execute], _T]) -> _T:
        """Run ``transaction`` on a consistent snapshot and return its result. It must not write; it never waits for
        writers.
        """
        with self._lock:
            return self._run_transaction(transaction, "BEGIN")

    def transact(self, transaction: Callable[[Execute], _T], *, urgent: bool = True) -> _T:
        """Run ``transaction`` and commit it; if it raises, roll it back. No other process writes in between.

        ``transaction`` may be called several times: when the disk is full, an ``urgent`` one is repeated with more of
        the reserve each time. Others are refused unless the reserve is complete.

        :raises DiskFull: there is no space, even with the reserve released.
        """
        with self._lock:
            if self._is_cache:
                return self._run_transaction(transaction)
            if urgent:
                return self._run_urgent_transaction(transaction)
            self._require_space()
            return self._run_transaction(transaction)

    def _require_space(self) -> None:
        """Leave the snapshot if there is one; refuse if the reserve is not complete."""
        if self._is_snapshot:
            try:
                connection = self._open()
            except sqlite3.Error as error:
                raise self._unusable_error(error) from error
            self._replace_snapshot(connection)
        if not self._reserve.refill():
            raise DiskFull(f"{self._path}: {self.space_problem}")

    def _replace_snapshot(self, connection: sqlite3.Connection) -> None:
        self._connection.close()
        self._connection = connection
        self._is_snapshot = False

    def _run_urgent_transaction(self, transaction: Callable[[Execute], _T]) -> _T:
        try:
            if self._is_snapshot:
                self._replace_snapshot(self._open_with_reserve())
            result = self._run_with_reserve(transaction)
            if not self._reserve.refill():
                self._reuse_log()
        except sqlite3.Error as error:
            raise self._unusable_error(error) from error
        return result

    def _reuse_log(self) -> None:
        """Let the next transactions write where the last ones have written, instead of behind them.

        What other transactions have left in the log may need space in the file: at most half of the reserve.
        """
        while True:
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                return
            except sqlite3.Error as error:  # the transaction itself is on disk
                if not _is_disk_full(error) or self._reserve.size <= RESERVE_BYTES // 2 or not self._reserve.release():
                    return

    def _run_with_reserve(self, transaction: Callable[[Execute], _T]) -> _T:
        try:
            return self._run_transaction(transaction)
        except DiskFull:
            # the limit of the file is for what is not urgent
            _limit_size(self._connection, self._max_bytes + RESERVE_BYTES)
        try:
            while True:
                try:
                    return self._run_transaction(transaction)
                except DiskFull:
                    if not self._reserve.release():
                        raise
        finally:
            _limit_size(self._connection, self._max_bytes)

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
        return free_space(self._path.parent)

    @property
    def space_problem(self) -> str:
        """Why only urgent writes are possible now; empty if others are."""
        is_reserved, free = self._reserve.refill(), self.free_bytes
        if is_reserved and free >= RELEASE_BYTES and not self._is_snapshot:
            return ""
        reserved = format_size(self._reserve.size)
        return f"the disk is full: {format_size(free)} are free beside {reserved} that are reserved"

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


def free_space(folder: Path) -> int:
    """Return the free bytes of the file system that holds a folder."""
    filesystem = os.statvfs(folder)
    return filesystem.f_bavail * filesystem.f_frsize


def _limit_size(connection: sqlite3.Connection, max_bytes: int) -> None:
    """Limit the size of the file; it never gets smaller by that."""
    page_size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={max(64, max_bytes // page_size)}")


def _is_disk_full(error: Exception) -> bool:
    """Return whether there is no space, be it to extend the index of the write-ahead log, of which SQLite says less."""
    if isinstance(error, OSError):
        return is_disk_full(error)
    is_full = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
    return is_full or "disk is full" in str(error)


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
