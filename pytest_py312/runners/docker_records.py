"""What the docker runner keeps of a cell's output, and how it writes sizes."""

from collections import deque
from threading import Lock

TAIL_LIMIT = 64 * 1024
"""Bytes of a cell's output that are kept: the last ones."""


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
