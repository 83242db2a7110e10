"""The one door to SQLite: the state file ``.py312/state.sqlite`` beside the plan, and files that must not be lost.

Holds outcomes by content, so that an unchanged cell costs nothing, how long things took, and what was measured. Several
runs and several xdist workers may use it at once (WAL, a busy time-out). It holds plain JSON only: it lies in the
repository, and must not be able to run anything.
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

OPENING_TRIES = 100


_T = TypeVar("_T")
Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""One statement and its values, within a transaction -> its rows."""

PATIENCE = 30.0
"""Seconds that a :class:`Database` waits for another process that writes."""
SYNCHRONOUS = "FULL"
"""How a :class:`Database` waits for the disk."""
RESERVE = 64 * 1024
"""Bytes that are kept beside a :class:`Database`, to be given up when the disk is full."""
SMALLEST_ROOM = 64 * 1024**2
"""Bytes that have to be free before something is begun that must be written down to its end."""


class DiskFull(StateError):
    """What was to be kept was not: there is no room. The file is as it was before."""


class Database:
    """A SQLite file that loses nothing it has confirmed: what was written is on the disk when a call returns.

    For what must survive a killed process or machine, unlike :class:`State`, whose loss only costs time. May be used
    from several threads and processes. All methods raise :class:`StateError` when the file cannot be used.
    """

    def __init__(self, path: Path, *, schema: str, version: int, most_bytes: int) -> None:
        """
        :param version: of the schema; a file of another one is refused.
        :param most_bytes: the size at which it counts as full.
        """
        self._path = path
        self._reserve = path.with_suffix(".reserve")
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            ignore = path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("# state of pytest-py312: not for version control\n*\n", encoding="utf-8")
            self._connection = self._open(schema, version, most_bytes)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        self._keep_reserve()

    def _open(self, schema: str, version: int, most_bytes: int) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=PATIENCE, check_same_thread=False, isolation_level=None)
        try:
            for attempt in range(OPENING_TRIES):
                try:
                    connection.execute("PRAGMA journal_mode=WAL")
                    break
                except sqlite3.OperationalError as error:
                    # two that make it at once lock each other out, and this heeds no busy time-out
                    if "locked" not in str(error) or attempt == OPENING_TRIES - 1:
                        raise
                    clock.pause(0.05)
            connection.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
            connection.execute("PRAGMA journal_size_limit=4194304")
            size = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={max(64, most_bytes // size)}")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, version):
                raise _OtherForm(f"it was written by another version of this tool (form {found}, known: {version})")
            if found == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version={version}; COMMIT;")
        except BaseException:
            connection.close()
            raise
        return connection

    def read(self, work: Callable[[Execute], _T]) -> _T:
        """What ``work`` makes of what it finds, all of it of one moment. It writes nothing, and waits for nobody."""
        with self._lock:
            return self._attempt(work, "BEGIN")

    def transact(self, work: Callable[[Execute], _T], *, urgent: bool = True) -> _T:
        """All that ``work`` executes, or, where it raises, nothing of it. No other process writes in between.

        ``work`` may be called twice: when the disk is full, what is ``urgent`` gets the reserve.

        :raises DiskFull: there is no room, the reserve included.
        """
        with self._lock:
            try:
                done = self._attempt(work)
            except DiskFull:
                if not (urgent and self._give_up_reserve()):
                    raise
                return self._attempt(work)
            self._keep_reserve()
            return done

    def _attempt(self, work: Callable[[Execute], _T], begin: str = "BEGIN IMMEDIATE") -> _T:
        try:
            self._connection.execute(begin)
            try:
                done = work(lambda statement, values: self._connection.execute(statement, values).fetchall())
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if _is_full(error):
                raise DiskFull(f"{self._path}: there is no room left for it: {error}. Make some") from error
            raise self._unusable(error) from error
        except UnicodeEncodeError as error:
            raise StateError(f"{error.object!r} is no text that can be written down or looked for") from error
        return done

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file, read from end to end; nothing where it is whole."""
        found = self.read(lambda execute: [str(row[0]) for row in execute("PRAGMA integrity_check(5)", ())])
        return [] if found == ["ok"] else found

    @property
    def room(self) -> int:
        """Bytes that are free where the file lies."""
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize

    def _keep_reserve(self) -> None:
        if self._reserve.exists():
            return
        try:
            self._reserve.write_bytes(os.urandom(RESERVE))  # zeros may take no room
        except OSError:
            self._give_up_reserve()  # a part of it is none

    def _give_up_reserve(self) -> bool:
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def _unusable(self, error: Exception) -> StateError:
        kind = DiskFull if isinstance(error, sqlite3.Error | OSError) and _is_full(error) else StateError
        return kind(
            f"{self._path}: cannot be used: {error}. What was written down in it must not be lost, so it "
            f"is not made anew; {_remedy(error)}"
        )

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class _OtherForm(OSError):
    """The file has another schema than this version knows."""


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or "disk is full" in str(error)


def _remedy(error: Exception) -> str:
    """What to do about a file that cannot be used."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, _OtherForm):
        return "use that version for it"
    if _is_full(error):
        return "make some room where it lies"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another process has kept it locked for {PATIENCE:g} s: let that end first"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or isinstance(error, OSError):
        return "make it, and its folder, one that this user can write to, or give --state-dir"
    if code == sqlite3.SQLITE_IOERR:
        return "the disk that it lies on is full or failing: look there first"
    return "bring it back from a copy"
