"""Which process a container belongs to, so that what a killed run left behind is known as such and removed.

A process number alone says nothing: numbers come round again, differ between PID namespaces (two CI jobs in
containers that share one engine) and between machines. An owner is therefore judged gone only by a process that
sees the same numbers: same boot, same namespace, and the same user or root.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which a container of an owner that cannot be judged from here is taken for abandoned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A process that owns containers. ``started`` is in clock ticks since boot, as ``/proc`` says it."""

    boot: str
    namespace: str
    user: int
    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.boot}/{self.namespace}/{self.user}/{self.pid}/{self.started}"

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """The owner that a label names; ``None`` for a label that is not one of ours."""
        parts = text.split("/")
        if len(parts) != 5 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts[2:]):
            return None
        user, pid, started = (int(part) for part in parts[2:])
        return cls(boot=parts[0], namespace=parts[1], user=user, pid=pid, started=started)


def this_process() -> Owner:
    """The owner of what this process starts. Without ``/proc`` its boot is empty, and nobody ever judges it gone."""
    pid = os.getpid()
    boot, namespace = _this_machine()
    return Owner(boot=boot, namespace=namespace, user=os.getuid(), pid=pid, started=started_at(pid) or 0)


def started_at(pid: int) -> int | None:
    """When process ``pid`` was started, in clock ticks since boot; ``None`` when there is none or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def is_abandoned(label: str, *, created: float, now: float, me: Owner) -> bool:
    """Whether a container with this owner label may be removed: its owner is known to be gone, or it is a day old.

    ``created`` and ``now`` are seconds since the epoch.
    """
    owner = Owner.parse(label)
    if owner is not None and me.boot and (owner.boot, owner.namespace) == (me.boot, me.namespace):
        if me.user not in (0, owner.user):
            return False  # with hidepid its process would look gone
        return started_at(owner.pid) != owner.started
    return now - created > ABANDONED_AFTER


@cache
def _this_machine() -> tuple[str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""
    return boot, namespace
