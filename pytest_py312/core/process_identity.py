"""Identify the process that owns a container or a lock, so that what a killed one has left can be found and removed.

A process id alone is not enough: ids are reused, and differ between PID namespaces (two CI jobs in containers that
share one engine) and between machines. An owner is therefore only considered dead by a process that sees the same ids:
same boot, same namespace, and the same user or root.
"""

import getpass
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ABANDONED_AFTER_SECONDS = 24 * 3600.0
"""Age at which a container counts as abandoned if its owner cannot be checked from here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessIdentity:
    """A process that owns containers. ``start_ticks`` is its start in clock ticks since boot, as in ``/proc``."""

    boot_id: str
    namespace: str
    user: int
    pid: int
    start_ticks: int

    def __str__(self) -> str:
        return f"{self.boot_id}/{self.namespace}/{self.user}/{self.pid}/{self.start_ticks}"

    @classmethod
    def parse(cls, text: str) -> "ProcessIdentity | None":
        """Parse the owner from a label; return ``None`` for a label of another format."""
        parts = text.split("/")
        if len(parts) != 5 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts[2:]):
            return None
        user, pid, start_ticks = (int(part) for part in parts[2:])
        return cls(boot_id=parts[0], namespace=parts[1], user=user, pid=pid, start_ticks=start_ticks)


def this_process() -> ProcessIdentity:
    """Return the identity of this process. Without ``/proc`` its boot id is empty, so it never counts as dead."""
    pid = os.getpid()
    boot_id, namespace = _boot_and_namespace()
    return ProcessIdentity(
        boot_id=boot_id, namespace=namespace, user=os.getuid(), pid=pid, start_ticks=process_start_ticks(pid) or 0
    )


def user_name() -> str:
    """Return the name of the current user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in a container
        return f"user {os.getuid()}"


def is_dead(process: str) -> bool:
    """Return whether a process has certainly ended.

    That can be known only on the same boot of the same machine; everywhere else the answer is ``False``.

    :param process: as :class:`ProcessIdentity` writes it.
    """
    return ProcessIdentity.parse(process) is not None and is_abandoned(
        process, created=0.0, now=0.0, observer=this_process()
    )


def is_alive(process: str) -> bool:
    """Return whether a process is certainly running; ``False`` if that cannot be known, as in :func:`is_dead`."""
    identity, current = ProcessIdentity.parse(process), this_process()
    return (
        identity is not None
        and bool(current.boot_id)
        and (identity.boot_id, identity.namespace) == (current.boot_id, current.namespace)
        and process_start_ticks(identity.pid) == identity.start_ticks
    )


def process_start_ticks(pid: int) -> int | None:
    """Return when process ``pid`` started, in clock ticks since boot; ``None`` if it does not exist or has ended."""
    try:
        return _read_start_ticks(pid)
    except OSError:
        return None


def has_ended(pid: int, start_ticks: int) -> bool:
    """Return whether the process ``pid`` that started then has certainly ended; ``False`` if it cannot be known."""
    try:
        return _read_start_ticks(pid) != start_ticks
    except OSError:  # such as too many open files
        return False


def _read_start_ticks(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the process name before it may contain spaces and brackets
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def is_abandoned(label: str, *, created: float, now: float, observer: ProcessIdentity) -> bool:
    """Return whether a container with this owner label may be removed: its owner is dead, or it is a day old.

    ``created`` and ``now`` are seconds since the epoch; ``observer`` is the process that decides.
    """
    owner = ProcessIdentity.parse(label)
    if (
        owner is not None
        and observer.boot_id
        and (owner.boot_id, owner.namespace) == (observer.boot_id, observer.namespace)
    ):
        if observer.user not in (0, owner.user):
            return False  # with the mount option hidepid its process would be invisible
        return has_ended(owner.pid, owner.start_ticks)
    return now - created > ABANDONED_AFTER_SECONDS


@cache
def _boot_and_namespace() -> tuple[str, str]:
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""
    return boot_id, namespace
