"""Reading what a cell wrote. Untrusted code wrote it: no link is followed, no size or content is taken on trust."""

import json
import os
import stat
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

RECORDS_LIMIT = 64 * 1024**2
"""Bytes of a records file that are read; what stands beyond is not."""
TAIL_LIMIT = 64 * 1024
"""Bytes of a cell's output that are kept: the last ones."""


def read_bounded(path: Path | str, limit: int, *, folder: int | None = None) -> bytes | None:
    """The first ``limit`` bytes of a regular file; ``None`` for a missing one, a link, a pipe or a device.

    A relative ``path`` is looked up in ``folder``, an open descriptor, where one is given.
    """
    try:
        # O_NONBLOCK: opening a pipe that was planted here must not wait for its other end
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        return None
    with os.fdopen(number, "rb") as file:
        return file.read(limit)


def read_records(
    path: Path | str, limit: int = RECORDS_LIMIT, *, folder: int | None = None
) -> tuple[Mapping[str, Any], ...]:
    """The JSON objects of a file of one per line; lines that are anything else are dropped.

    ``folder`` is as for :func:`read_bounded`. A file longer than ``limit`` bytes loses its last lines, so it has no
    ``end`` record and counts as incomplete.
    """
    content = read_bounded(path, limit, folder=folder) or b""
    records = []
    for line in content.split(b"\n"):
        try:
            record = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return tuple(records)


class Tail:
    """The end of what a process prints, at most ``limit`` bytes of it. Written by one thread, read by another.

    With two ``lanes`` (standard output and error) each has half of the room, so that a flood on one does not wash away
    the last words on the other: an engine passes the two on side by side, and not quite in the order of printing.
    """

    def __init__(self, limit: int = TAIL_LIMIT, *, lanes: int = 1) -> None:
        self._limit = limit // lanes
        self._lanes: tuple[deque[tuple[int, bytes]], ...] = tuple(deque() for _ in range(lanes))
        self._sizes = [0] * lanes
        self._count = 0
        self._lock = Lock()

    def add(self, part: bytes, *, lane: int = 0) -> None:
        """Take the next bytes and forget what is now too far from the end."""
        kept = part[-self._limit :]
        with self._lock:
            parts = self._lanes[lane]
            parts.append((self._count, kept))
            self._count += 1
            size = self._sizes[lane] + len(kept)
            while size > self._limit:
                number, first = parts.popleft()
                rest = first[size - self._limit :]
                size -= len(first) - len(rest)
                if rest:
                    parts.appendleft((number, rest))
            self._sizes[lane] = size

    def text(self) -> str:
        """What is kept, as text, in the order of arrival; bytes that are not UTF-8 are replaced."""
        with self._lock:
            parts = sorted(part for lane in self._lanes for part in lane)
        return b"".join(part for _, part in parts).decode("utf-8", "replace")


def in_bytes(size: int) -> str:
    """``256 MiB``, ``2 GiB``, ``1.5 GiB``."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{round(size / unit, 1):g} {name}"
    return f"{size} bytes"
