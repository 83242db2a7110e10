"""Output of processes in containers: the engine's stream, failed starts that look like output, and its bounded tail."""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

_RUNTIME_ERROR = b"OCI runtime exec failed"
_RUNTIME_ERROR_LIMIT = 4096
"""Bytes; longer output is not an error of the runtime, even if it begins like one."""


class StartFailureFilter:
    """Passes a process's output on as soon as it cannot be the runtime's message that the process failed to start.

    The runtime reports a failed start as output of the process, with exit code 126 or 255.
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
        if text[: len(_RUNTIME_ERROR)] != _RUNTIME_ERROR[: len(text)] or len(text) > _RUNTIME_ERROR_LIMIT:
            self.flush()

    def _text(self) -> bytes:
        return b"".join(part for _, part in self._held or ())

    @property
    def is_retryable(self) -> bool:
        """Whether the held back output is a transient error of the runtime."""
        # only these failures happen before the program is executed
        return b"init preliminary setup" in self._text() or b"read init-p" in self._text()

    def flush(self) -> None:
        """Pass on the output that was held back."""
        held, self._held = self._held or (), None
        for kind, part in held:
            self._take(kind, part)


def output_frames(stream: Any) -> Iterator[tuple[int, bytes]]:
    """Yield the chunks of output in a raw stream of the SDK, and close its connection, which the SDK does not do."""
    from docker.utils.socket import frames_iter

    try:
        yield from frames_iter(stream, tty=False)  # type: ignore[no-untyped-call]  # so in its stubs
    finally:
        stream._response.close()


TAIL_LIMIT = 64 * 1024
"""Bytes kept of the end of a cell's output."""


class OutputTail:
    """The end of a process's output, at most ``limit`` bytes. One thread writes it, another one reads it.

    With two ``lanes`` (standard output and error) each gets half of the limit, so that a flood on one does not displace
    the end of the other. An engine passes the two on in parallel, and not exactly in the order of printing.
    """

    def __init__(self, limit: int = TAIL_LIMIT, *, lanes: int = 1) -> None:
        self._limit = limit // lanes
        self._lanes: tuple[deque[tuple[int, bytes]], ...] = tuple(deque() for _ in range(lanes))
        self._sizes = [0] * lanes
        self._count = 0
        self._lock = Lock()

    def add(self, part: bytes, *, lane: int = 0) -> None:
        """Append bytes and drop what is now beyond the limit."""
        new_part = part[-self._limit :]
        with self._lock:
            parts = self._lanes[lane]
            parts.append((self._count, new_part))
            self._count += 1
            size = self._sizes[lane] + len(new_part)
            while size > self._limit:
                number, first = parts.popleft()
                rest = first[size - self._limit :]
                size -= len(first) - len(rest)
                if rest:
                    parts.appendleft((number, rest))
            self._sizes[lane] = size

    def text(self) -> str:
        """Return the kept output in the order of arrival; bytes that are not UTF-8 are replaced."""
        with self._lock:
            parts = sorted(part for lane in self._lanes for part in lane)
        return b"".join(part for _, part in parts).decode("utf-8", "replace")
