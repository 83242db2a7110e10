"""What a process in a container prints, as the engine passes it on: in frames, and at times in the runtime's words."""

from collections.abc import Callable, Iterator
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
