"""What a process in a container prints, as the engine passes it on: in frames, and at times in the runtime's words.

What the docker runner keeps of a cell's output, and how it writes sizes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

_RUNTIME = b"OCI runtime exec failed"
_COMPLAINT = 4096
"""Bytes; what begins like a complaint of the runtime and is longer is something else."""


class NeverBegun:
    """Passes on what a process prints, once it is certain not to be the runtime's word that it never began.

    The runtime has no other way to tell: its complaint comes as the output of the process, with exit code 126 or 255.
    """

    def __init__(self, take: Callable[[int, bytes], None]) -> None:
        self._take = take
        self._held: list[tuple[int, bytes]] | None = []

    def __call__(self, kind: int, part: bytes) -> None:
        if self._held is None:
            self._take(kind, part)
            return
        self._held.append((kind, part))
        text = self._text()
        if text[: len(_RUNTIME)] != _RUNTIME[: len(text)] or len(text) > _COMPLAINT:
            self.let_go()

    def _text(self) -> bytes:
        return b"".join(part for _, part in self._held or ())

    @property
    def is_worth_another_try(self) -> bool:
        # only of what happens before the program is there at all
        return b"init preliminary setup" in self._text() or b"read init-p" in self._text()

    def let_go(self) -> None:
        """Pass on what was held back."""
        held, self._held = self._held or (), None
        for kind, part in held:
            self._take(kind, part)


def frames(stream: Any) -> Iterator[tuple[int, bytes]]:
    """The pieces of output in a raw stream of the SDK, which leaves it to its caller to close the connection."""
    from docker.utils.socket import frames_iter

    try:
        yield from frames_iter(stream, tty=False)  # type: ignore[no-untyped-call]  # so in its stubs
    finally:
        stream._response.close()


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
